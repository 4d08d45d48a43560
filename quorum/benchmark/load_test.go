package benchmark

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// A load is what clients do, each one thing after the other: gets of so many in a
// hundred, and puts, of keys taken at random.
type load struct {
	Clients int
	Keys    int
	Gets    int
	For     time.Duration
}

// A result is what a load has shown.
type result struct {
	Rate      float64 // operations of all clients in a second
	Processor float64 // µs of it that each takes, members and clients together: hardly depends on what else runs
	Latencies histogram
}

// fill puts a value under each key.
func fill(ctx context.Context, c cluster, l load) error {
	errs := make([]error, l.Clients)
	var clients sync.WaitGroup
	for i := range l.Clients {
		clients.Go(func() {
			for k := i; k < l.Keys && errs[i] == nil; k += l.Clients {
				errs[i] = c.put(ctx, i%members, keyOf(k), valueOf(keyOf(k), 0))
			}
		})
	}
	clients.Wait()
	return errors.Join(errs...)
}

// run lets clients loose on a filled cluster.
func run(ctx context.Context, c cluster, l load) (result, error) {
	keys := make([]string, l.Keys)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	latencies, errs := make([]histogram, l.Clients), make([]error, l.Clients)
	begin, used := time.Now(), processorTime()
	var clients sync.WaitGroup
	for i := range l.Clients {
		clients.Go(func() {
			client := client{cluster: c, member: i % members, keys: keys, rng: rand.New(rand.NewPCG(uint64(i), rand.Uint64()))}
			errs[i] = client.work(ctx, l.Gets, begin.Add(l.For), &latencies[i])
		})
	}
	clients.Wait()
	took := time.Since(begin)
	used = processorTime() - used
	var res result
	for i := range latencies {
		res.Latencies.merge(&latencies[i])
	}
	res.Processor = used.Seconds() * 1e6 / float64(res.Latencies.count())
	res.Rate = float64(res.Latencies.count()) / took.Seconds()
	return res, errors.Join(errs...)
}

// A client is one of a load.
type client struct {
	cluster cluster
	member  int
	keys    []string
	rng     *rand.Rand
}

// work goes on until the end, and does something in any case.
func (c *client) work(ctx context.Context, gets int, end time.Time, to *histogram) error {
	for now := time.Now(); ; {
		if err := c.step(ctx, gets); err != nil {
			return err
		}
		then := time.Now()
		to.record(then.Sub(now))
		if now = then; !now.Before(end) {
			return nil
		}
	}
}

func (c *client) step(ctx context.Context, gets int) error {
	key := c.keys[c.rng.IntN(len(c.keys))]
	if c.rng.IntN(100) >= gets {
		return c.cluster.put(ctx, c.member, key, valueOf(key, c.rng.Uint64()))
	}
	value, err := c.cluster.get(ctx, c.member, key)
	if err != nil {
		return fmt.Errorf("get %q: %w", key, err)
	}
	return check(key, value)
}

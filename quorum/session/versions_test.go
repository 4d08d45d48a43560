package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// owned is a Quorum of three owners: reads bring all up, and writes are acknowledged by so many.
func owned(by int) *asked {
	all := []nodeID{"a", "b", "c"}
	return &asked{
		read: func(o quorum.ReadOptions) (quorum.ReadResult, error) {
			return quorum.ReadResult{State: []byte{1}, Found: true, Owners: 3, Holders: &quorum.Holders{Nodes: all, Majority: true}}, nil
		},
		write: func(o quorum.WriteOptions) (quorum.WriteResult, error) {
			return quorum.WriteResult{Answered: by, Owners: 3, Holders: &quorum.Holders{Nodes: all[:by], Majority: by > 1}}, nil
		},
	}
}

func write(t *testing.T, b *VersionBound, key string) {
	t.Helper()
	_, err := b.Write(t.Context(), key, []byte{1}, quorum.WriteOptions{})
	require.NoError(t, err)
}

// The first write after a start brings all owners up, and then each that there is no room for.
func TestVersionBoundBringsAllOwnersUp(t *testing.T) {
	q := owned(2)
	b := &VersionBound{Quorum: q, Most: 3}
	for i := range 10 {
		write(t, b, "k")
		require.Len(t, q.reads, 1+i/3)
	}
	for _, o := range q.reads {
		require.Equal(t, quorum.All, o.Level)
		require.Equal(t, quorum.FallbacksNone, o.Fallbacks)
		require.Equal(t, quorum.RepairBlocking, o.Repair)
	}
	require.Equal(t, quorum.Majority, q.writes[0].Primary)
	write(t, b, "another")
	require.Len(t, q.reads, 5)
}

// What is acknowledged at All nobody lacks. What all owners happen to have had may be lacked by those to come.
func TestWritesThatAllOwnersHaveAreNotCounted(t *testing.T) {
	q := owned(3)
	b := &VersionBound{Quorum: q, Most: 2}
	for range 10 {
		_, err := b.Write(t.Context(), "k", nil, quorum.WriteOptions{Level: quorum.All, Primary: quorum.One})
		require.NoError(t, err)
	}
	require.Len(t, q.reads, 1)
	require.Equal(t, quorum.All, q.writes[0].Primary, "nobody stands in")
	for range 3 {
		write(t, b, "k")
	}
	require.Len(t, q.reads, 2)
}

func TestVersionBoundFailsClosed(t *testing.T) {
	q := owned(2)
	b := &VersionBound{Quorum: q, Most: 2}
	read, refused := q.read, &quorum.UnavailableError{}
	fails := func(quorum.ReadOptions) (quorum.ReadResult, error) { return quorum.ReadResult{}, refused }
	q.read = fails
	_, err := b.Write(t.Context(), "k", nil, quorum.WriteOptions{})
	require.Equal(t, error(refused), err)
	require.Empty(t, q.writes)
	q.read = read
	write(t, b, "k")
	q.read = fails
	write(t, b, "k")
	for range 2 {
		_, err = b.Write(t.Context(), "k", nil, quorum.WriteOptions{})
		require.Equal(t, error(refused), err)
	}
	require.Len(t, q.writes, 2)
	q.read = read
	write(t, b, "k")
}

// Some owner may have what was not acknowledged: it counts.
func TestWritesThatFailAreCounted(t *testing.T) {
	q := owned(2)
	b := &VersionBound{Quorum: q, Most: 2}
	write(t, b, "k")
	q.write = func(quorum.WriteOptions) (quorum.WriteResult, error) {
		return quorum.WriteResult{}, &quorum.TimeoutError{}
	}
	_, err := b.Write(t.Context(), "k", nil, quorum.WriteOptions{})
	require.Error(t, err)
	require.Len(t, q.reads, 1)
	q.write = owned(2).write
	write(t, b, "k")
	require.Len(t, q.reads, 2)
}

// Whatever is asked for, majorities hold what is acknowledged.
func TestVersionBoundAcknowledgesByMajorities(t *testing.T) {
	q := owned(1)
	b := &VersionBound{Quorum: q, Most: 2}
	few, more := q.write, owned(2).write
	q.write = func(o quorum.WriteOptions) (quorum.WriteResult, error) {
		if o.Level == quorum.Majority {
			return more(o)
		}
		return few(o)
	}
	_, err := b.Write(t.Context(), "k", nil, quorum.WriteOptions{Level: quorum.One, Primary: quorum.One})
	require.NoError(t, err)
	require.Equal(t, quorum.One, q.writes[0].Primary, "what the caller asks for stays")
	require.Equal(t, quorum.Majority, q.writes[1].Level)
	q.write = func(o quorum.WriteOptions) (quorum.WriteResult, error) {
		if o.Level == quorum.Majority {
			return quorum.WriteResult{}, &quorum.UnavailableError{}
		}
		return few(o)
	}
	_, err = b.Write(t.Context(), "k", nil, quorum.WriteOptions{Level: quorum.One, Primary: quorum.One})
	_, refused := errors.AsType[*quorum.UnavailableError](err)
	require.True(t, refused)
	q.write = func(quorum.WriteOptions) (quorum.WriteResult, error) { return quorum.WriteResult{}, nil }
	_, err = b.Write(t.Context(), "other", nil, quorum.WriteOptions{})
	require.ErrorIs(t, err, ErrUntold)
}

// A read at All that was answered although it could not repair all owners is made good by a write to all; where it was
// of fewer it would not be answered.
func TestVersionBoundIsNotContentWithLess(t *testing.T) {
	q := owned(2)
	read := q.read
	q.read = func(o quorum.ReadOptions) (quorum.ReadResult, error) {
		require.Equal(t, quorum.All, o.Least, "a bucket may say less")
		res, err := read(o)
		res.Stale = true
		return res, err
	}
	b := &VersionBound{Quorum: q, Most: 2}
	write(t, b, "k")
	require.Equal(t, quorum.All, q.writes[0].Level)
	require.Len(t, q.writes, 2)
}

// Memory is bounded by keys that are not written to now; of who was left out nothing is known when it comes back.
func TestVersionBoundRemembersSoManyKeys(t *testing.T) {
	q := owned(2)
	b := &VersionBound{Quorum: q, Most: 100, Max: 3}
	for i := range 20 {
		write(t, b, fmt.Sprint(i))
		require.LessOrEqual(t, len(b.keys), 3)
		require.Equal(t, len(b.keys), b.order.Len())
	}
	reads := len(q.reads)
	for range 5 {
		for i := range 3 {
			write(t, b, fmt.Sprint(17+i))
		}
	}
	require.Len(t, q.reads, reads)
	write(t, b, "0")
	write(t, b, "18")
	write(t, b, "19")
	require.Len(t, q.reads, reads+1)
	write(t, b, "17")
	require.Len(t, q.reads, reads+2, "it was not used for longest")
}

// The bound is kept by counts alone, whatever order writes and fillings end in. Here it is counted by identity: a model
// knows which writes there are and which were ended when a filling began.
func TestBudgetsByIdentity(t *testing.T) {
	fills := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 8))
		b := &VersionBound{Most: 1 + r.IntN(5), Max: 2}
		type doing struct {
			u     *budget
			g     *gate
			ended map[int]bool
		}
		lacked, ended, under, filling, next := map[int]bool{}, map[int]bool{}, map[int]*budget{}, []*doing(nil), 0
		began := func(u *budget) {
			next++
			lacked[next], under[next] = true, u
			require.LessOrEqual(t, len(lacked), b.Most, "seed %d", seed)
		}
		for i := range b.Most { // those of an earlier life
			lacked[-1-i], ended[-1-i] = true, true
		}
		b.Quorum = owned(2)
		for range 60 {
			switch r.IntN(4) {
			case 0, 1:
				u, g, leads := b.turn("k")
				switch {
				case g == nil:
					began(u)
				case leads:
					d := &doing{u: u, g: g, ended: map[int]bool{}}
					for id := range lacked {
						d.ended[id] = ended[id]
					}
					filling = append(filling, d)
					require.Len(t, filling, 1, "single flight")
				}
			case 2:
				for id, u := range under {
					everywhere := r.IntN(3) == 0
					b.leave(u, everywhere)
					delete(under, id)
					if ended[id] = true; everywhere {
						delete(lacked, id)
					}
					break
				}
			case 3:
				for _, d := range filling {
					ctx, stop := context.WithCancel(t.Context())
					if b.Quorum = owned(2); r.IntN(3) == 0 {
						b.Quorum.(*asked).read = func(quorum.ReadOptions) (quorum.ReadResult, error) {
							return quorum.ReadResult{}, errDown
						}
					}
					if b.fill(ctx, d.u, d.g) == nil {
						fills++
						for id := range d.ended {
							if d.ended[id] {
								delete(lacked, id)
							}
						}
						began(d.u)
					}
					stop()
				}
				filling = nil
			}
			if r.IntN(5) == 0 && len(under)+len(filling) == 0 { // others come, and it is forgotten
				b.Quorum = owned(2)
				for k := range 3 {
					u, g, _ := b.turn(fmt.Sprint("other ", k))
					if g != nil {
						require.NoError(t, b.fill(t.Context(), u, g))
					}
					b.leave(u, false)
				}
				require.Nil(t, b.keys["k"])
			}
		}
	}
	require.Greater(t, fills, 5000)
}

// Writers who come at once wait for one read, and its error is that of all; but not that it was given up.
func TestVersionBoundFillsOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		reads, fails := 0, false
		q := owned(2)
		read := q.read
		slow := func(ctx context.Context) (quorum.ReadResult, error) {
			mu.Lock()
			reads++
			mu.Unlock()
			select {
			case <-ctx.Done():
				return quorum.ReadResult{}, ctx.Err()
			case <-time.After(time.Second):
			}
			if fails {
				return quorum.ReadResult{}, errDown
			}
			return read(quorum.ReadOptions{})
		}
		b := &VersionBound{Quorum: slowly{slow, q.write}, Most: 10}
		at := func(ctx context.Context, n int) (errs []error) {
			var wg sync.WaitGroup
			errs = make([]error, n)
			for i := range n {
				wg.Go(func() { _, errs[i] = b.Write(ctx, "k", nil, quorum.WriteOptions{}) })
			}
			wg.Wait()
			return errs
		}
		require.Equal(t, make([]error, 10), at(t.Context(), 10))
		require.Equal(t, 1, reads)
		fails = true
		require.Equal(t, slices.Repeat([]error{errDown}, 7), at(t.Context(), 7))
		require.Equal(t, 2, reads)
		fails = false
		short, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		var wg sync.WaitGroup
		wg.Go(func() { require.ErrorIs(t, at(short, 1)[0], context.DeadlineExceeded) })
		synctest.Wait()
		require.Equal(t, make([]error, 5), at(t.Context(), 5), "who waited for it goes on by itself")
		wg.Wait()
	})
}

// slowly is a Quorum whose reads take time.
type slowly struct {
	read  func(context.Context) (quorum.ReadResult, error)
	write func(quorum.WriteOptions) (quorum.WriteResult, error)
}

func (s slowly) Read(ctx context.Context, _ string, _ quorum.ReadOptions) (quorum.ReadResult, error) {
	return s.read(ctx)
}

func (s slowly) Write(_ context.Context, _ string, _ []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	time.Sleep(time.Millisecond)
	return s.write(o)
}

// Several writers of several keys, over coordinators that lose messages: at each moment no owner lacks more than Most of
// what was acknowledged. Without the type, they do.
func TestVersionBoundOfConcurrentWriters(t *testing.T) {
	for _, bounded := range []bool{true, false} {
		for most := 1; most <= 7; most += 3 {
			synctest.Test(t, func(t *testing.T) {
				worst, acked := concurrently(t, most, bounded)
				t.Logf("bounded %v by %d: %d acknowledged, %d lacking at most", bounded, most, acked, worst)
				require.Greater(t, acked, 50)
				if bounded {
					require.LessOrEqual(t, worst, most)
				} else {
					require.Greater(t, worst, most, "the control")
				}
				time.Sleep(time.Minute) // of the bubble: what calls left behind ends
			})
		}
	}
}

func concurrently(t *testing.T, most int, bounded bool) (worst, acked int) {
	net := &leaky{random: rand.New(rand.NewPCG(9, uint64(most))), handlers: map[nodeID]transport.Handler{}}
	ring, at := quorum.Everywhere{"a", "b", "c"}, map[nodeID]*sets{}
	var all []*quorum.Coordinator
	for _, id := range ring {
		at[id] = &sets{replica: replica{}}
		c := &quorum.Coordinator{Self: id, Local: at[id], Ring: ring, Caller: delayed{net}, Join: union, SuspectAfter: time.Millisecond}
		all, net.handlers[id] = append(all, c), c.Handler()
	}
	var q Quorum = rotating(all)
	if bounded {
		q = &VersionBound{Quorum: q, Most: most, Max: 1}
	}
	var mu sync.Mutex
	log := map[string][]byte{} // what was acknowledged
	look := func() {
		for key, states := range log {
			for _, s := range at {
				have, _ := s.Load(t.Context(), key)
				both, _ := union(have, states)
				worst = max(worst, len(both)-len(have))
			}
		}
	}
	var wg sync.WaitGroup
	for k := range byte(6) {
		wg.Go(func() {
			for i := range byte(40) {
				key := fmt.Sprint(i / 4 % 2)
				for range 4 { // tries
					_, err := q.Write(t.Context(), key, []byte{k*40 + i}, quorum.WriteOptions{})
					mu.Lock()
					if err == nil {
						acked++
						log[key], _ = union(log[key], []byte{k*40 + i})
					}
					look()
					mu.Unlock()
					if err == nil {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	return worst, acked
}

// delayed is a network that takes some time.
type delayed struct{ transport.Caller }

func (d delayed) Call(ctx context.Context, to nodeID, method string, req []byte) ([]byte, error) {
	time.Sleep(time.Duration(1+rand.IntN(20)) * time.Millisecond)
	return d.Caller.Call(ctx, to, method, req)
}

package pebblestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// A step is one call of a store in a life that ends at any moment.
type step struct {
	N       int // no other one of any life has it
	Do      string
	Key     string
	Element string // no other step adds it
}

// A line is what a life tells of itself, in the order in which it happens.
type line struct {
	Is    string // tried, done, out, opened, forgetting, durable, closing, closed
	Step  step   // tried, done
	Key   string // done, out: where Delta is to be merged
	Delta []byte // done, out
}

var batchKeys = []string{"b0", "b1", "b2"}

// A hand makes steps up and takes them.
type hand struct {
	rng   *rand.Rand
	n     int    // of the next step
	added []step // not taken out by this hand
	tell  func(line)
}

func (h *hand) next() step {
	h.n++
	st := step{N: h.n, Element: fmt.Sprint("e", h.n)}
	switch n := h.rng.IntN(20); {
	case n < 7:
		st.Do, st.Key = "add", fmt.Sprint("s", h.rng.IntN(4))
		h.added = append(h.added, st)
	case n < 10 && len(h.added) > 0:
		i := h.rng.IntN(len(h.added))
		st.Do, st.Key, st.Element = "remove", h.added[i].Key, h.added[i].Element
		h.added = append(h.added[:i], h.added[i+1:]...)
	case n < 13:
		st.Do, st.Key = "count", fmt.Sprint("n", h.rng.IntN(2))
	case n < 15:
		st.Do, st.Key = "assign", fmt.Sprint("r", h.rng.IntN(2))
	case n < 18:
		st.Do = "batch"
		if h.rng.IntN(4) == 0 { // over several blocks of a file
			st.Element += strings.Repeat(".", h.rng.IntN(20_000))
		}
	case n < 19:
		st.Do = "wipe"
	default:
		st.Do, st.Key = "delete", fmt.Sprint("s", h.rng.IntN(4))
	}
	return st
}

// take takes a step, and tells so before and after.
func (h *hand) take(s *store.Store, st step) error {
	h.tell(line{Is: "tried", Step: st})
	delta, err := st.take(s)
	if err != nil {
		return err
	}
	state, err := delta.Bytes()
	if err != nil {
		return err
	}
	h.tell(line{Is: "done", Step: st, Key: delta.Key(), Delta: state})
	return nil
}

func (st *step) take(s *store.Store) (store.Delta, error) {
	add := func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] { return c.Add(by.Replica, st.Element) }
	var b store.Batch
	switch st.Do {
	case "add":
		return store.Update(s, st.Key, add)
	case "remove":
		return store.Update(s, st.Key, func(c *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] {
			return c.Remove(st.Element)
		})
	case "count":
		return store.Update(s, st.Key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, 1) })
	case "assign":
		return store.Update(s, st.Key, func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
			return r.Set(by.Stamp(), st.Element)
		})
	case "delete":
		return s.Delete(st.Key)
	case "batch":
		for _, key := range batchKeys {
			store.Put(&b, key, add)
		}
	case "wipe":
		for _, key := range batchKeys {
			b.Delete(key)
		}
	}
	return s.Apply(&b)
}

// forget has a store agree with itself, the only member of its cluster, on what was deleted.
func (h *hand) forget(s *store.Store) error {
	proposal := s.Propose(1<<20, 0)
	if proposal == nil {
		return nil
	}
	reply, err := s.Prepare(context.Background(), proposal)
	if err != nil {
		return err
	}
	h.tell(line{Is: "forgetting"})
	if _, err = s.Conclude(context.Background(), proposal, [][]byte{reply}); err == nil {
		h.tell(line{Is: "durable"})
	}
	return err
}

// work takes so many steps, and now and then forgets. It calls after after each of them.
func (h *hand) work(s *store.Store, steps int, forgets bool, after func()) error {
	for range steps {
		if err := h.take(s, h.next()); err != nil {
			return err
		}
		after()
		if forgets && h.rng.IntN(12) == 0 {
			if err := h.forget(s); err != nil {
				return err
			}
			after()
		}
	}
	return nil
}

// hands is how many write at the same time.
const hands = 4

// together has several hands work, while what they write is handed out before it is durable. It comes to its end, also
// of the handing out, when the store was closed by end.
func together(s *store.Store, life, steps int, rng *rand.Rand, tell func(line), end func() error) error {
	var writers, reader sync.WaitGroup
	updates := s.Updates(context.Background())
	reader.Go(func() {
		for key, delta := range updates {
			tell(line{Is: "out", Key: key, Delta: delta})
		}
	})
	errs := make([]error, hands)
	for i := range errs {
		h := &hand{rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), n: (life*hands + i) * 10_000, tell: tell}
		writers.Go(func() { errs[i] = h.work(s, steps, i == 0, func() {}) })
	}
	writers.Wait()
	err := end()
	reader.Wait()
	for _, e := range append(errs, err) {
		if e != nil {
			return e
		}
	}
	return nil
}

// meets has a store be a cluster of its own, so that it can forget.
func meets(s *store.Store) error {
	_, err := s.Adopt(context.Background(), "")
	return err
}

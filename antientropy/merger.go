package antientropy

import (
	"context"
	"fmt"
	"iter"
	"slices"
)

// A Merger is what a [Store] may offer besides, if merging several states at once costs less than
// merging each: if it has to wait for a disk, which then is waited for once. What comes in one
// message is merged by it, in lots of up to 256 states or about 1 MiB, so that nothing is kept
// locked for long. Package storetest checks one of your own.
type Merger interface {
	// MergeAll has the effect of Merge of keys[i] with states[i], one after the other in the order
	// of i. A key may come more than once. It is not atomic, but who looks meanwhile never sees
	// one of them without those before it. keys and states are of one length, and so are novel and
	// errs, which have what each Merge would have returned: what is refused concerns its own place
	// alone, where novel has nothing, and the others are merged.
	//
	// It returns when all of it is as durable as after Merge, also what was there already. An error
	// of the whole, as of a disk, is in every place of errs; what was merged is then not known.
	//
	// What was new is told once, so it must not get lost: a place that has the error of ctx was not
	// merged. ctx may keep all of it from being merged, or all from some place on. What was merged is
	// waited for and told, also if ctx ends meanwhile.
	//
	// It must not keep keys and states, nor what is in them, nor change any of it. novel and errs
	// belong to the caller; what is in novel is not changed by the store afterwards.
	MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error)
}

// What a lot has at most, but for what its last state has more.
const (
	lotKeys  = 256
	lotBytes = 1 << 20
)

// A lot is states that are merged at once: several if the store is a [Merger], one if it is not.
type lot struct {
	store  Store
	most   int // states
	bytes  int
	keys   []string
	states [][]byte

	novel [][]byte // what came of each, once they are merged
	errs  []error
}

func newLot(s Store) *lot {
	if _, ok := s.(Merger); ok {
		return &lot{store: s, most: lotKeys}
	}
	return &lot{store: s, most: 1}
}

func (l *lot) len() int   { return len(l.keys) }
func (l *lot) full() bool { return len(l.keys) >= l.most || l.bytes >= lotBytes }

func (l *lot) add(key string, state []byte) {
	l.keys, l.states = append(l.keys, key), append(l.states, state)
	l.bytes += len(key) + len(state)
}

// reset takes all out of it, for others.
func (l *lot) reset() {
	clear(l.keys)
	clear(l.states)
	l.keys, l.states, l.bytes = l.keys[:0], l.states[:0], 0
}

// merge merges them, whatever the store offers.
func (l *lot) merge(ctx context.Context) {
	m, ok := l.store.(Merger)
	if !ok {
		l.mergeEach(ctx)
		return
	}
	l.novel, l.errs = m.MergeAll(ctx, l.keys, l.states)
	if n := len(l.keys); len(l.novel) != n || len(l.errs) != n {
		err := fmt.Errorf("antientropy: store returned %d results and %d errors for %d states", len(l.novel), len(l.errs), n)
		l.novel, l.errs = make([][]byte, n), slices.Repeat([]error{err}, n)
	}
}

func (l *lot) mergeEach(ctx context.Context) {
	l.novel, l.errs = l.novel[:0], l.errs[:0]
	for i, key := range l.keys {
		novel, err := l.store.Merge(ctx, key, l.states[i])
		l.novel, l.errs = append(l.novel, novel), append(l.errs, err)
	}
}

// lots cuts n states that came together into what is merged at once, and yields each lot with
// the number of its first. A lot is valid until the next.
func lots(s Store, n int, of func(i int) (key string, state []byte)) iter.Seq2[int, *lot] {
	return func(yield func(int, *lot) bool) {
		l := newLot(s)
		for first := 0; first < n; first += l.len() {
			l.reset()
			for i := first; i < n && !l.full(); i++ {
				l.add(of(i))
			}
			if !yield(first, l) {
				return
			}
		}
	}
}

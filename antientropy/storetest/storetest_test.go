package storetest_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/antientropy/storetest"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/vclock"
)

// The usual store keeps its promises, with a type that only grows, and with one that
// has a causal context.
func TestTheUsualStore(t *testing.T) {
	newStore := func() antientropy.Store { return store.New(store.Config{Secret: []byte("secret")}) }
	by := func(i int) *store.Store {
		return store.New(store.Config{Replica: vclock.Named(fmt.Sprint("writer ", i))})
	}
	for name, state := range map[string]func(i int) (store.Delta, error){
		"GCounter": func(i int) (store.Delta, error) {
			return store.Update(by(i), "", func(c *crdt.GCounter, by store.Writer) *crdt.GCounter { return c.Add(by.Replica, 1) })
		},
		"ORSet": func(i int) (store.Delta, error) {
			return store.Update(by(i), "", func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
				return s.Add(by.Replica, fmt.Sprint(i))
			})
		},
		"ORSet, large": func(i int) (store.Delta, error) {
			return store.Update(by(i), "", func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
				delta := new(crdt.ORSet[string])
				for e := range 100 {
					delta.Merge(s.Add(by.Replica, fmt.Sprintf("element %d of %d", e, i)))
				}
				return delta
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Config{
				New: newStore,
				State: func(i int) []byte {
					delta, err := state(i)
					require.NoError(t, err)
					b, err := delta.Bytes()
					require.NoError(t, err)
					return b
				},
				Bad: []byte{0xc1, 0xff},
			})
		})
	}
}

// bits is the plainest right store: a state is a set of 32 numbers.
type bits struct {
	mu    sync.Mutex
	keys  map[string]uint32
	index *merkle.Tree
}

func newBits() *bits {
	return &bits{keys: make(map[string]uint32), index: merkle.New(merkle.NewHasher([]byte("secret")))}
}

var errBad = errors.New("not four bytes")

func (b *bits) Index() *merkle.Tree {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.index.Snapshot()
}

func (b *bits) Load(ctx context.Context, key string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return encode(b.keys[key]), ctx.Err()
}

func (b *bits) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil || len(state) == 0 {
		return nil, err
	}
	if len(state) != 4 {
		return nil, errBad
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.keys[key]
	b.set(key, before|binary.BigEndian.Uint32(state))
	return encode(b.keys[key] &^ before), nil
}

func (b *bits) set(key string, set uint32) {
	b.keys[key] = set
	b.index.Set(key, b.index.Hasher().Sum(encode(set)))
}

func encode(set uint32) []byte {
	if set == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint32(nil, set)
}

func config(newStore func() antientropy.Store) storetest.Config {
	return storetest.Config{
		New:   newStore,
		State: func(i int) []byte { return encode(1 << i) },
		Bad:   []byte("bad"),
	}
}

// A flawed is a right store with one thing changed.
type flawed struct {
	*bits
	indexed func(b *bits) *merkle.Tree
	loaded  func(b *bits, ctx context.Context, key string) ([]byte, error)
	merged  func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error)
}

func (f *flawed) Index() *merkle.Tree {
	if f.indexed != nil {
		return f.indexed(f.bits)
	}
	return f.bits.Index()
}

func (f *flawed) Load(ctx context.Context, key string) ([]byte, error) {
	if f.loaded != nil {
		return f.loaded(f.bits, ctx, key)
	}
	return f.bits.Load(ctx, key)
}

func (f *flawed) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if f.merged != nil {
		return f.merged(f.bits, ctx, key, state)
	}
	return f.bits.Merge(ctx, key, state)
}

// A telling is a right store that tells what another lacks, by the numbers themselves.
type telling struct {
	*bits
	seen  func(b *bits, key string) []byte
	since func(b *bits, key string, seen []byte) ([]byte, error)
}

func (t *telling) Seen(ctx context.Context, key string) ([]byte, error) {
	if t.seen != nil {
		return t.seen(t.bits, key), nil
	}
	return t.Load(ctx, key)
}

func (t *telling) LoadSince(ctx context.Context, key string, seen []byte) ([]byte, error) {
	if t.since != nil {
		return t.since(t.bits, key, seen)
	}
	return t.lacks(key, seen)
}

func (b *bits) lacks(key string, seen []byte) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch len(seen) {
	case 0:
		return encode(b.keys[key]), nil
	case 4:
		return encode(b.keys[key] &^ binary.BigEndian.Uint32(seen)), nil
	}
	return nil, errBad
}

func TestAStoreThatTellsWhatLacks(t *testing.T) {
	right := func() antientropy.Store { return &telling{bits: newBits()} }
	storetest.Run(t, config(right))
	buf := make([]byte, 4)
	for name, f := range map[string]telling{
		"nothing lacks": {since: func(*bits, string, []byte) ([]byte, error) { return nil, nil }},
		"all lacks":     {since: func(b *bits, key string, _ []byte) ([]byte, error) { return b.lacks(key, nil) }},
		"too much lacks": {since: func(b *bits, key string, seen []byte) ([]byte, error) {
			since, err := b.lacks(key, seen)
			if len(since) > 0 {
				since[0] |= 0x80
			}
			return since, err
		}},
		"the first of it": {since: func(b *bits, key string, seen []byte) ([]byte, error) {
			since, err := b.lacks(key, seen)
			if len(since) > 0 {
				set := binary.BigEndian.Uint32(since)
				since = encode(set & -set)
			}
			return since, err
		}},
		"rubbish is everything": {since: func(b *bits, key string, seen []byte) ([]byte, error) {
			if since, err := b.lacks(key, seen); err == nil {
				return since, nil
			}
			return nil, nil
		}},
		"nothing seen is an error": {since: func(b *bits, key string, seen []byte) ([]byte, error) {
			if len(seen) == 0 {
				return nil, errBad
			}
			return b.lacks(key, seen)
		}},
		"one that is not there was seen": {seen: func(b *bits, key string) []byte { return binary.BigEndian.AppendUint32(nil, b.keys[key]) }},
		"one more was seen":              {seen: func(b *bits, key string) []byte { return encode(b.keys[key] << 1) }},
		"what was returned is used again": {since: func(b *bits, key string, seen []byte) ([]byte, error) {
			since, err := b.lacks(key, seen)
			return append(buf[:0], since...), err
		}, seen: func(b *bits, key string) []byte { return append(buf[:0], encode(b.keys[key])...) }},
	} {
		t.Run(name, func(t *testing.T) {
			err := storetest.Check(t.Context(), config(func() antientropy.Store {
				return &telling{bits: newBits(), seen: f.seen, since: f.since}
			}))
			require.ErrorContains(t, err, "storetest: what another lacks: ")
			t.Log(err)
		})
	}
}

func (b *bits) locked(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// A flaw makes a store, and is found by a check.
type flaw struct {
	name, found string
	make        func() *flawed
}

func flaws() []flaw {
	merging := func(f func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error)) func() *flawed {
		return func() *flawed { return &flawed{bits: newBits(), merged: f} }
	}
	var secrets byte
	return []flaw{
		{"a key that is not there is an error", "empty", func() *flawed {
			return &flawed{bits: newBits(), loaded: func(b *bits, ctx context.Context, key string) ([]byte, error) {
				if state, _ := b.Load(ctx, key); len(state) > 0 {
					return state, nil
				}
				return nil, errors.New("no rows")
			}}
		}},
		{"loading makes a key", "empty", func() *flawed {
			return &flawed{bits: newBits(), loaded: func(b *bits, ctx context.Context, key string) ([]byte, error) {
				b.locked(func() { b.set(key, b.keys[key]) })
				return b.Load(ctx, key)
			}}
		}},
		{"each store has a secret of its own", "index agrees with load", func() *flawed {
			secrets++
			b := newBits()
			b.index = merkle.New(merkle.NewHasher([]byte{secrets}))
			return &flawed{bits: b}
		}},
		{"the index is one behind", "index agrees with load", func() *flawed {
			b := newBits()
			old := b.Index()
			return &flawed{bits: b, indexed: func(b *bits) *merkle.Tree { return old }, merged: func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
				b.locked(func() { old = b.index.Snapshot() })
				return b.Merge(ctx, key, state)
			}}
		}},
		{"the last write wins", "merge joins in any order", merging(func(b *bits, ctx context.Context, key string, state []byte) (novel []byte, err error) {
			b.locked(func() {
				if set := binary.BigEndian.Uint32(state); b.keys[key] != set {
					b.set(key, set)
					novel = state
				}
			})
			return novel, nil
		})},
		{"fingerprints are of the writes", "index agrees with load", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(ctx, key, state)
			b.locked(func() {
				if len(novel) > 0 {
					b.index.Set(key, b.index.Hasher().Sum(append(encode(b.keys[key]), state...)))
				}
			})
			return novel, err
		})},
		{"everything is always new", "merge is idempotent", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			_, err := b.Merge(ctx, key, state)
			return slices.Clone(state), err
		})},
		{"nothing is ever new", "merge returns novelty", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			_, err := b.Merge(ctx, key, state)
			return nil, err
		})},
		{"only the first of what is new", "merge returns novelty", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(ctx, key, state)
			if len(novel) > 0 {
				set := binary.BigEndian.Uint32(novel)
				novel = encode(set & -set)
			}
			return novel, err
		})},
		{"all that there is, if anything is new", "merge returns novelty", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(ctx, key, state)
			if len(novel) > 0 {
				return b.Load(ctx, key)
			}
			return novel, err
		})},
		{"nothing makes a key", "merge of nothing", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			if len(state) == 0 {
				b.locked(func() { b.set(key, b.keys[key]) })
			}
			return b.Merge(ctx, key, state)
		})},
		{"nothing deletes", "merge of nothing", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			if len(state) == 0 {
				b.locked(func() { delete(b.keys, key); b.index.Delete(key) })
			}
			return b.Merge(ctx, key, state)
		})},
		{"a bad state is passed over", "refusal changes nothing", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(ctx, key, state)
			if err == errBad {
				err = nil
			}
			return novel, err
		})},
		{"a bad state leaves a row", "refusal changes nothing", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(ctx, key, state)
			if err == errBad {
				b.locked(func() { b.set(key, b.keys[key]) })
			}
			return novel, err
		})},
		{"a bad state takes its key out of use", "refusal changes nothing", func() *flawed {
			out := map[string]bool{}
			return &flawed{bits: newBits(), merged: func(b *bits, ctx context.Context, key string, state []byte) (novel []byte, err error) {
				b.locked(func() {
					if out[key] {
						err = errBad
					}
					out[key] = out[key] || len(state) == 3
				})
				if err != nil {
					return nil, err
				}
				return b.Merge(ctx, key, state)
			}}
		}},
		{"a fingerprint of the length", "fingerprints tell states apart", func() *flawed {
			return &flawed{bits: newBits(), indexed: func(b *bits) *merkle.Tree {
				b.mu.Lock()
				defer b.mu.Unlock()
				t := merkle.New(b.index.Hasher())
				for key, set := range b.keys {
					t.Set(key, t.Hasher().Sum([]byte{byte(len(encode(set)))}))
				}
				return t
			}}
		}},
		{"the index itself is handed out", "index is a snapshot", func() *flawed {
			return &flawed{bits: newBits(), indexed: func(b *bits) *merkle.Tree { return b.index }}
		}},
		{"what is given is kept", "bytes belong to the caller", func() *flawed {
			kept := map[string][]byte{}
			return &flawed{bits: newBits(),
				indexed: func(b *bits) *merkle.Tree {
					b.mu.Lock()
					defer b.mu.Unlock()
					t := merkle.New(b.index.Hasher())
					for key, state := range kept {
						t.Set(key, t.Hasher().Sum(state))
					}
					return t
				},
				loaded: func(b *bits, ctx context.Context, key string) (state []byte, err error) {
					b.locked(func() { state = slices.Clone(kept[key]) })
					return state, nil
				},
				merged: func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
					novel, err := b.Merge(ctx, key, state)
					joined, _ := b.Load(ctx, key)
					b.locked(func() {
						if string(joined) == string(state) {
							kept[key] = state
						} else if len(joined) > 0 {
							kept[key] = joined
						}
					})
					return novel, err
				}}
		}},
		{"what is given is changed", "bytes belong to the caller", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(ctx, key, state)
			if err == nil && len(state) == 4 {
				state[0] = 0xff
			}
			return novel, err
		})},
		{"what was returned is used again", "bytes belong to the caller", func() *flawed {
			buf := make([]byte, 0, 64)
			return &flawed{bits: newBits(), merged: func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
				novel, err := b.Merge(ctx, key, state)
				if len(novel) == 0 {
					return nil, err
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				return append(buf[:0], novel...), err
			}}
		}},
		{"keys are folded", "any string is a key", func() *flawed {
			return &flawed{bits: newBits(), merged: func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
				return b.Merge(ctx, strings.ToLower(key), state)
			}, loaded: func(b *bits, ctx context.Context, key string) ([]byte, error) {
				return b.Load(ctx, strings.ToLower(key))
			}}
		}},
		{"a context that ended is an error of its own", "a context that ended", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(ctx, key, state)
			if ctx.Err() != nil {
				err = errors.New("driver: bad connection")
			}
			return novel, err
		})},
		{"merged all the same", "a context that ended", merging(func(b *bits, ctx context.Context, key string, state []byte) ([]byte, error) {
			novel, err := b.Merge(context.WithoutCancel(ctx), key, state)
			return novel, errors.Join(err, ctx.Err())
		})},
		{"an update is lost between two", "concurrent use", func() *flawed {
			turns := map[string]int{}
			return &flawed{bits: newBits(), merged: func(b *bits, ctx context.Context, key string, state []byte) (novel []byte, err error) {
				b.locked(func() { // of a key that many write to, as if another had written what it had read before
					if turns[key]++; turns[key] > 100 {
						b.set(key, b.keys[key]&^1)
					}
				})
				return b.Merge(ctx, key, state)
			}}
		}},
	}
}

func TestARightStoreIsRight(t *testing.T) {
	storetest.Run(t, config(func() antientropy.Store { return newBits() }))
	require.NoError(t, storetest.Check(t.Context(), config(func() antientropy.Store { return newBits() })))
}

// Each flaw is found, and by the check that says what is wrong.
func TestFlawedStoresAreFound(t *testing.T) {
	for _, f := range flaws() {
		t.Run(f.name, func(t *testing.T) {
			err := storetest.Check(t.Context(), config(func() antientropy.Store { return f.make() }))
			require.ErrorContains(t, err, "storetest: "+f.found+": ")
			t.Log(err)
		})
	}
}

// echoing is a store whose updates have what was merged.
type echoing struct {
	*bits
	feed chan string
}

func (e *echoing) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	novel, err := e.bits.Merge(ctx, key, state)
	if len(novel) > 0 {
		select {
		case e.feed <- key:
		default:
		}
	}
	return novel, err
}

func (e *echoing) Updates(ctx context.Context) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for {
			select {
			case key := <-e.feed:
				if !yield(key, nil) {
					return
				}
			case <-ctx.Done():
				for len(e.feed) > 0 {
					yield(<-e.feed, nil)
				}
				return
			}
		}
	}
}

func TestAnEchoIsFound(t *testing.T) {
	err := storetest.Check(t.Context(), config(func() antientropy.Store {
		return &echoing{newBits(), make(chan string, 8)}
	}))
	require.ErrorContains(t, err, "updates: ")
}

// A store of one's own is checked as a test of its package; outside of one, like
// this.
func ExampleCheck() {
	err := storetest.Check(context.Background(), storetest.Config{
		New:   func() antientropy.Store { return newBits() }, // one's own
		State: func(i int) []byte { return encode(1 << i) },
		Bad:   []byte("not a state"),
	})
	fmt.Println(err)
	// Output: <nil>
}

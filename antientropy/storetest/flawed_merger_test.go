package storetest_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/antientropy/storetest"
)

// A bulk is a right store that merges many at once, or one that does it in another way.
type bulk struct {
	*bits
	looks atomic.Int64 // calls of Load
	all   func(b *bulk, ctx context.Context, keys []string, states [][]byte) ([][]byte, []error)
}

func (b *bulk) Load(ctx context.Context, key string) ([]byte, error) {
	b.looks.Add(1)
	return b.bits.Load(ctx, key)
}

func (b *bulk) MergeAll(ctx context.Context, keys []string, states [][]byte) ([][]byte, []error) {
	if b.all != nil {
		return b.all(b, ctx, keys, states)
	}
	return b.eachOf(ctx, keys, states)
}

// eachOf merges one by one.
func (b *bulk) eachOf(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error) {
	for i, key := range keys {
		n, err := b.Merge(ctx, key, states[i])
		novel, errs = append(novel, n), append(errs, err)
	}
	return novel, errs
}

// looked lets others look, some times.
func (b *bulk) looked(times int64) {
	for until, turns := b.looks.Load()+times, 0; b.looks.Load() < until && turns < 100_000; turns++ {
		runtime.Gosched()
	}
}

func all(err error, n int) []error { return slices.Repeat([]error{err}, n) }

func TestAStoreThatMergesManyAtOnce(t *testing.T) {
	storetest.Run(t, config(func() antientropy.Store { return &bulk{bits: newBits()} }))
}

func TestFlawedMergersAreFound(t *testing.T) {
	type states = [][]byte
	var results [][]byte
	for name, merge := range map[string]func(b *bulk, ctx context.Context, keys []string, all states) (states, []error){
		"only the first": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys[:min(1, len(keys))], in)
			return append(novel, make(states, len(keys)-len(novel))...), append(errs, make([]error, len(keys)-len(errs))...)
		},
		"no errors is nil": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys, in)
			if errors.Join(errs...) == nil {
				errs = nil
			}
			return novel, errs
		},
		"what is new alone": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys, in)
			return slices.DeleteFunc(novel, func(n []byte) bool { return len(n) == 0 }), errs
		},
		"the last of each key": func(b *bulk, ctx context.Context, keys []string, in states) (novel states, errs []error) {
			for i, key := range keys {
				if slices.Contains(keys[i+1:], key) {
					novel, errs = append(novel, in[i]), append(errs, nil)
					continue
				}
				n, err := b.Merge(ctx, key, in[i])
				novel, errs = append(novel, n), append(errs, err)
			}
			return novel, errs
		},
		"all that is new to what was there before": func(b *bulk, ctx context.Context, keys []string, in states) (novel states, errs []error) {
			had := make(map[string]uint32)
			b.locked(func() {
				for _, key := range keys {
					had[key] = b.keys[key]
				}
			})
			_, errs = b.eachOf(ctx, keys, in)
			for i, key := range keys {
				n := []byte(nil)
				if len(in[i]) == 4 && errs[i] == nil {
					n = encode(binary.BigEndian.Uint32(in[i]) &^ had[key])
				}
				novel = append(novel, n)
			}
			return novel, errs
		},
		"the order of keys": func(b *bulk, ctx context.Context, keys []string, in states) (novel states, errs []error) {
			return b.eachOf(ctx, slices.Sorted(slices.Values(keys)), in)
		},
		"a bad state ends it": func(b *bulk, ctx context.Context, keys []string, in states) (novel states, errs []error) {
			var failed error
			for i, key := range keys {
				var n []byte
				if failed == nil {
					n, failed = b.Merge(ctx, key, in[i])
				}
				novel, errs = append(novel, n), append(errs, failed)
			}
			return novel, errs
		},
		"a bad state undoes it": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			for _, state := range in {
				if len(state) != 4 && len(state) > 0 {
					return make(states, len(keys)), all(errBad, len(keys))
				}
			}
			return b.eachOf(ctx, keys, in)
		},
		"a bad state is passed over": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys, in)
			for i := range errs {
				if errs[i] == errBad {
					errs[i] = nil
				}
			}
			return novel, errs
		},
		"nothing makes a key": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			b.locked(func() {
				for i, key := range keys {
					if len(in[i]) == 0 {
						b.set(key, b.keys[key])
					}
				}
			})
			return b.eachOf(ctx, keys, in)
		},
		"what is given is changed": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys, in)
			clear(in)
			return novel, errs
		},
		"what is given is sorted": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys, in)
			slices.Sort(keys)
			return novel, errs
		},
		"what was returned is used again": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys, in)
			results = append(results[:0], novel...)
			return results, errs
		},
		"an error, but merged in part": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			novel, errs := b.eachOf(ctx, keys, in)
			if err := ctx.Err(); err != nil {
				return make(states, len(keys)), all(err, len(keys))
			}
			return novel, errs
		},
		"an error of its own for a context": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			if ctx.Err() != nil {
				return make(states, len(keys)), all(errors.New("driver: bad connection"), len(keys))
			}
			return b.eachOf(ctx, keys, in)
		},
		"the last comes first": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			last := len(keys) - 1
			if last != 31 {
				return b.eachOf(ctx, keys, in)
			}
			first, err := b.Merge(ctx, keys[last], in[last])
			b.looked(64)
			novel, errs := b.eachOf(ctx, keys[:last], in)
			return append(novel, first), append(errs, err)
		},
		"an update is lost between two": func(b *bulk, ctx context.Context, keys []string, in states) (states, []error) {
			if len(keys) == 5 { // as if it had been read before the last ones
				b.locked(func() { b.set(keys[0], 0) })
			}
			return b.eachOf(ctx, keys, in)
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := storetest.Check(t.Context(), config(func() antientropy.Store {
				return &bulk{bits: newBits(), all: merge}
			}))
			require.ErrorContains(t, err, "storetest: many merged at once: ")
			t.Log(err)
		})
	}
}

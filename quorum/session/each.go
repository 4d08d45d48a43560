package session

import (
	"context"
	"sync"
	"sync/atomic"
)

// each calls do with each of some keys, so many at once, and returns when all calls have ended. The first that fails
// ends the others, and says why. One at once is called here, in the order of the keys.
func each(ctx context.Context, atOnce int, keys []string, do func(ctx context.Context, key string) error) error {
	if min(atOnce, len(keys)) <= 1 {
		for _, key := range keys {
			if err := do(ctx, key); err != nil {
				return err
			}
		}
		return nil
	}
	within, stop := context.WithCancel(ctx)
	defer stop()
	var (
		all   sync.WaitGroup
		taken atomic.Int64
		once  sync.Once
		first error
	)
	for range min(atOnce, len(keys)) {
		all.Go(func() {
			for i := taken.Add(1); int(i) <= len(keys) && within.Err() == nil; i = taken.Add(1) {
				if err := do(within, keys[i-1]); err != nil {
					once.Do(func() { first = err })
					stop()
				}
			}
		})
	}
	all.Wait()
	if first != nil {
		return first
	}
	return ctx.Err()
}

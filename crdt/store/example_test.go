package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

func Example() {
	ctx := context.Background()
	paris := store.New(store.Config{Replica: vclock.NewReplicaID("paris")})
	tokyo := store.New(store.Config{Replica: vclock.NewReplicaID("tokyo")})
	visit := func(s *store.Store, n int64) []byte {
		delta, err := store.Update(s, "visits", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			return c.Add(by.Replica, n)
		})
		if err != nil {
			fmt.Println(err)
		}
		encoded, _ := delta.Bytes()
		return encoded
	}

	there, back := visit(paris, 2), visit(tokyo, 3) // concurrently
	_, _ = tokyo.Merge(ctx, "visits", there)
	_, _ = paris.Merge(ctx, "visits", back)

	_, _ = store.View(tokyo, "visits", func(c *crdt.PNCounter) { fmt.Println("visits:", c.Value()) })
	fmt.Println("agreed:", paris.Index().Root() == tokyo.Index().Root())
	// Output:
	// visits: 5
	// agreed: true
}

func ExampleUpdate() {
	s := store.New(store.Config{})
	rename := func(to string) {
		_, err := store.Update(s, "name", func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
			return r.Set(by.Stamp(), to)
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	rename("Ada")
	rename("Grace")

	var name string
	found, err := store.View(s, "name", func(r *crdt.LWWRegister[string]) { name, _ = r.Value() })
	fmt.Println(name, found, err)
	// Output: Grace true <nil>
}

// Several changes of one value in one update: their deltas are joined.
func ExampleUpdate_several() {
	s := store.New(store.Config{})
	_, _ = store.Update(s, "basket", func(b *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		delta := b.Add(by.Replica, "milk", "salt")
		delta.Merge(b.Remove("salt"))
		return delta
	})
	_, _ = store.View(s, "basket", func(b *crdt.ORSet[string]) { fmt.Println(slices.Collect(b.All())) })
	// Output: [milk]
}

func ExampleStore_Delete() {
	s := store.New(store.Config{})
	put := func(element string) {
		_, _ = store.Update(s, "basket", func(b *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
			return b.Add(by.Replica, element)
		})
	}
	put("milk")
	delta, err := s.Delete("basket")
	fmt.Println(delta.Key(), err, slices.Collect(s.Keys("")))

	put("bread")
	_, _ = store.View(s, "basket", func(b *crdt.ORSet[string]) { fmt.Println(slices.Collect(b.All())) })
	// Output:
	// basket <nil> []
	// [bread]
}

func ExampleStore_Merge_refused() {
	s := store.New(store.Config{})
	ahead := store.New(store.Config{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	delta, _ := store.Update(ahead, "name", func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		return r.Set(by.Stamp(), "Ada")
	})

	state, _ := delta.Bytes()
	_, err := s.Merge(context.Background(), "name", state)
	drift, ok := errors.AsType[*vclock.DriftError](err)
	fmt.Println(ok, drift.Ahead.Round(time.Minute), s.Len())
	// Output: true 1h0m0s 0
}

func ExampleStore_Watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := store.New(store.Config{})
	changed := s.Watch(ctx, "user/") // from here on nothing is missed
	for _, key := range []string{"user/1", "group/1", "user/2", "user/1"} {
		_, _ = store.Update(s, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			return c.Add(by.Replica, 1)
		})
	}
	for key := range changed {
		fmt.Println(key)
		if key == "user/2" {
			cancel()
		}
	}
	// Output:
	// user/1
	// user/2
}

func ExampleStore_Updates() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, replica := store.New(store.Config{}), store.New(store.Config{})
	updates := s.Updates(ctx)
	for _, key := range []string{"a", "b", "a"} {
		_, _ = store.Update(s, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			return c.Add(by.Replica, 1)
		})
	}
	for key, delta := range updates {
		if delta == nil { // too much was pending
			delta, _ = s.Load(ctx, key)
		}
		_, _ = replica.Merge(ctx, key, delta)
		if key == "b" {
			cancel()
		}
	}
	fmt.Println(s.Index().Root() == replica.Index().Root())
	// Output: true
}

func ExampleStore_Keys() {
	s := store.New(store.Config{})
	for _, key := range []string{"user/2", "group/1", "user/1"} {
		_, _ = store.Update(s, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			return c.Add(by.Replica, 1)
		})
	}
	fmt.Println(slices.Collect(s.Keys("user/")), s.Len())
	// Output: [user/1 user/2] 3
}

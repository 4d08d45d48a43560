package store_test

import (
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/antientropy/storetest"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A Store does what those who replicate rely on, with short and with long memories.
func TestAStoreIsWhatReplicationNeeds(t *testing.T) {
	for _, retain := range []int{1, 1 << 20} {
		t.Run(fmt.Sprint(retain), func(t *testing.T) {
			storetest.Run(t, storetest.Config{
				New: func() antientropy.Store { return store.New(store.Config{Retain: retain}) },
				State: func(i int) []byte {
					return insert(t, store.New(store.Config{Replica: vclock.Named(fmt.Sprint(i))}), "k", fmt.Sprint(i))
				},
				Bad: []byte("bad"),
				Delete: func(st antientropy.Store, key string) error {
					_, err := st.(*store.Store).Delete(key)
					return err
				},
			})
		})
	}
}

package pebblestore_test

import (
	"fmt"
	"log"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/crdt/store/pebblestore"
	"github.com/eventual-go/eventual/vclock"
)

// What two deltas of a counter add up to. A store does this by itself.
func Example() {
	b, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem()}) // without FS: a folder on the disk
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	var visits crdt.PNCounter
	for range 2 {
		delta, err := crdt.Wrap(crdt.Standard(), visits.Add(vclock.Named("paris"), 1))
		if err != nil {
			log.Fatal(err)
		}
		value, err := delta.AppendBinary(nil)
		if err != nil {
			log.Fatal(err)
		}
		commit, err := b.Apply([]store.Op{{Kind: store.OpJoin, Key: []byte("visits"), Value: value}}, true)
		if err != nil {
			log.Fatal(err)
		}
		if err := commit.Wait(); err != nil { // now it is on the disk
			log.Fatal(err)
		}
	}

	value, err := b.Get([]byte("visits"))
	if err != nil {
		log.Fatal(err)
	}
	state, err := crdt.Standard().Decode(value)
	if err != nil {
		log.Fatal(err)
	}
	counter, _ := crdt.Component[*crdt.PNCounter](crdt.Standard(), state)
	fmt.Println(counter.Value())
	// Output: 2
}

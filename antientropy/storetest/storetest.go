// Package storetest checks that a [antientropy.Store] of one's own does what the
// packages that replicate rely on. A store that is nearly right loses data, or keeps
// its replicas sending for ever, and only now and then; here it fails at once.
//
// # Smallest use
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Config{
//			New:   func() antientropy.Store { return open(t.TempDir()) },
//			State: func(i int) []byte { return encode(i) },
//		})
//	}
//
// Run it with -race: one of the checks calls the store from many goroutines.
//
// # What is checked
//
// Merge joins: in any order, any number of times, and a part of a state again. It
// returns what was new, of which another store learns as much as from the state; and
// nothing where nothing was. What it refuses changes nothing, and no other key. Load
// and Index agree, on what there is and on what there is not. Equal states have equal
// fingerprints in any two stores of one secret, and different ones do not. An index
// that was asked for stays as it was. Bytes belong to whom the interface says. Keys
// may be any strings. Two stores reconcile, with each differing key sent once. Of a store
// that tells what another lacks ([antientropy.Differ]) that is as good as the whole state,
// and nothing if nothing lacks; it is checked of states that are large enough only where
// those of Config.State are.
//
// Of a store that merges many at once ([antientropy.Merger]) that it is as if they were merged one
// by one, in their order, also for those who look meanwhile, and whenever the context ends.
//
// Of a store that is an [antientropy.Follower] its generations too; of one that is an
// [antientropy.Collector], if there is a Delete, that it forgets what all have agreed on,
// that nothing late brings that back, and that one which was away is brought to where the
// others are.
//
// Durability is not: a store that forgets is one that never had it, as far as merging
// goes. Check that with the store's own tests, by what is there after a crash.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/antientropy"
)

// A Config is the store to check, and states for it.
type Config struct {
	// New returns another store, empty and independent of all others but for the
	// secret that it hashes with, which is the same for all. What is to be closed, the
	// one who calls Run closes. Needed.
	New func() antientropy.Store

	// State returns the state numbered i, from 0 to 31. None of them contains another,
	// nor do the joins of different ones: the set of i alone is such a state, and so is
	// a counter that one writer, i, has increased. Equal numbers give equal states.
	// Needed.
	State func(i int) []byte

	// Bad is a state that Merge has to refuse, if there is one.
	Bad []byte

	// Delete deletes what a store has under a key, so that what is left of it can be
	// forgotten, at once. It is needed to check a Collector; if nil, that is left out.
	Delete func(st antientropy.Store, key string) error
}

// states is how many there are.
const states = 32

// Run checks a store, each promise in a subtest.
func Run(t *testing.T, c Config) {
	t.Helper()
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			if err := p.check(&suite{Config: c, ctx: t.Context()}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check is Run without a test: it returns the first promise that is broken, nil if
// none is.
func Check(ctx context.Context, c Config) error {
	for _, p := range promises {
		if err := p.check(&suite{Config: c, ctx: ctx}); err != nil {
			return fmt.Errorf("storetest: %s: %w", p.name, err)
		}
	}
	return nil
}

type promise struct {
	name  string
	check func(s *suite) error
}

var promises = []promise{
	{"empty", (*suite).empty},
	{"index agrees with load", (*suite).indexAgrees},
	{"bytes belong to the caller", (*suite).ownership},
	{"merge joins in any order", (*suite).anyOrder},
	{"merge is idempotent", (*suite).idempotent},
	{"merge returns novelty", (*suite).novelty},
	{"merge of nothing", (*suite).nothing},
	{"refusal changes nothing", (*suite).refusal},
	{"fingerprints tell states apart", (*suite).fingerprints},
	{"index is a snapshot", (*suite).snapshot},
	{"any string is a key", (*suite).anyKey},
	{"a context that ended", (*suite).ended},
	{"concurrent use", (*suite).concurrent},
	{"many merged at once", (*suite).mergingMany},
	{"stores reconcile", (*suite).reconcile},
	{"updates", (*suite).updates},
	{"generations", (*suite).generations},
	{"forgetting", (*suite).forgetting},
	{"only the last promise counts", (*suite).promises},
	{"a store that is emptied", (*suite).emptied},
	{"what another lacks", (*suite).differing},
}

package store_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// around is a backend that has something done before and after a key is taken away from it, once.
type around struct {
	store.Backend
	before, after func()
}

func (b *around) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	before, after := b.before, b.after
	if before == nil || len(ops) == 0 || ops[0].Kind != store.OpDelete || ops[0].Key[0] != 'v' {
		return b.Backend.Apply(ops, sync)
	}
	b.before = nil
	before()
	defer after()
	return b.Backend.Apply(ops, sync)
}

// A key that is made anew while it is forgotten is not taken from the disk with what was forgotten: what is acknowledged
// by then is there.
func TestAKeyMadeAnewWhileItIsForgottenStays(t *testing.T) {
	m := newHost("s")
	b := &around{Backend: m.disk.Mount()}
	st, err := store.Open(m.cfg, b)
	require.NoError(t, err)
	s := &subject{Store: st}
	insert(t, st, "k", "old")
	remove(t, st, "k")
	s.settle(t)
	done := make(chan struct{})
	b.before = func() {
		go func() {
			defer close(done)
			insert(aside{t}, st, "k", "new")
		}()
		for range 1000 { // long enough, if nothing holds it up
			runtime.Gosched()
		}
	}
	b.after = func() {
		select {
		case <-done:
			require.Len(t, m.disk.Keys(string(onDisk('v', 0, "k"))), 1)
		default:
		}
	}
	s.settle(t)
	<-done
	require.Zero(t, check(t, st).Faults)
	require.NoError(t, st.Close())
	require.Equal(t, []string{"new"}, members(t, m.open(t), "k"))
}

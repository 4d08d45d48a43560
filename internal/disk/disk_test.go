package disk

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

func set(key, value string) store.Op {
	return store.Op{Kind: store.OpSet, Key: []byte(key), Value: []byte(value)}
}

func without(kind store.OpKind, key string) store.Op { return store.Op{Kind: kind, Key: []byte(key)} }

// contents is what a disk holds, in order.
func contents(t *testing.T, d *Disk) string {
	t.Helper()
	var all []string
	require.NoError(t, d.Mount().Scan(nil, nil, func(key, value []byte) error {
		all = append(all, string(key)+"="+string(value))
		return nil
	}))
	return strings.Join(all, " ")
}

func apply(t *testing.T, b store.Backend, sync bool, ops ...store.Op) {
	t.Helper()
	c, err := b.Apply(ops, sync)
	require.NoError(t, err)
	if sync {
		require.NoError(t, c.Wait())
	}
}

func TestACrashKeepsTheFirstSoManyWrites(t *testing.T) {
	for keep, want := range []string{"a=1 ab=1", "a=2 ab=1", "b=1", "a=3 b=1", "a=3 b=1"} {
		d := New(crdt.Standard(), "here")
		b := d.Mount()
		apply(t, b, true, set("a", "1"), set("ab", "1"))
		apply(t, b, false, set("a", "2"))
		apply(t, b, false, without(store.OpDeletePrefix, "a"), set("b", "1"))
		apply(t, b, false, set("a", "3"))
		require.Equal(t, 3, d.Tail())
		require.EqualValues(t, 1, d.Synced())
		require.EqualValues(t, 4, d.Last([]byte("a")))
		require.EqualValues(t, 1+min(keep, 3), d.Crash(keep))
		_, err := b.Get([]byte("a"))
		require.ErrorIs(t, err, ErrPulled)
		require.Equal(t, want, contents(t, d))
		require.Zero(t, d.Tail())
	}
}

func TestNobodyKnowsWhetherAFailedWriteIsThere(t *testing.T) {
	for keep, want := range map[int]string{1: "a=1", 2: "a=2"} {
		d := New(crdt.Standard(), "here")
		b := d.Mount()
		d.Fail(2, ErrFull)
		apply(t, b, false, set("a", "1"))
		_, err := b.Apply([]store.Op{set("a", "2")}, false)
		require.ErrorIs(t, err, ErrFull)
		_, err = b.Apply([]store.Op{set("a", "3")}, false)
		require.ErrorIs(t, err, ErrFull, "for good")
		require.ErrorIs(t, d.Failed(), ErrFull)
		d.Crash(keep)
		require.Equal(t, want, contents(t, d))
		require.NoError(t, d.Failed(), "until it is mounted again")
	}
}

func TestAFailedSyncLeavesTheTail(t *testing.T) {
	d := New(crdt.Standard(), "here")
	b := d.Mount()
	d.FailSync(1, ErrFailed)
	c, err := b.Apply([]store.Op{set("a", "1")}, true)
	require.NoError(t, err)
	require.ErrorIs(t, c.Wait(), ErrFailed)
	require.ErrorIs(t, b.Close(), ErrFailed)
	require.Equal(t, 1, d.Tail())
	d.Crash(0)
	require.Empty(t, contents(t, d))
}

func TestACopyIsAsItWas(t *testing.T) {
	d := New(crdt.Standard(), "here")
	b := d.Mount()
	apply(t, b, false, set("a", "1"))
	c := d.Copy("there")
	apply(t, b, false, set("a", "2"))
	c.Crash(0)
	require.Equal(t, "a=1", contents(t, c), "it is durable")
	require.Equal(t, "there", c.Place())
	require.Equal(t, "a=2", contents(t, d))
}

func TestDamageLastsUntilTheKeyIsOverwritten(t *testing.T) {
	d := New(crdt.Standard(), "here")
	b := d.Mount()
	apply(t, b, true, set("a", "1"))
	d.Damage([]byte("a"))
	_, err := b.Get([]byte("a"))
	require.ErrorIs(t, err, store.ErrDamaged)
	apply(t, b, false, store.Op{Kind: store.OpJoin, Key: []byte("a"), Value: []byte("2")})
	_, err = b.Get([]byte("a"))
	require.ErrorIs(t, err, store.ErrDamaged, "what is added changes nothing")
	apply(t, b, false, set("a", "3"))
	got, err := b.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "3", string(got))
	d.Crash(0)
	require.True(t, d.Damaged([]byte("a")), "nor is it overwritten any more")
}

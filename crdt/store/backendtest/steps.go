package backendtest

import (
	"bytes"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

func set(key, value string) store.Op {
	return store.Op{Kind: store.OpSet, Key: []byte(key), Value: []byte(value)}
}

func join(key string, value []byte) store.Op {
	return store.Op{Kind: store.OpJoin, Key: []byte(key), Value: value}
}

func del(key string) store.Op { return store.Op{Kind: store.OpDelete, Key: []byte(key)} }

func delPrefix(key string) store.Op { return store.Op{Kind: store.OpDeletePrefix, Key: []byte(key)} }

// apply applies steps and waits until they are durable.
func (r *rig) apply(b store.Backend, ops ...store.Op) {
	r.Helper()
	c, err := b.Apply(ops, true)
	require.NoError(r, err)
	require.NotNil(r, c, "with sync there is a Commit")
	require.NoError(r, c.Wait())
}

// write applies steps that nobody waits for.
func (r *rig) write(b store.Backend, ops ...store.Op) {
	r.Helper()
	c, err := b.Apply(ops, false)
	require.NoError(r, err)
	require.Nil(r, c, "without sync there is no Commit")
}

func (r *rig) get(b store.Backend, key string) string {
	r.Helper()
	value, err := b.Get([]byte(key))
	require.NoError(r, err)
	return string(value)
}

// all is what a scan visits, as key=value.
func (r *rig) all(b store.Backend, prefix, from string) (found []string) {
	r.Helper()
	require.NoError(r, b.Scan([]byte(prefix), []byte(from), func(key, value []byte) error {
		found = append(found, string(key)+"="+string(value))
		return nil
	}))
	return found
}

// delta is the encoding of a set to which a replica has added one element as its n-th event.
func delta(by string, n uint64, element string) []byte {
	kinds := crdt.Standard()
	var s crdt.ORSet[string]
	for range n - 1 {
		s.Add(vclock.Named(by), "before")
	}
	v, err := crdt.Wrap(kinds, s.Add(vclock.Named(by), element))
	if err != nil {
		panic(err) // kinds has sets
	}
	b, err := v.AppendBinary(nil)
	if err != nil {
		panic(err) // strings have an encoding
	}
	return b
}

func testNothing(r *rig) {
	b, _ := r.fresh()
	value, err := b.Get([]byte("key"))
	require.NoError(r, err)
	require.Nil(r, value)
	require.Empty(r, r.all(b, "", ""))
	r.apply(b)
	r.write(b)
	r.apply(b, del("key"), delPrefix("k"))
	require.Empty(r, r.all(b, "", ""))
	r.close(b)
}

func testSteps(r *rig) {
	b, _ := r.fresh()
	r.apply(b, set("a", "1"), set("b", "2"), set("a", "3"))
	require.Equal(r, "3", r.get(b, "a"), "steps are carried out in their order")
	r.write(b, del("a"), set("b", "4"), del("b"), set("b", "5"))
	require.Equal(r, []string{"b=5"}, r.all(b, "", ""))
	r.apply(b, set("b", "6"), delPrefix("b"), set("ba", "7"))
	require.Equal(r, []string{"ba=7"}, r.all(b, "", ""))
	r.apply(b, set("ba", strings.Repeat("x", 1<<20)))
	require.Len(r, r.get(b, "ba"), 1<<20)
	r.close(b)
}

func testAnyKey(r *rig) {
	b, place := r.fresh()
	keys := []string{"\x00", "\x00\x00", "a", "a\x00", "a/b", "ä", "\xff", "\xff\xff", strings.Repeat("k", 4000)}
	for _, key := range keys {
		r.write(b, set(key, "of "+key))
	}
	for range 2 {
		for _, key := range keys {
			require.Equal(r, "of "+key, r.get(b, key))
			require.Contains(r, r.all(b, key, ""), key+"=of "+key)
		}
		require.Len(r, r.all(b, "", ""), len(keys))
		r.close(b)
		b = r.open(place)
	}
	r.close(b)
}

func testDeletePrefix(r *rig) {
	b, _ := r.fresh()
	keys := []string{"a", "aa", "aa\xff", "aa\xff\xff", "ab", "b", "\xff", "\xff\xfe", "\xff\xff", "\xff\xff\x00"}
	for _, prefix := range []string{"a", "aa", "aa\xff", "aab", "\xff", "\xff\xff", "b", "c"} {
		var want []string
		for _, key := range keys {
			r.write(b, set(key, "1"), join(key+"-joined", delta("a", 1, "x")))
			if !strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		r.write(b, delPrefix(prefix), set(prefix+"again", "2"))
		for _, key := range keys {
			require.Equal(r, !strings.HasPrefix(key, prefix), r.get(b, key) != "", "%q after the prefix %q", key, prefix)
			require.Equal(r, !strings.HasPrefix(key, prefix), r.get(b, key+"-joined") != "", "%q after the prefix %q", key, prefix)
		}
		require.Equal(r, "2", r.get(b, prefix+"again"))
		require.Len(r, r.all(b, "", ""), 2*len(want)+1, "after the prefix %q", prefix)
		r.write(b, delPrefix(prefix), join(prefix, delta("a", 1, "x")))
		require.Equal(r, string(delta("a", 1, "x")), r.get(b, prefix), "nothing is joined with what was deleted")
		r.write(b, del(prefix))
	}
	r.close(b)
}

func testJoins(r *rig) {
	b, place := r.fresh()
	kinds := crdt.Standard()
	one, two, three := delta("a", 1, "one"), delta("b", 1, "two"), delta("a", 2, "three")
	want := string(store.Joined(kinds, one, two, three))

	r.write(b, join("k", one), set("other", "x"), join("k", two))
	r.write(b, join("k", three))
	require.Equal(r, want, r.get(b, "k"))
	require.Equal(r, []string{"k=" + want, "other=x"}, r.all(b, "", ""))
	r.apply(b, set("k", string(one)), join("k", two))
	require.Equal(r, string(store.Joined(kinds, one, two)), r.get(b, "k"), "on top of what was set")
	r.apply(b, join("k", three), del("k"), join("k", three))
	require.Equal(r, string(three), r.get(b, "k"), "not on top of what was deleted")
	r.apply(b, set("k", string(three)), join("k", three), join("k", three))
	require.Equal(r, string(three), r.get(b, "k"))
	for i := range 300 {
		r.write(b, join("many", delta("a", uint64(i+1), "x")))
	}
	many := r.get(b, "many")
	r.close(b)
	b = r.open(place)
	require.Equal(r, string(three), r.get(b, "k"))
	require.Equal(r, many, r.get(b, "many"))
	v, err := kinds.Decode([]byte(many))
	require.NoError(r, err)
	require.EqualValues(r, 300, lastOf(v, "a"))
	r.close(b)
}

// lastOf is the number of the last event of a replica in a value.
func lastOf(v *crdt.Value, by string) (last uint64) {
	for _, c := range v.Contexts().All() {
		last = max(last, c.Max(vclock.Named(by)))
	}
	return last
}

func testBadOperands(r *rig) {
	b, place := r.fresh()
	kinds := crdt.Standard()
	one, two := delta("a", 1, "one"), delta("b", 1, "two")
	bad := []byte("garbage")
	r.write(b, join("k", one))
	r.write(b, join("k", bad))
	r.write(b, join("k", two), join("next", one))
	for range 2 {
		require.Equal(r, string(store.Joined(kinds, one, bad, two)), r.get(b, "k"), "it hides no other, and is not hidden")
		require.Equal(r, string(one), r.get(b, "next"))
		require.Len(r, r.all(b, "", ""), 2)
		r.close(b)
		b = r.open(place)
	}
	r.write(b, set("k", string(two)))
	require.Equal(r, string(two), r.get(b, "k"))
	r.close(b)
}

func testBytesAreTheCallers(r *rig) {
	b, _ := r.fresh()
	value := delta("a", 1, "one")
	ops := []store.Op{set("s", "value"), join("j", bytes.Clone(value)), delPrefix("p")}
	c, err := b.Apply(ops, true)
	require.NoError(r, err)
	for _, op := range ops {
		spoil(op.Key)
		spoil(op.Value)
	}
	require.NoError(r, c.Wait())
	require.Equal(r, "value", r.get(b, "s"))
	require.Equal(r, string(value), r.get(b, "j"))

	for _, key := range []string{"s", "j"} {
		got, err := b.Get([]byte(key))
		require.NoError(r, err)
		kept := string(got)
		spoil(got)
		require.Equal(r, kept, r.get(b, key))
		name := []byte(key)
		got, err = b.Get(name)
		require.NoError(r, err)
		spoil(name)
		r.apply(b, set(key, "another"))
		require.Equal(r, kept, string(got), "a later write changes what Get returned")
	}
	r.close(b)
}

func spoil(b []byte) {
	for i := range b {
		b[i] ^= 0x55
	}
}

package caspaxos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

type node = transport.NodeID

func kinds(t testing.TB) *crdt.Kinds {
	k, err := crdt.Standard().With(caspaxos.Kind)
	require.NoError(t, err)
	return k
}

// cluster is registers on nodes a, b, c, ..., which hold all keys in stores.
func cluster(t testing.TB, net *mem.Network, n int, ahead bool) []*caspaxos.Registers {
	var ring quorum.Everywhere
	for i := range n {
		ring = append(ring, node(rune('a'+i)))
	}
	var all []*caspaxos.Registers
	for _, id := range ring {
		k := kinds(t)
		r := &caspaxos.Registers{Self: id, Local: store.New(store.Config{Kinds: k}), Kinds: k, Ring: ring, Ahead: ahead}
		r.Caller = net.Node(id, r.Handler())
		all = append(all, r)
	}
	return all
}

// A latency makes round trips countable.
const latency = time.Second / 10

func timed(f func()) (trips int) {
	began := time.Now()
	f()
	return int(time.Since(began) / (2 * latency))
}

// bubble runs a test on a clock of its own, and waits for what calls left behind.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(2 * caspaxos.DefaultTimeout)
	})
}

func TestWhatCallsCost(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			net := &mem.Network{Link: mem.Link{Latency: latency}}
			all := cluster(t, net, 3, ahead)
			a, b := all[0], all[1]
			var v caspaxos.Value
			var err error
			trips := func(f func()) int { n := timed(f); require.NoError(t, err); synctest.Wait(); return n }
			assert.Equal(t, 1, trips(func() { v, err = a.Read(t.Context(), "k") }), "a read of nothing")
			assert.False(t, v.Found)
			assert.Equal(t, 2, trips(func() { v, err = a.Create(t.Context(), "k", []byte("1")) }))
			time.Sleep(latency)
			second := 2
			if ahead {
				second = 1
			}
			assert.Equal(t, second, trips(func() { v, err = a.CompareAndSet(t.Context(), "k", v.Version, []byte("2")) }))
			assert.Equal(t, second, trips(func() {
				v, err = a.Change(t.Context(), "k", func(v caspaxos.Value) ([]byte, error) { return append(v.Data, '3'), nil })
			}))
			time.Sleep(latency)
			assert.Equal(t, 1, trips(func() { v, err = b.Read(t.Context(), "k") }), "a read of what is settled")
			assert.Equal(t, "23", string(v.Data))
			assert.Equal(t, 1, trips(func() { v, err = a.Read(t.Context(), "k") }), "also at who has asked for promises ahead")
			assert.Equal(t, second, trips(func() { v, err = a.CompareAndSet(t.Context(), "k", v.Version, []byte("4")) }), "reads take nothing away")
			assert.Equal(t, "4", string(v.Data))
		})
	}
}

func TestConflicts(t *testing.T) {
	all := cluster(t, new(mem.Network), 3, false)
	ctx := t.Context()
	one, err := all[0].Create(ctx, "k", []byte("1"))
	require.NoError(t, err)
	var conflict *caspaxos.ConflictError
	_, err = all[1].Create(ctx, "k", []byte("2"))
	require.ErrorAs(t, err, &conflict)
	assert.Equal(t, one, conflict.Current)
	assert.Equal(t, one.Version, conflict.Current.Version)
	_, err = all[2].CompareAndSet(ctx, "k", caspaxos.Ballot{}, []byte("2"))
	require.ErrorAs(t, err, &conflict)
	two, err := all[2].CompareAndSet(ctx, "k", one.Version, []byte{})
	require.NoError(t, err)
	assert.True(t, two.Found, "nothing is something")
	assert.Positive(t, two.Version.Compare(one.Version))
	_, err = all[0].CompareAndSet(ctx, "k", one.Version, []byte("3"))
	require.ErrorAs(t, err, &conflict)

	gone, err := all[0].CompareAndSet(ctx, "k", two.Version, nil)
	require.NoError(t, err)
	assert.False(t, gone.Found)
	v, err := all[1].Read(ctx, "k")
	require.NoError(t, err)
	assert.Equal(t, gone, v, "a deletion has a version")
	_, err = all[1].CompareAndSet(ctx, "k", caspaxos.Ballot{}, []byte("4"))
	require.ErrorAs(t, err, &conflict, "it is not as if it had never been")
	v, err = all[1].Create(ctx, "k", nil)
	require.NoError(t, err)
	assert.True(t, v.Found)

	errMine := errors.New("mine")
	_, err = all[1].Change(ctx, "k", func(caspaxos.Value) ([]byte, error) { return nil, errMine })
	assert.Equal(t, errMine, err)
	again, err := all[0].Read(ctx, "k")
	require.NoError(t, err)
	assert.Equal(t, v, again)
}

// Many change one key at the same time, each change is made once.
func TestRivals(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			all := cluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond, Jitter: time.Millisecond}}, 5, ahead)
			var wg sync.WaitGroup
			const each = 4
			for _, r := range all {
				for i := range 2 {
					wg.Go(func() {
						for n := range each {
							mark := fmt.Sprintf("%s%d%d ", r.Self, i, n)
							for {
								_, err := r.Change(t.Context(), "k", func(v caspaxos.Value) ([]byte, error) { return append(v.Data, mark...), nil })
								if err == nil {
									break
								}
								v, err := r.Read(t.Context(), "k")
								if err == nil && slices.Contains(strings.Fields(string(v.Data)), strings.TrimSpace(mark)) {
									break
								}
							}
						}
					})
				}
			}
			wg.Wait()
			v, err := all[0].Read(t.Context(), "k")
			require.NoError(t, err)
			marks := strings.Fields(string(v.Data))
			slices.Sort(marks)
			assert.Len(t, slices.Compact(marks), len(all)*2*each)
			assert.Len(t, strings.Fields(string(v.Data)), len(all)*2*each)
		})
	}
}

// What a call says where too few answer.
func TestTooFew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net := new(mem.Network)
		all := cluster(t, net, 3, false)
		v, err := all[0].Create(t.Context(), "k", []byte("1"))
		require.NoError(t, err)

		net.Down("b")
		v, err = all[0].CompareAndSet(t.Context(), "k", v.Version, []byte("2"))
		require.NoError(t, err, "one of three may be away")
		net.Down("c")
		var unavailable *quorum.UnavailableError
		_, err = all[0].Read(t.Context(), "k")
		require.ErrorAs(t, err, &unavailable)
		assert.Equal(t, 1, unavailable.Answered)
		_, err = all[0].CompareAndSet(t.Context(), "k", v.Version, []byte("3"))
		require.ErrorAs(t, err, &unavailable)
		var unknown *caspaxos.UnknownError
		assert.False(t, errors.As(err, &unknown), "nobody was asked to accept anything")

		net.Up("b")
		net.Up("c")
		net.Partition([]node{"a"}, []node{"b", "c"})
		var late *quorum.TimeoutError
		_, err = all[0].Read(t.Context(), "k")
		require.ErrorAs(t, err, &late)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = all[0].Read(ctx, "k")
		assert.Equal(t, context.Canceled, err)
	})
}

// fickle is a Caller that is cut off once promises have been made.
type fickle struct {
	transport.Caller
	net   *mem.Network
	calls int
	mu    sync.Mutex
}

func (f *fickle) Call(ctx context.Context, to node, method string, req []byte) ([]byte, error) {
	resp, err := f.Caller.Call(ctx, to, method, req)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.calls == 1 {
		f.net.Partition([]node{"a"}, []node{"b", "c"})
	}
	return resp, err
}

// A change that may or may not come to be is neither a success nor a failure, and shows later.
func TestUnknown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: latency}}
		all := cluster(t, net, 3, false)
		all[0].Caller = &fickle{Caller: all[0].Caller, net: net}
		_, err := all[0].Create(t.Context(), "k", []byte("1"))
		var unknown *caspaxos.UnknownError
		require.ErrorAs(t, err, &unknown)
		var late *quorum.TimeoutError
		require.ErrorAs(t, err, &late, "and why")
		require.NotEmpty(t, unknown.Versions)
		net.Heal()
		before, err := all[1].Read(t.Context(), "k")
		require.NoError(t, err)
		assert.False(t, before.Found, "a majority holds nothing")
		var seen caspaxos.Ballot
		v, err := all[0].Change(t.Context(), "k", func(v caspaxos.Value) ([]byte, error) { seen = v.Version; return append(v.Data, '2'), nil })
		require.NoError(t, err)
		assert.Equal(t, "12", string(v.Data))
		assert.Contains(t, unknown.Versions, seen, "the node's own acceptor had it")
		w, err := all[1].Read(t.Context(), "k")
		require.NoError(t, err)
		assert.Equal(t, v, w)
	})
}

func TestMisuse(t *testing.T) {
	_, err := new(caspaxos.Registers).Read(t.Context(), "k")
	require.Error(t, err)
	_, err = (&caspaxos.Registers{Ring: quorum.Everywhere{}}).Read(t.Context(), "k")
	var level *quorum.LevelError
	require.ErrorAs(t, err, &level)
	_, err = (&caspaxos.Registers{Self: "a", Ring: quorum.Everywhere{"a"}}).Create(t.Context(), "k", nil)
	var unavailable *quorum.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	_, err = (&caspaxos.Registers{Ring: quorum.Everywhere{"a"}}).Create(t.Context(), "k", nil)
	require.ErrorAs(t, err, &unavailable)
	_, err = new(caspaxos.Registers).Change(t.Context(), "k", nil)
	require.Error(t, err)
	all := cluster(t, new(mem.Network), 3, false)
	all[0].Timeout, all[0].MaxValue = -time.Hour, -1
	_, err = all[0].Create(t.Context(), "k", []byte("1"))
	require.NoError(t, err, "as if they were zero")
	_, err = new(caspaxos.Registers).Handler().ServeCall(t.Context(), "", "caspaxos/else", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
}

// late is a Caller whose requests to one node take long, and are given up with their context.
type late struct {
	transport.Caller
	to node
}

func (l late) Call(ctx context.Context, to node, method string, req []byte) ([]byte, error) {
	if to == l.to {
		select {
		case <-time.After(time.Second / 2):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return l.Caller.Call(ctx, to, method, req)
}

// Who is late to accept gets what was decided without it, though the caller has gone.
func TestAllAreAskedToAccept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		all := cluster(t, new(mem.Network), 3, false)
		all[0].Caller = late{all[0].Caller, "c"}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := all[0].Create(ctx, "k", []byte("1"))
		require.NoError(t, err)
		cancel()
		time.Sleep(time.Second)
		state, err := all[2].Local.Load(t.Context(), caspaxos.Prefix+"k")
		require.NoError(t, err)
		require.NotEmpty(t, state)
	})
}

// A node that was given a table without acceptors does not know what its store holds, and must not say that it is nothing.
func TestKindsWithoutAcceptors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		all := cluster(t, new(mem.Network), 3, false)
		_, err := all[0].Create(t.Context(), "k", []byte("1"))
		require.NoError(t, err)
		synctest.Wait()
		for _, r := range all[1:] {
			r.Kinds = crdt.Standard()
		}
		_, err = all[0].Read(t.Context(), "k")
		require.ErrorContains(t, err, "no kind")
		_, err = all[1].Read(t.Context(), "k")
		var unavailable *quorum.UnavailableError
		require.ErrorAs(t, err, &unavailable)
	})
}

package handoff_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/vclock"
)

type sloppy struct{}

func (sloppy) Place(string) quorum.Placement {
	return quorum.Placement{Owners: []transport.NodeID{"a", "b", "c"}, Fallbacks: []transport.NodeID{"d"}}
}

type callee func(ctx context.Context, to transport.NodeID, m string, req []byte) ([]byte, error)

func (f callee) Call(ctx context.Context, to transport.NodeID, m string, req []byte) ([]byte, error) {
	return f(ctx, to, m, req)
}

// What was deleted and forgotten is not brought back by a hint from before, in whose place its target is read.
func TestTrap15_AHintFromBeforeBringsNothingBack(t *testing.T) {
	ctx := t.Context()
	all := map[transport.NodeID]*store.Store{}
	ids := []transport.NodeID{"a", "b", "c", "d"}
	for _, id := range ids {
		s := store.New(store.Config{Replica: vclock.Named(string(id)), Kinds: crdt.Standard()})
		_, err := s.Adopt(ctx, "")
		require.NoError(t, err)
		all[id] = s
	}
	h := &handoff.Handoff{Self: "d", Join: all["d"].Join, Replica: all["d"]}
	go h.Run(ctx)
	coord := map[transport.NodeID]*quorum.Coordinator{}
	for _, id := range ids {
		coord[id] = &quorum.Coordinator{Self: id, Local: all[id], Ring: sloppy{}, Join: all[id].Join}
	}
	coord["d"].Hints = h
	var away atomic.Bool // b and c are
	coord["a"].Caller = callee(func(ctx context.Context, to transport.NodeID, m string, req []byte) ([]byte, error) {
		if away.Load() && (to == "b" || to == "c") {
			return nil, fmt.Errorf("%w", transport.ErrUnreachable)
		}
		return coord[to].Handler().ServeCall(ctx, "a", m, req)
	})
	_, err := store.Update(all["a"], "k", func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return s.Add(by.Replica, "milk")
	})
	require.NoError(t, err)
	state, err := all["a"].Load(ctx, "k")
	require.NoError(t, err)
	require.NoError(t, h.Keep(ctx, "b", "k", state)) // b was away
	for _, id := range ids[1:3] {
		_, err := all[id].Merge(ctx, "k", state) // and has it now
		require.NoError(t, err)
	}
	_, err = all["a"].Delete("k")
	require.NoError(t, err)
	gone, _ := all["a"].Load(ctx, "k")
	for _, id := range ids[1:] {
		_, err := all[id].Merge(ctx, "k", gone)
		require.NoError(t, err)
	}
	p := all["a"].Propose(1<<20, 0)
	var replies [][]byte
	for _, id := range ids {
		r, err := all[id].Prepare(ctx, p)
		require.NoError(t, err)
		replies = append(replies, r)
	}
	rec, err := all["a"].Conclude(ctx, p, replies)
	require.NoError(t, err)
	for _, id := range ids[1:] {
		require.NoError(t, all[id].Settle(ctx, rec))
	}
	read := func() quorum.ReadResult {
		res, err := coord["a"].Read(ctx, "k", quorum.ReadOptions{Level: quorum.Majority, Fallbacks: quorum.FallbacksCount})
		require.NoError(t, err)
		return res
	}
	require.False(t, read().Found)
	away.Store(true)
	for range 2 {
		res := read()
		require.False(t, res.Found, "%x", res.State)
		require.Equal(t, 1, res.StoodIn)
	}
	held, err := h.Held(ctx, "k")
	require.NoError(t, err)
	require.NotEmpty(t, held, "the control")
}

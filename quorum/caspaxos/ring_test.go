package caspaxos_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/transport/mem"
)

// A stage is a ring of which nodes know an older or a newer one. It learns the newest by being refreshed.
type stage struct {
	all  []quorum.Placement
	at   atomic.Int64
	from []node
}

func (s *stage) Place(string) quorum.Placement { return s.all[s.at.Load()] }

func (s *stage) Refresh(_ context.Context, from node) error {
	s.from = append(s.from, from)
	s.at.Store(int64(len(s.all) - 1))
	return nil
}

// A proposer that is behind is refused, learns, and asks again, also of those who hold the key from then on.
func TestAnOlderRingIsRefused(t *testing.T) {
	old := quorum.Placement{Owners: []node{"a", "b", "c"}, Version: 1}
	joint := quorum.Placement{Owners: old.Owners, Next: []node{"c", "d", "e"}, Version: 2}
	net := new(mem.Network)
	rings, all := make(map[node]*stage), make(map[node]*caspaxos.Registers)
	for _, id := range []node{"a", "b", "c", "d", "e"} {
		k := kinds(t)
		rings[id] = &stage{all: []quorum.Placement{old, joint}}
		all[id] = &caspaxos.Registers{Self: id, Local: store.New(store.Config{Kinds: k}), Kinds: k, Ring: rings[id]}
		all[id].Caller = net.Node(id, all[id].Handler())
	}
	v, err := all["a"].Create(t.Context(), "k", []byte("1"))
	require.NoError(t, err)

	rings["b"].at.Store(1)
	rings["c"].at.Store(1)
	v, err = all["a"].CompareAndSet(t.Context(), "k", v.Version, []byte("2"))
	require.NoError(t, err)
	require.Len(t, rings["a"].from, 1)
	assert.Contains(t, []node{"b", "c"}, rings["a"].from[0])

	net.Down("d")
	w, err := all["a"].Read(t.Context(), "k")
	require.NoError(t, err, "two of three and two of three are there")
	assert.Equal(t, v, w)
	net.Down("e")
	var unavailable *quorum.UnavailableError
	_, err = all["a"].Read(t.Context(), "k")
	require.ErrorAs(t, err, &unavailable)
	assert.Equal(t, "next owners", unavailable.Condition)
}

// Who cannot learn says who refused it.
func TestARingThatCannotLearn(t *testing.T) {
	k := kinds(t)
	net := new(mem.Network)
	newer := &stage{all: []quorum.Placement{{Owners: []node{"a"}, Version: 2}}}
	a := &caspaxos.Registers{Self: "a", Local: store.New(store.Config{Kinds: k}), Kinds: k, Ring: newer}
	net.Node("a", a.Handler())
	older := fixed{Owners: []node{"a"}, Version: 1}
	z := &caspaxos.Registers{Self: "z", Ring: older, Caller: net.Node("z", nil)}
	_, err := z.Create(t.Context(), "k", nil)
	var moved *quorum.RingError
	require.ErrorAs(t, err, &moved)
	assert.Equal(t, uint64(2), moved.Mine)
}

type fixed quorum.Placement

func (f fixed) Place(string) quorum.Placement { return quorum.Placement(f) }

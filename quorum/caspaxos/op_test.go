package caspaxos

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
)

// An opened is three nodes, of which steps of calls are answered one by one.
type opened struct {
	t     *testing.T
	nodes map[node]*Registers
	rings map[node]*quorum.Placement
}

func open3(t *testing.T) *opened {
	o := &opened{t: t, nodes: map[node]*Registers{}, rings: map[node]*quorum.Placement{}}
	for _, id := range []node{"a", "b", "c"} {
		o.rings[id] = &quorum.Placement{Owners: []node{"a", "b", "c"}, Version: 1}
		o.nodes[id] = &Registers{Self: id, Local: &shelf{states: map[string][]byte{}}, Kinds: kinds, Ring: pointed{o.rings[id]}}
	}
	return o
}

type pointed struct{ p *quorum.Placement }

func (p pointed) Place(string) quorum.Placement { return *p.p }

func (o *opened) op(at node, proposer uint64, change func(Value) ([]byte, error)) *Op {
	return NewOp(OpConfig{Registers: o.nodes[at], Key: "k", Change: change, Proposer: proposer})
}

// serve answers one request.
func (o *opened) serve(op *Op, s Send) []Send {
	resp, err := o.nodes[s.To].Handler().ServeCall(o.t.Context(), "", Method, s.Request())
	require.NoError(o.t, err)
	return op.Answer(s, resp, nil)
}

// run answers all requests, and what comes of them.
func (o *opened) run(op *Op, sends []Send) {
	for len(sends) > 0 {
		next := o.serve(op, sends[0])
		sends = append(sends[1:], next...)
	}
}

func set(text string) func(Value) ([]byte, error) {
	return func(Value) ([]byte, error) { return []byte(text), nil }
}

func TestOp(t *testing.T) {
	o := open3(t)
	write := o.op("a", 9, set("1"))
	o.run(write, write.Start())
	require.True(t, write.Done())
	v, err := write.Result()
	require.NoError(t, err)
	require.Equal(t, Value{Data: []byte("1"), Found: true, Version: Ballot{2, 9}}, v, "a key that was never changed is looked at first")

	read := o.op("b", 8, nil)
	o.run(read, read.Start())
	w, err := read.Result()
	require.NoError(t, err)
	require.Equal(t, v, w)

	taken := errors.New("taken")
	refused := o.op("c", 7, func(Value) ([]byte, error) { return nil, taken })
	o.run(refused, refused.Start()) // the first ballot of c is lower than the one that there is
	require.True(t, refused.Done(), "and a majority holds what it does not change")
	_, err = refused.Result()
	require.ErrorIs(t, err, taken)
}

// Who is outbid goes on by another round; of what was proposed nobody knows what became when time is over.
func TestOpThatIsOutbid(t *testing.T) {
	o := open3(t)
	before := o.op("c", 3, set("0"))
	o.run(before, before.Start())
	o.nodes["a"].guess.Store(5)
	o.nodes["b"].guess.Store(6)
	first, second := o.op("a", 1, set("1")), o.op("b", 2, set("2"))
	var accepts []Send
	for _, s := range first.Start() {
		accepts = append(accepts, o.serve(first, s)...)
	}
	require.NotEmpty(t, accepts)
	o.run(second, second.Start())
	require.True(t, second.Done())
	o.run(first, accepts)
	by, blocked := first.Blocked()
	require.True(t, blocked)
	require.Empty(t, by)
	first.Timeout()
	require.True(t, first.Done())
	require.Empty(t, first.Retry())
	_, err := first.Result()
	unknown, ok := errors.AsType[*UnknownError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, []Ballot{{6, 1}}, unknown.Versions)
}

func TestOpByAnOlderPlacement(t *testing.T) {
	o := open3(t)
	o.rings["b"].Version, o.rings["c"].Version = 2, 2
	op := o.op("a", 1, set("1"))
	o.run(op, op.Start())
	by, blocked := op.Blocked()
	require.True(t, blocked)
	require.Contains(t, []node{"b", "c"}, by)
	o.rings["a"].Version = 2
	o.run(op, op.Retry())
	_, err := op.Result()
	require.NoError(t, err)

	o.rings["a"].Owners = nil
	op = o.op("a", 1, nil)
	require.Empty(t, op.Start())
	_, err = op.Result()
	_, ok := errors.AsType[*quorum.LevelError](err)
	require.True(t, ok, "%v", err)
}

func TestOpOfNothing(t *testing.T) {
	for _, r := range []*Registers{nil, {}} {
		op := NewOp(OpConfig{Registers: r})
		require.Empty(t, op.Start())
		op.Timeout()
		_, err := op.Result()
		require.Equal(t, errNoRing, err)
	}
}

package placed

import (
	"maps"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/quorum/caspaxos"
)

// forgetPromises is a mistake that is planted: a node writes down what it accepts, and keeps in memory alone what it has
// promised besides.
func (r *run) forgetPromises(n *node) {
	if planted.Bug != planted.PromiseLost {
		return
	}
	before := n.replica
	n.replica = r.newReplica(n)
	n.replica.has = before.has
	for _, name := range slices.Sorted(maps.Keys(r.byName)) {
		k := r.byName[name]
		state, err := before.Load(r.ctx, k.name)
		if err == nil && k.agreed {
			state, err = accepted(before, state)
		}
		if err == nil && len(state) > 0 {
			_, err = n.replica.store.Merge(r.ctx, k.name, state)
		}
		if err != nil {
			r.fail(unexplained, k.name, "%v", err)
		}
	}
}

// accepted is what is left of an acceptor without what it has promised since it accepted something.
func accepted(p *replica, state []byte) ([]byte, error) {
	v, err := p.Decode(state)
	if err != nil {
		return nil, err
	}
	s, ok := crdt.Component[*caspaxos.State](kinds, v)
	if !ok {
		return nil, nil
	}
	b, err := s.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	d, err := wire.NewReader(b)
	if err != nil || d.Array() < 5 {
		return nil, err
	}
	d.Uint()
	d.Uint()
	w, ballot := wire.NewWriter(nil), [2]uint64{d.Uint(), d.Uint()}
	if ballot == [2]uint64{} {
		return nil, nil
	}
	w.Array(5)
	for range 2 {
		w.Uint(ballot[0])
		w.Uint(ballot[1])
	}
	w.Bytes(d.Bytes())
	left := new(caspaxos.State)
	if err = left.UnmarshalBinary(w.Done()); err != nil {
		return nil, err
	}
	b, err = kinds.Append(nil, left)
	return p.Seal(b), err
}

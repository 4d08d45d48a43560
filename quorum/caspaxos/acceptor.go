package caspaxos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A Store holds the states of an acceptor. A *store.Store of crdt/store is one. What it has acknowledged it must not
// lose: see Durability in the package documentation.
type Store interface {
	quorum.Replica
	// Decode returns the value in a state that Load returned.
	Decode(state []byte) (*crdt.Value, error)
	// Seal returns the state that an encoded value is, for Merge.
	Seal(value []byte) []byte
}

// Prefix begins the keys under which a [Registers] stores states, and asks its Ring who holds them. What is there must
// be left alone: not deleted, not given a deadline.
const Prefix = "\x00cas/"

// reach is how much farther than what it has promised to a ballot may be for an acceptor to consider it. Nobody needs to
// go that far at once, and who does so is in error, or means harm: ballots must not come to an end.
const reach = 1 << 40

// answer is what an acceptor that knows s says to a request, and what it has to add to s before it says so.
func (s *State) answer(q *request) (p reply, add *State) {
	p = reply{promised: s.promised, accepted: s.accepted, record: s.record, firm: s.firm()}
	switch {
	case q.ask == askLook:
		return p, nil
	case planted.Bug == planted.CopyCounts && q.ask == askAccept && s.accepted == q.ballot:
		return p, nil
	case q.ask == askPrepare && !q.when.met(s):
		p.said = saidUnmet
		return p, nil
	case q.ballot.before(s.promised):
		p.said = saidOutbid
		return p, nil
	case max(q.ballot.Counter, q.ahead) > s.promised.Counter+reach:
		p.said = saidFar
		return p, nil
	case q.ask == askPrepare:
		return p, &State{pledge: pledge{promised: q.ballot, known: s.accepted}}
	}
	ahead := Ballot{max(q.ahead, q.ballot.Counter), q.ballot.Proposer}
	return p, &State{pledge: pledge{promised: ahead, known: q.ballot}, accepted: q.ballot, record: q.record}
}

// Handler serves the other nodes from Local. It decodes at most what it was sent, and refuses with a [*MessageError],
// or [ErrVersion]. It needs no other fields than Local and Kinds; with Ring it refuses what comes by an older
// placement.
func (r *Registers) Handler() transport.Handler {
	return transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		if method != Method {
			return nil, fmt.Errorf("%w %q", transport.ErrUnknownMethod, method)
		}
		q, err := decodeRequest(req)
		if err != nil {
			return nil, err
		}
		p, err := r.serve(ctx, &q)
		if err != nil {
			return nil, err
		}
		return p.encode(), nil
	})
}

// serve answers one request. Requests of one key take turns: what is loaded must still be all that was ever answered
// for when the promise is merged. Anti-entropy does not wait for that turn, and need not: what it brings is no answer.
//
// The ring is looked at before and after, as for all that a quorum counts: who reconciled with this node by a newer
// ring meanwhile may have missed this.
func (r *Registers) serve(ctx context.Context, q *request) (reply, error) {
	switch {
	case r.Local == nil:
		return reply{}, errNoLocal
	case r.Kinds == nil:
		return reply{}, errNoKinds
	case q.ask == askAccept && len(q.record) > r.maxValue()+maxVersions:
		return reply{}, &TooLargeError{Key: q.key, Size: len(q.record) - maxVersions, Limit: r.maxValue()}
	}
	if p, moved := r.moved(q); moved {
		return p, nil
	}
	key := q.key
	if planted.Bug == planted.TurnsIgnored {
		key = strconv.FormatUint(rand.Uint64(), 36)
	}
	if err := r.turns.enter(ctx, key); err != nil {
		return reply{}, err
	}
	defer r.turns.leave(key)
	s, err := r.load(ctx, q.key)
	if err != nil {
		return reply{}, err
	}
	p, add := s.answer(q)
	if planted.Bug == planted.PromiseForgotten && q.ask == askPrepare {
		add = nil
	}
	if add != nil {
		if err := r.store(ctx, q.key, add); err != nil {
			return reply{}, err
		}
	}
	if p, moved := r.moved(q); moved {
		return p, nil
	}
	return p, nil
}

func (r *Registers) moved(q *request) (p reply, moved bool) {
	if r.Ring == nil || planted.Bug == planted.PlacementUnchecked {
		return p, false
	}
	mine := r.Ring.Place(Prefix + q.key).Version
	return reply{said: saidMoved, placed: mine}, mine > q.placed
}

func (r *Registers) load(ctx context.Context, key string) (*State, error) {
	b, err := r.Local.Load(ctx, Prefix+key)
	if err != nil {
		return nil, err
	}
	v, err := r.Local.Decode(b)
	if err != nil {
		return nil, err
	}
	return crdt.Ensure[*State](r.Kinds, v) // fails where Kinds has no acceptors: what is stored must not seem not to be
}

func (r *Registers) store(ctx context.Context, key string, add *State) error {
	b, err := r.Kinds.Append(make([]byte, 0, 64+len(add.record)), add)
	if err != nil {
		return err
	}
	_, err = r.Local.Merge(ctx, Prefix+key, r.Local.Seal(b))
	return err
}

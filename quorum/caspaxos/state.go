package caspaxos

import (
	"bytes"
	"errors"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/internal/wire"
)

// Kind is what a store needs to hold the state of acceptors:
//
//	kinds, err := crdt.Standard().With(caspaxos.Kind)
//
// Its tag is 256. If that stands for something else in a system, make another one with [crdt.NewKind].
var Kind = crdt.NewKind[State](256, "acceptor")

// A State is what an acceptor knows of one key: the greatest ballot that was promised to, and the greatest proposal that
// it holds, which was proposed by a ballot no greater than that. Besides it knows which promises were made by who did
// not hold that proposal, so that it can be told whether later ones must follow from it. All of it only grows, so it
// is a [crdt.State], and is stored, reconciled and handed over like all others. Most users will not need it, but for
// Kind.
//
// The zero State knows nothing. It may be read by several goroutines, but not while one changes it.
type State struct {
	pledge
	accepted Ballot
	record   []byte // encoded; never changed in place
}

// Merge takes in what o knows. See [crdt.Lattice].
func (s *State) Merge(o *State) (changed bool) {
	_, changed = s.MergeNovel(o)
	return changed
}

// MergeNovel merges o and returns what of it was new: promises, a proposal with its promise, or both. See
// [crdt.Delta].
func (s *State) MergeNovel(o *State) (novel *State, changed bool) {
	novel = new(State)
	if s.beneath(o) {
		s.accepted, s.record = o.accepted, o.record
		*novel = State{pledge: pledge{promised: o.accepted, known: o.accepted}, accepted: o.accepted, record: o.record}
		changed = true
	}
	if joined := s.join(o.pledge); joined != s.pledge {
		s.pledge, novel.pledge = joined, o.pledge
		changed = true
	}
	return novel, changed
}

// beneath reports whether the proposal of o is the greater one. Two of one ballot are the same, unless somebody has
// broken the rules; then the bytes decide, so that all decide alike.
func (s *State) beneath(o *State) bool {
	if c := s.accepted.Compare(o.accepted); c != 0 {
		return c < 0
	}
	return bytes.Compare(s.record, o.record) < 0
}

// firm reports whether the proposal that s holds is as good as accepted by who has s: all promises to later ballots were
// made by who held it, and has told of it.
func (s *State) firm() bool {
	if planted.Bug == planted.HeldIsFirm {
		return true
	}
	return s.accepted == s.known && s.blind.IsZero()
}

// Clone returns a state of its own.
func (s *State) Clone() *State { c := *s; return &c }

// Empty reports whether nothing was promised. What was must never be forgotten, so there is no Reset.
func (s *State) Empty() bool { return s == nil || s.promised.IsZero() }

// AppendBinary appends the wire form: an array of nothing, of a ballot, of two and a record, or of these and two more.
func (s *State) AppendBinary(b []byte) ([]byte, error) {
	w := wire.NewWriter(b)
	w.Array(s.form())
	switch s.form() {
	case formNothing:
	case formPromise:
		putBallot(w, s.promised)
	default:
		putBallot(w, s.promised)
		putBallot(w, s.accepted)
		w.Bytes(s.record)
		if s.form() == formAll {
			putBallot(w, s.known)
			putBallot(w, s.blind)
		}
	}
	return w.Done(), nil
}

// Forms of a State, by their number of fields: each state has one.
const (
	formNothing  = 0
	formPromise  = 2 // made by who knew nothing
	formProposal = 5 // and all promises by who held it
	formAll      = 9
)

func (s *State) form() int {
	switch {
	case s.Empty():
		return formNothing
	case s.known != s.accepted || !s.blind.IsZero():
		return formAll
	case s.accepted.IsZero():
		return formPromise
	}
	return formProposal
}

// UnmarshalBinary replaces the state by the one in b, of which it keeps nothing. It returns a [*crdt.CorruptError] and
// changes nothing if b is not the wire form of a State.
func (s *State) UnmarshalBinary(b []byte) error {
	r, err := wire.NewReader(b)
	if err != nil {
		return corrupt(err)
	}
	var read State
	n := r.Array()
	switch n {
	case formNothing:
	case formPromise:
		read.promised = ballot(r)
	case formProposal, formAll:
		read.promised = ballot(r)
		read.proposal(r)
		read.known = read.accepted
		if n == formAll {
			read.known, read.blind = ballot(r), ballot(r)
		}
	default:
		r.Fail("wrong number of fields")
	}
	if r.Err() == nil && (read.form() != n || read.known.before(read.accepted) || read.wrong()) {
		r.Fail("not promised")
	}
	if err := r.Close(); err != nil {
		return corrupt(err)
	}
	*s = read
	return nil
}

// proposal reads what was accepted.
func (s *State) proposal(r *wire.Reader) {
	s.accepted = ballot(r)
	record := r.Bytes()
	if r.Err() != nil || s.accepted.IsZero() && len(record) == 0 {
		return
	}
	if why := unfit(s.accepted, record); why != "" {
		r.Fail(why)
	}
	s.record = bytes.Clone(record)
	if len(record) == 0 {
		s.record = nil
	}
}

// unfit says why an encoded record cannot be what a ballot proposes, if so.
func unfit(by Ballot, encoded []byte) string {
	var room [memory]Ballot
	rec, err := readRecord(encoded, room[:0])
	switch {
	case err != nil:
		return "not a record"
	case by.IsZero() || by.before(rec.version()):
		return "newer than its ballot"
	}
	return ""
}

func corrupt(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &crdt.CorruptError{Kind: Kind.String(), Offset: e.Offset, Reason: e.Reason}
	}
	return err
}

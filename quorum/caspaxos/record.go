package caspaxos

import (
	"bytes"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
)

// A Value is what a key holds.
type Value struct {
	// Data is the value, nil if there is none.
	Data []byte
	// Found says that there is one. A key that was deleted has none, and a Version.
	Found bool
	// Version names the change that made it so: each change makes a greater one. It is zero if there was none.
	Version Ballot
}

// memory is how many changes a record remembers.
const memory = 8

// maxVersions is the most that an encoded record has beside its data.
const maxVersions = 16 + 18*memory

// A record is what is proposed: a value, and the versions of the last changes that led to it, the latest first. By
// these a proposer whose change was neither acknowledged nor refused finds out later what became of it.
type record struct {
	found   bool
	data    []byte
	changes []Ballot
}

func (r *record) version() Ballot {
	if len(r.changes) == 0 {
		return Ballot{}
	}
	return r.changes[0]
}

// value is the record as a caller sees it, and may keep it.
func (r *record) value() Value {
	return Value{Data: bytes.Clone(r.data), Found: r.found, Version: r.version()}
}

// with returns the record that follows by a change: to data, or to nothing if that is nil.
func (r *record) with(data []byte, by Ballot) record {
	changes := append([]Ballot{by}, r.changes...)
	return record{found: data != nil, data: data, changes: changes[:min(len(changes), memory)]}
}

// A fate is what became of changes that were proposed.
type fate uint8

const (
	absent  fate = iota // none of them led to this record
	applied             // one of them did
	unknown             // nobody can tell any more
)

// fateOf says what became of proposals, of which at most one can have led to a record. The versions that led to it are
// greater the later they are, so what was forgotten is older than all that is remembered.
func (r *record) fateOf(mine []attempt) (f fate, at int) {
	for i := range mine {
		if slices.Contains(r.changes, mine[i].version) {
			return applied, i
		}
	}
	if n := len(r.changes); n == memory && len(mine) > 0 && !r.changes[n-1].before(mine[0].version) {
		return unknown, 0
	}
	return absent, 0
}

// encode returns the wire form: nothing for a record of nothing.
func (r *record) encode() []byte {
	if len(r.changes) == 0 {
		return nil
	}
	w := wire.NewWriter(make([]byte, 0, maxVersions+len(r.data)))
	w.Array(2 + 2*len(r.changes))
	w.Bool(r.found)
	w.Bytes(r.data)
	for _, b := range r.changes {
		putBallot(w, b)
	}
	return w.Done()
}

// decodeRecord returns the record in b, whose data aliases that. It accepts nothing that encode does not write.
func decodeRecord(b []byte) (r record, err error) {
	return readRecord(b, make([]Ballot, 0, memory))
}

// readRecord is decodeRecord with room for the versions.
func readRecord(b []byte, room []Ballot) (r record, err error) {
	if len(b) == 0 {
		return r, nil
	}
	r.changes = room
	rd, err := wire.NewReader(b)
	if err != nil {
		return r, err
	}
	n := rd.Array() - 2
	if rd.Err() == nil && (n < 2 || n > 2*memory || n%2 != 0) {
		rd.Fail("not a record")
	}
	r.found, r.data = rd.Bool(), rd.Bytes()
	for i := 0; i < n && rd.Err() == nil; i += 2 {
		b := ballot(rd)
		if b.IsZero() || i > 0 && !b.before(r.changes[len(r.changes)-1]) {
			rd.Fail("versions out of order")
		}
		r.changes = append(r.changes, b)
	}
	if rd.Err() == nil && !r.found && len(r.data) > 0 {
		rd.Fail("data of nothing")
	}
	if err := rd.Close(); err != nil {
		return record{}, err
	}
	if !r.found {
		r.data = nil
	}
	return r, nil
}

func putBallot(w *wire.Writer, b Ballot) {
	w.Uint(b.Counter)
	w.Uint(b.Proposer)
}

func ballot(r *wire.Reader) Ballot {
	b := Ballot{r.Uint(), r.Uint()}
	if r.Err() == nil && b.Counter >= maxCounter {
		r.Fail("ballot out of range")
	}
	return b
}

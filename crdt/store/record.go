package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/wire"
)

// A record is what all replicas of a cluster have agreed to forget: of each key the residue that its deletion left. It
// leads from one generation to the next. It is not changed once made.
type record struct {
	after    uint64 // the id of the generation that it is on top of
	at       stamp  // where it leads
	residues []residue
	encoded  []byte
}

// A residue is an encoded value that shows nothing.
type residue struct {
	key   string
	value []byte
}

// before is the generation that the record is on top of.
func (r *record) before() stamp { return stamp{r.at.number - 1, r.after} }

// on reports whether the record is on top of a generation.
func (r *record) on(s stamp) bool { return r.before() == s }

const (
	formState     = "state"
	formRecord    = "record"
	formReply     = "reply"
	recordVersion = 1

	recordOverhead  = 40 // of a record, beside its residues
	residueOverhead = 10 // of a residue, beside its bytes
)

// newRecord returns a record on top of a generation, by this replica as the n-th. Its id is a hash of all that.
func newRecord(on stamp, by [16]byte, n uint64, residues []residue) *record {
	r := &record{after: on.id, at: stamp{number: on.number + 1}, residues: residues}
	h := sha256.New()
	h.Write(by[:])
	h.Write(binary.BigEndian.AppendUint64(nil, n))
	h.Write(r.encode())
	r.at.id = binary.BigEndian.Uint64(h.Sum(nil))
	r.encoded = r.encode()
	return r
}

// without returns the record without some of its residues, by their indices; it leads to the same generation.
func (r *record) without(refused map[int]bool) *record {
	left := &record{after: r.after, at: r.at}
	for i, res := range r.residues {
		if !refused[i] {
			left.residues = append(left.residues, res)
		}
	}
	left.encoded = left.encode()
	return left
}

// encode returns [version, number, after, id, [key, value, ...]], keys in ascending order.
func (r *record) encode() []byte {
	w := wire.NewWriter(nil)
	w.Array(5)
	w.Uint(recordVersion)
	w.Uint(r.at.number)
	w.Uint(r.after)
	w.Uint(r.at.id)
	w.Array(2 * len(r.residues))
	for _, res := range r.residues {
		w.String(res.key)
		w.Bytes(res.value)
	}
	return w.Done()
}

// decodeRecord returns the record in b, of which it keeps nothing. The residues are looked at when they are used.
func decodeRecord(b []byte) (*record, error) {
	b = append([]byte(nil), b...)
	rd, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(formRecord, err)
	}
	fields := rd.Array()
	if v := rd.Uint(); rd.Err() == nil && v > recordVersion {
		return nil, &crdt.VersionError{Kind: formRecord, Version: v, Supported: recordVersion}
	} else if v != recordVersion || fields != 5 {
		rd.Fail("not a record")
	}
	r := &record{encoded: b}
	r.at.number, r.after, r.at.id = rd.Uint(), rd.Uint(), rd.Uint()
	if r.at.number <= genesis.number || r.at.number == genesis.number+1 && r.after != genesis.id {
		rd.Fail("no such generation")
	}
	n := rd.Array()
	if n%2 != 0 {
		rd.Fail("a key without residue")
	}
	for i := 0; i < n/2 && rd.Err() == nil; i++ {
		res := residue{rd.String(), rd.Bytes()}
		if i > 0 && res.key <= r.residues[i-1].key {
			rd.Fail("keys out of order")
		}
		if len(res.value) == 0 {
			rd.Fail("empty residue")
		}
		r.residues = append(r.residues, res)
	}
	return r, corrupt(formRecord, rd.Close())
}

// A reply to a proposal: [the indices of the residues that were refused], in ascending order.
func encodeReply(refused []int) []byte {
	w := wire.NewWriter(nil)
	w.Array(len(refused))
	for _, i := range refused {
		w.Uint(uint64(i))
	}
	return w.Done()
}

// decodeReply adds the indices in b, below n, to refused.
func decodeReply(b []byte, n int, refused map[int]bool) error {
	r, err := wire.NewReader(b)
	if err != nil {
		return corrupt(formReply, err)
	}
	for range r.Array() {
		i := r.Uint()
		if i >= uint64(n) {
			r.Fail("no such residue")
			break
		}
		refused[int(i)] = true
	}
	return corrupt(formReply, r.Close())
}

// corrupt makes what package wire says an error as of package crdt.
func corrupt(kind string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &crdt.CorruptError{Kind: kind, Offset: e.Offset, Reason: e.Reason}
	}
	return &crdt.CorruptError{Kind: kind, Reason: err.Error()}
}

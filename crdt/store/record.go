package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// A record is what all replicas of a cluster have agreed to forget: of some keys the residue that a deletion left, of
// others the names of replicas that have departed. It leads from one generation to the next. It is not changed once made.
type record struct {
	after    uint64 // the id of the generation that it is on top of
	at       stamp  // where it leads
	residues []item // encoded values that show nothing
	will     will
	estates  []item // encoded values that those in the will have left
	encoded  []byte
}

// A will says who inherits from whom, see [crdt.HandoverError].
type will struct {
	to   vclock.ReplicaID
	from []vclock.ReplicaID
}

// An item is one key of a record.
type item struct {
	key   string
	value []byte
}

func compareItem(it item, key string) int { return cmp.Compare(it.key, key) }

// find returns the value of a key in items, which are in ascending order.
func find(items []item, key string) (value []byte, ok bool) {
	i, ok := slices.BinarySearchFunc(items, key, compareItem)
	if !ok {
		return nil, false
	}
	return items[i].value, true
}

// concerns reports whether anything is agreed about a key.
func (r *record) concerns(key string) bool {
	_, one := find(r.residues, key)
	_, other := find(r.estates, key)
	return one || other
}

// keys yields the keys that anything is agreed about.
func (r *record) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, it := range slices.Concat(r.residues, r.estates) {
			if !yield(it.key) {
				return
			}
		}
	}
}

// items is how many there are, residues first.
func (r *record) items() int { return len(r.residues) + len(r.estates) }

// before is the generation that the record is on top of.
func (r *record) before() stamp { return stamp{r.at.number - 1, r.after} }

// on reports whether the record is on top of a generation.
func (r *record) on(s stamp) bool { return r.before() == s }

const (
	formState     = "state"
	formRecord    = "record"
	formReply     = "reply"
	recordVersion = 1

	recordOverhead = 80 // of a record, beside its items
	itemOverhead   = 10 // of an item, beside its bytes
	nameSize       = 18 // of a replica
)

// newRecord completes a record on top of a generation, by this replica as the n-th. Its id is a hash of all that.
func newRecord(on stamp, by vclock.ReplicaID, n uint64, r record) *record {
	r.tidy()
	r.after, r.at = on.id, stamp{number: on.number + 1}
	name := by.Bytes()
	h := sha256.New()
	h.Write(name[:])
	h.Write(binary.BigEndian.AppendUint64(nil, n))
	h.Write(r.encode())
	r.at.id = binary.BigEndian.Uint64(h.Sum(nil))
	r.encoded = r.encode()
	return &r
}

// without returns the record without some of its items, by their indices; it leads to the same generation.
func (r *record) without(refused map[int]bool) *record {
	left := &record{after: r.after, at: r.at, will: r.will}
	for i, it := range r.residues {
		if !refused[i] {
			left.residues = append(left.residues, it)
		}
	}
	for i, it := range r.estates {
		if !refused[len(r.residues)+i] {
			left.estates = append(left.estates, it)
		}
	}
	left.tidy()
	left.encoded = left.encode()
	return left
}

// tidy drops a will by which nobody inherits.
func (r *record) tidy() {
	if len(r.estates) == 0 {
		r.will = will{}
	}
}

// encode returns [version, number, after, id, residues, to, [from, ...], estates], of which residues and estates are
// [key, value, ...], keys in ascending order.
func (r *record) encode() []byte {
	w := wire.NewWriter(nil)
	w.Array(8)
	w.Uint(recordVersion)
	w.Uint(r.at.number)
	w.Uint(r.after)
	w.Uint(r.at.id)
	writeItems(w, r.residues)
	writeReplica(w, r.will.to)
	w.Array(len(r.will.from))
	for _, id := range r.will.from {
		writeReplica(w, id)
	}
	writeItems(w, r.estates)
	return w.Done()
}

func writeItems(w *wire.Writer, items []item) {
	w.Array(2 * len(items))
	for _, it := range items {
		w.String(it.key)
		w.Bytes(it.value)
	}
}

func readItems(r *wire.Reader) (items []item) {
	n := r.Array()
	if n%2 != 0 {
		r.Fail("a key without value")
	}
	for i := 0; i < n/2 && r.Err() == nil; i++ {
		it := item{r.String(), r.Bytes()}
		if i > 0 && it.key <= items[i-1].key {
			r.Fail("keys out of order")
		}
		if len(it.value) == 0 {
			r.Fail("empty value")
		}
		items = append(items, it)
	}
	return items
}

func writeReplica(w *wire.Writer, id vclock.ReplicaID) {
	b := id.Bytes()
	w.Bytes(b[:])
}

func readReplica(r *wire.Reader) vclock.ReplicaID {
	b := r.Bytes()
	if len(b) != 16 {
		r.Fail("not a replica")
		return vclock.ReplicaID{}
	}
	return vclock.ReplicaIDFrom([16]byte(b))
}

// decodeRecord returns the record in b, of which it keeps nothing. The values in it are looked at when they are used.
func decodeRecord(b []byte) (*record, error) {
	b = append([]byte(nil), b...)
	rd, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(formRecord, err)
	}
	fields := rd.Array()
	if v := rd.Uint(); rd.Err() == nil && v > recordVersion {
		return nil, &crdt.VersionError{Kind: formRecord, Version: v, Supported: recordVersion}
	} else if v != recordVersion || fields != 8 {
		rd.Fail("not a record")
	}
	r := &record{encoded: b}
	r.at.number, r.after, r.at.id = rd.Uint(), rd.Uint(), rd.Uint()
	if r.at.number <= genesis.number || r.at.number == genesis.number+1 && r.after != genesis.id {
		rd.Fail("no such generation")
	}
	r.residues = readItems(rd)
	r.will.to = readReplica(rd)
	for range rd.Array() {
		if rd.Err() != nil {
			break
		}
		r.will.from = append(r.will.from, readReplica(rd))
	}
	r.estates = readItems(rd)
	return r, corrupt(formRecord, rd.Close())
}

// A reply to a proposal: [the indices of the items that were refused], in ascending order.
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
			r.Fail("no such item")
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

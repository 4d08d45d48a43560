package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/eventual-go/eventual/crdt"
)

// A Backend keeps the bytes of a store, see [Open]. It knows nothing of what they mean, but that operands are joined
// ([Joined]). Package crdt/store/pebblestore has one on disk. Implementations are safe for concurrent use.
//
// Keys are any bytes, ordered as [bytes.Compare] does. None of the methods keeps what it was given, nor changes it.
type Backend interface {
	// Get returns what is under key; nil, and no error, if there is nothing. The result belongs to the caller. An
	// error that has [ErrDamaged] in its tree says that these bytes cannot be read any more, and others can.
	Get(key []byte) (value []byte, err error)

	// Apply carries out ops in their order, all of them or none, also over a crash. Get and Scan see it as soon as it
	// has returned, and one Apply that began after another had returned survives a crash only if that one does.
	//
	// With sync, Commit.Wait waits until this and all that was applied before is durable; Apply itself does not wait
	// for the disk, so those who wait together can be served by one write to it. There may be no ops then. Without
	// sync the Commit is nil, and a crash may take away what was applied last.
	//
	// An error, of Apply or of Wait, is final: nobody knows what is on the disk then. All that is applied later must
	// fail, too.
	Apply(ops []Op, sync bool) (Commit, error)

	// Scan calls visit for what there is under keys that start with prefix, from the key prefix+from on, in ascending
	// order, as of one moment. It stops at the first error of visit, and returns it as it is. The bytes are valid
	// during the call only; visit may call the backend.
	Scan(prefix, from []byte, visit func(key, value []byte) error) error

	// Place names the place where the bytes lie, a folder say. It is another one after they were copied or moved
	// elsewhere, also if they were copied back, as far as that can be told. It is empty if that cannot be told at all.
	Place() string

	// Close makes durable what was applied, and releases what the backend holds. No other method is called during
	// it or after it.
	Close() error
}

// A Commit is a number of writes on their way to the disk.
type Commit interface {
	// Wait returns as soon as they are durable. It is called exactly once.
	Wait() error
}

// An Op is one step of [Backend.Apply].
type Op struct {
	Kind  OpKind
	Key   []byte
	Value []byte // for OpSet and OpJoin
}

// An OpKind says what an [Op] does.
type OpKind uint8

// The kinds of steps. All of them must be carried out at a cost that has nothing to do with what there is under the key.
const (
	OpSet          OpKind = 1 + iota // put Value under Key in place of what is there
	OpJoin                           // add Value to what is there, see [Joined]
	OpDelete                         // take away what is under Key
	OpDeletePrefix                   // take away what is under all keys that start with Key
)

// Joined is what a [Backend] has to show under a key after values were put there by OpJoin, the oldest first, on top of
// what was there before, if anything. It may be applied to any of them that follow one another, in place of which the
// result can be kept.
//
// It is total: what does not decode is left out, and the result is marked as damaged ([Store.Check] and the store
// itself report that), so that one bad operand neither stops a backend nor hides the others. What only a program of
// another version or with other kinds can decode is kept as it is, and so is all that was to be joined with it. It costs
// O(all values). The result may be one of the values.
func Joined(kinds *crdt.Kinds, values ...[]byte) []byte {
	switch len(values) {
	case 0:
		return []byte{damagedMark}
	case 1:
		return values[0]
	}
	var whole crdt.Value
	damaged := false
	values = unpiled(values)
	for _, b := range values {
		b, marked := readable(b)
		damaged = damaged || marked
		v, err := kinds.Decode(b)
		if beyond(err) {
			return piled(values)
		}
		if err != nil {
			damaged = true
			continue
		}
		whole.Merge(v)
	}
	b, err := whole.AppendBinary(nil)
	if err != nil || damaged {
		return append([]byte{damagedMark}, b...)
	}
	return b
}

// damagedMark begins a value of which a part could not be read. No encoded value begins like that: msgpack does not
// use this byte.
const damagedMark = 0xc1

// readable returns the value in b without the mark of damage, and whether it was there.
func readable(b []byte) (value []byte, damaged bool) {
	if len(b) > 0 && b[0] == damagedMark {
		return b[1:], true
	}
	return b, false
}

// pileMark begins a number of values that were not joined.
var pileMark = []byte{damagedMark, damagedMark}

// piled puts values, oldest first, into one: each with its length before it.
func piled(values [][]byte) []byte {
	pile := slices.Clone(pileMark)
	for _, b := range values {
		pile = binary.AppendUvarint(pile, uint64(len(b)))
		pile = append(pile, b...)
	}
	return pile
}

// unpiled returns values with those in place of a pile that are in it. What comes after a broken length is one more.
func unpiled(values [][]byte) (all [][]byte) {
	for _, b := range values {
		pile, ok := bytes.CutPrefix(b, pileMark)
		if !ok {
			all = append(all, b)
			continue
		}
		for len(pile) > 0 {
			n, size := binary.Uvarint(pile)
			if size <= 0 || n > uint64(len(pile)-size) {
				all = append(all, pile)
				break
			}
			all = append(all, pile[size:size+int(n)])
			pile = pile[size+int(n):]
		}
	}
	return all
}

// beyond reports whether an error says that a program of another version, or with other kinds, can read what this one
// cannot: that is no damage, and must stay as it is.
func beyond(err error) bool {
	_, unknown := errors.AsType[*crdt.UnknownKindError](err)
	return unknown || errors.Is(err, crdt.ErrVersion)
}

package crdt

import (
	"cmp"
	"math"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// LWWRegister holds one value. Of concurrent writes the one with the latest timestamp stays and the others
// are lost, on all replicas alike.
//
// The order is total: by timestamp; then a reset after a value; then by value, in canonical order. So replicas
// agree even where two writes have one timestamp. A write or reset comes after everything that its replica has
// seen, also if the clock is behind, see [LWWRegister.Set].
//
// The zero LWWRegister is unset and ready to use. It may be read by several goroutines, but not while one
// changes it; copy it by Clone. All operations take O(1). Values are kept as they are given: do not change what
// a slice or pointer in T refers to. See the package documentation for the types that can be encoded; others
// work in memory, where two values with one timestamp are not ordered.
//
// It is the LWW-Register of Shapiro et al. 2011, section 3.2.1, meant for the stamps of a [vclock.HLC].
type LWWRegister[T any] struct {
	at    vclock.Timestamp
	stage stage
	value T // zero unless set
}

// stage orders what has one timestamp.
type stage uint8

const (
	unset   stage = iota // never written: before everything
	set                  // has a value
	cleared              // reset
)

// Set writes v and returns the delta. If ts does not come after the present timestamp, the write gets the next
// one after that, with the replica of ts: a write wins over what it saw. Let the clock observe the timestamps
// of others, see [LWWRegister.Latest], and that remains the exception. After the end of time, which is the greatest
// timestamp, there is no next one: nothing is written, and the delta is empty.
func (r *LWWRegister[T]) Set(ts vclock.Timestamp, v T) (delta *LWWRegister[T]) {
	written := r.write(ts, v) // so that Set is small enough to be inlined, and a delta that is not kept costs nothing
	return &written
}

func (r *LWWRegister[T]) write(ts vclock.Timestamp, v T) (delta LWWRegister[T]) {
	if r.stage != unset && ts.Compare(r.at) <= 0 {
		if ts = successor(r.at, ts.Replica); ts.Compare(r.at) <= 0 {
			return delta
		}
	}
	delta = LWWRegister[T]{at: ts, stage: set, value: v}
	*r = delta
	return delta
}

// successor returns the next moment after t. There is none after the end of time, which is that of int64.
func successor(t vclock.Timestamp, r vclock.ReplicaID) vclock.Timestamp {
	switch {
	case t.Logical < math.MaxUint32:
		t.Logical++
	case t.Wall < math.MaxInt64:
		t.Wall, t.Logical = t.Wall+1, 0
	}
	t.Replica = r
	return t
}

// Reset takes the value away as it is known here, and returns the delta: any later write wins over it. It has
// the timestamp of the value. The delta is empty if there is no value.
func (r *LWWRegister[T]) Reset() (delta *LWWRegister[T]) {
	if r.stage != set {
		return new(LWWRegister[T])
	}
	delta = &LWWRegister[T]{at: r.at, stage: cleared}
	*r = *delta
	return delta
}

// Value returns the value, and whether there is one.
func (r *LWWRegister[T]) Value() (v T, ok bool) {
	if r == nil {
		return v, false
	}
	return r.value, r.stage == set
}

// Timestamp returns when the present value was written, or when the one that was reset had been.
func (r *LWWRegister[T]) Timestamp() vclock.Timestamp {
	if r == nil {
		return vclock.Timestamp{}
	}
	return r.at
}

// Latest returns the latest timestamp in the state, for the clock to observe. It is that of Timestamp.
func (r *LWWRegister[T]) Latest() vclock.Timestamp { return r.Timestamp() }

// Empty reports whether there is no value.
func (r *LWWRegister[T]) Empty() bool { return r == nil || r.stage != set }

// Merge takes in what o knows. See [Lattice].
func (r *LWWRegister[T]) Merge(o *LWWRegister[T]) (changed bool) {
	if o == nil || r.compare(o) >= 0 {
		return false
	}
	*r = *o
	return true
}

// compare tells which of two registers comes first in the total order.
func (r *LWWRegister[T]) compare(o *LWWRegister[T]) int {
	if r == o || o.stage == unset || r.stage == unset {
		return cmp.Compare(min(r.stage, set), min(o.stage, set))
	}
	if c := cmp.Or(r.at.Compare(o.at), cmp.Compare(r.stage, o.stage)); c != 0 || r.stage != set {
		return c
	}
	c, err := codecOf[T]()
	if err != nil {
		return 0
	}
	return c.compare(r.value, o.value)
}

// MergeNovel merges o and returns o if it won. See [Delta].
func (r *LWWRegister[T]) MergeNovel(o *LWWRegister[T]) (novel *LWWRegister[T], changed bool) {
	if !r.Merge(o) {
		return new(LWWRegister[T]), false
	}
	return o.Clone(), true
}

// Clone returns a register of its own with the same state.
func (r *LWWRegister[T]) Clone() *LWWRegister[T] {
	if r == nil {
		return new(LWWRegister[T])
	}
	c := *r
	return &c
}

// AppendBinary appends the wire form. It returns a [*TypeError] if T, or this value, cannot be encoded.
func (r *LWWRegister[T]) AppendBinary(b []byte) ([]byte, error) { return r.append(formLWWRegister, b) }

func (r *LWWRegister[T]) append(f form, b []byte) ([]byte, error) {
	c, err := codecOf[T]()
	if err != nil {
		return b, err
	}
	if r == nil || r.stage == unset {
		return f.begin(b, 0).Done(), nil
	}
	n := 3
	if r.stage == set {
		n = 4
	}
	w := f.begin(b, n)
	w.Int(r.at.Wall)
	w.Uint(uint64(r.at.Logical))
	writeReplica(w, r.at.Replica)
	if r.stage == set {
		err = c.write(w, r.value)
	}
	if err != nil {
		return w.Done()[:len(b)], err
	}
	return w.Done(), nil
}

// UnmarshalBinary replaces the register by the one in b, of which it keeps nothing. It returns a
// [*CorruptError], [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not an
// LWWRegister of T.
func (r *LWWRegister[T]) UnmarshalBinary(b []byte) error { return r.unmarshal(formLWWRegister, b) }

func (r *LWWRegister[T]) unmarshal(f form, b []byte) error {
	c, err := codecOf[T]()
	if err != nil {
		return err
	}
	in, n, err := f.open(b)
	if err != nil {
		return err
	}
	read := readLWWRegister(in, c, n)
	if err := f.close(in); err != nil {
		return err
	}
	*r = read
	return nil
}

func readLWWRegister[T any](in *wire.Reader, c codec[T], n int) (r LWWRegister[T]) {
	switch n {
	case 0:
		return r
	case 3:
		r.stage = cleared
	case 4:
		r.stage = set
	default:
		in.Fail("wrong number of fields")
		return r
	}
	r.at.Wall = in.Int()
	r.at.Logical = uints[uint32]{}.read(in)
	r.at.Replica = readAnyReplica(in)
	if r.stage == set && in.Err() == nil {
		r.value = c.read(in)
	}
	return r
}

// MarshalJSON writes the value, or null if there is none. For floats see [Value.MarshalJSON].
func (r *LWWRegister[T]) MarshalJSON() ([]byte, error) {
	v, ok := r.Value()
	if !ok {
		return []byte("null"), nil
	}
	return textOf(v)
}

package crdt

import "github.com/eventual-go/eventual/vclock"

var formMaxRegister = form{"maxregister", 7}

// MaxRegister holds the greatest of all values written to it: of concurrent writes the greatest stays. It only moves up,
// so it cannot be reset.
//
// Values are in canonical order: by size for numbers, and by bytes for strings and for everything binary, see the
// package documentation. A float that is not a number is the greatest. Types that cannot be encoded have no order,
// and replicas that hold such values do not agree.
//
// The state is the value and nothing else, so there is no Explain: it does not know who wrote it, nor when.
//
// The zero MaxRegister is unset and ready to use. It may be read by several goroutines, but not while one changes
// it; copy it by Clone. All operations take O(1). Values are kept as they are given, and a register, its deltas and its
// clones have them in common: do not change what a slice or pointer in T refers to.
type MaxRegister[T any] struct{ x extreme[T] }

// Set writes v and returns the delta, which is empty unless v is greater than all that is known here.
func (r *MaxRegister[T]) Set(v T) (delta *MaxRegister[T]) {
	delta = new(MaxRegister[T])
	if r.x.write(v, up) {
		delta.x = r.x
	}
	return delta
}

// Value returns the greatest value, and whether there is one.
func (r *MaxRegister[T]) Value() (v T, ok bool) {
	x := r.core()
	return x.value, x.written
}

func (r *MaxRegister[T]) core() (x extreme[T]) {
	if r != nil {
		x = r.x
	}
	return x
}

// Empty reports whether there is no value.
func (r *MaxRegister[T]) Empty() bool { return !r.core().written }

// Merge takes in what o knows. See [Lattice].
func (r *MaxRegister[T]) Merge(o *MaxRegister[T]) (changed bool) {
	return o != nil && r.x.merge(&o.x, up)
}

// MergeNovel merges o and returns o if its value is greater. See [Delta].
func (r *MaxRegister[T]) MergeNovel(o *MaxRegister[T]) (novel *MaxRegister[T], changed bool) {
	if !r.Merge(o) {
		return new(MaxRegister[T]), false
	}
	return o.Clone(), true
}

// Context returns an empty context: values are not events.
func (r *MaxRegister[T]) Context() *vclock.Context { return new(vclock.Context) }

// Delta returns the whole register: a context says nothing about values, so none can be ruled out.
func (r *MaxRegister[T]) Delta(*vclock.Context) *MaxRegister[T] { return r.Clone() }

// Clone returns a register of its own with the same state.
func (r *MaxRegister[T]) Clone() *MaxRegister[T] { return &MaxRegister[T]{r.core()} }

// AppendBinary appends the wire form. It returns a [*TypeError] if T, or this value, cannot be encoded.
func (r *MaxRegister[T]) AppendBinary(b []byte) ([]byte, error) {
	return r.core().append(formMaxRegister, b)
}

// UnmarshalBinary replaces the register by the one in b, of which it keeps nothing. It returns a
// [*CorruptError], [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not a
// MaxRegister of T.
func (r *MaxRegister[T]) UnmarshalBinary(b []byte) error { return r.x.unmarshal(formMaxRegister, b) }

// MarshalJSON writes the value, or null if there is none. For floats see [Value.MarshalJSON].
func (r *MaxRegister[T]) MarshalJSON() ([]byte, error) { return r.core().json() }

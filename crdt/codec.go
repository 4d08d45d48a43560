package crdt

import (
	"bytes"
	"cmp"
	"encoding"
	"math"
	"reflect"
	"slices"
	"unsafe"

	"github.com/eventual-go/eventual/internal/wire"
)

// codec is how elements and values of one Go type are written and ordered. The order is the canonical one:
// numbers by size, strings and everything binary by their bytes. compare is 0 only for what is written alike.
type codec[T any] interface {
	write(w *wire.Writer, v T) error
	read(r *wire.Reader) T // reports failure by r.Fail
	compare(a, b T) int
}

// keyed is a codec that compares by a key which is worth keeping while sorting.
type keyed[T any] interface {
	key(v T) ([]byte, error)
}

// codecOf returns the codec of T: its own methods first, then its kind.
func codecOf[T any]() (codec[T], error) {
	t := reflect.TypeFor[T]()
	if _, ok := any((*T)(nil)).(encoding.BinaryUnmarshaler); ok {
		switch any((*T)(nil)).(type) {
		case encoding.BinaryAppender, encoding.BinaryMarshaler:
			return marshaled[T]{}, nil
		}
	}
	if c := basicCodec[T](t); c != nil {
		return c, nil
	}
	return nil, &TypeError{t, "cannot be encoded: not a basic kind, and does not implement both encoding." +
		"BinaryAppender or BinaryMarshaler and, on its pointer, encoding.BinaryUnmarshaler"}
}

// elementCodecOf is codecOf for elements of sets: floats, of which some differ from themselves, are none.
func elementCodecOf[E comparable]() (codec[E], error) {
	c, err := codecOf[E]()
	switch c.(type) {
	case cast[E, float32, floats[float32]], cast[E, float64, floats[float64]]:
		return nil, &TypeError{reflect.TypeFor[E](), "floats cannot be elements"}
	case marshaled[E]:
		return faithful[E]{}, nil
	}
	return c, err
}

// faithful serves elements that write and read themselves. An element must come back equal, or a replica would
// take its own element for another one when it hears of it again: time.Time for instance loses its monotonic part.
type faithful[E comparable] struct{ marshaled[E] }

func (c faithful[E]) write(w *wire.Writer, e E) error {
	b, err := c.key(e)
	if err != nil {
		return &TypeError{reflect.TypeFor[E](), err.Error()}
	}
	if !c.isFrom(e, b) {
		return &TypeError{reflect.TypeFor[E](), unfaithful}
	}
	w.Bytes(b)
	return nil
}

// read refuses what could not be written again, or what was read would be here for good and could not be passed on.
func (c faithful[E]) read(r *wire.Reader) E {
	e := c.marshaled.read(r)
	if r.Err() != nil {
		return e
	}
	if b, err := c.key(e); err != nil || !c.isFrom(e, b) {
		r.Fail(unfaithful)
	}
	return e
}

const unfaithful = "an element does not come back equal from its encoding"

// isFrom reports whether e is what comes of b.
func (faithful[E]) isFrom(e E, b []byte) bool {
	var back E
	err := any(&back).(encoding.BinaryUnmarshaler).UnmarshalBinary(slices.Clone(b))
	return err == nil && back == e
}

func basicCodec[T any](t reflect.Type) codec[T] {
	switch t.Kind() {
	case reflect.String:
		return cast[T, string, strs]{}
	case reflect.Bool:
		return cast[T, bool, bools]{}
	case reflect.Float32:
		return cast[T, float32, floats[float32]]{}
	case reflect.Float64:
		return cast[T, float64, floats[float64]]{}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return cast[T, []byte, blobs]{}
		}
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return arrays[T]{}
		}
	}
	return intCodec[T](t.Kind())
}

func intCodec[T any](k reflect.Kind) codec[T] {
	switch k {
	case reflect.Int:
		return cast[T, int, ints[int]]{}
	case reflect.Int8:
		return cast[T, int8, ints[int8]]{}
	case reflect.Int16:
		return cast[T, int16, ints[int16]]{}
	case reflect.Int32:
		return cast[T, int32, ints[int32]]{}
	case reflect.Int64:
		return cast[T, int64, ints[int64]]{}
	case reflect.Uint:
		return cast[T, uint, uints[uint]]{}
	case reflect.Uint8:
		return cast[T, uint8, uints[uint8]]{}
	case reflect.Uint16:
		return cast[T, uint16, uints[uint16]]{}
	case reflect.Uint32:
		return cast[T, uint32, uints[uint32]]{}
	case reflect.Uint64:
		return cast[T, uint64, uints[uint64]]{}
	}
	return nil
}

// cast serves the named types of a basic kind by the codec of its base type.
type cast[T, B any, C codec[B]] struct{}

func (cast[T, B, C]) write(w *wire.Writer, v T) error {
	var c C
	return c.write(w, as[B](v))
}

func (cast[T, B, C]) read(r *wire.Reader) T {
	var c C
	return as[T](c.read(r))
}

func (cast[T, B, C]) compare(a, b T) int {
	var c C
	return c.compare(as[B](a), as[B](b))
}

// as converts between types of which basicCodec found that they have one kind, hence one layout.
func as[To, From any](v From) To { return *(*To)(unsafe.Pointer(&v)) }

type strs struct{}

func (strs) write(w *wire.Writer, v string) error { w.String(v); return nil }
func (strs) read(r *wire.Reader) string           { return r.String() }
func (strs) compare(a, b string) int              { return cmp.Compare(a, b) }

type bools struct{}

func (bools) write(w *wire.Writer, v bool) error { w.Bool(v); return nil }
func (bools) read(r *wire.Reader) bool           { return r.Bool() }
func (bools) compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

type blobs struct{}

func (blobs) write(w *wire.Writer, v []byte) error { w.Bytes(v); return nil }
func (blobs) read(r *wire.Reader) []byte           { return append([]byte{}, r.Bytes()...) }
func (blobs) compare(a, b []byte) int              { return bytes.Compare(a, b) }

type ints[B int | int8 | int16 | int32 | int64] struct{}

func (ints[B]) write(w *wire.Writer, v B) error { w.Int(int64(v)); return nil }
func (ints[B]) compare(a, b B) int              { return cmp.Compare(a, b) }
func (ints[B]) read(r *wire.Reader) B {
	n := r.Int()
	if int64(B(n)) != n {
		r.Fail("integer out of range")
	}
	return B(n)
}

type uints[B uint | uint8 | uint16 | uint32 | uint64] struct{}

func (uints[B]) write(w *wire.Writer, v B) error { w.Uint(uint64(v)); return nil }
func (uints[B]) compare(a, b B) int              { return cmp.Compare(a, b) }
func (uints[B]) read(r *wire.Reader) B {
	n := r.Uint()
	if uint64(B(n)) != n {
		r.Fail("integer out of range")
	}
	return B(n)
}

type floats[B float32 | float64] struct{}

func (floats[B]) write(w *wire.Writer, v B) error { w.Float(float64(v)); return nil }
func (floats[B]) read(r *wire.Reader) B {
	f := r.Float()
	if v := float64(B(f)); v != f && f == f {
		r.Fail("float out of range")
	}
	return B(f)
}

// compare is a total order by size: all NaNs are one and come last, -0 comes before 0.
func (floats[B]) compare(a, b B) int { return cmp.Compare(floatKey(a), floatKey(b)) }

func floatKey[B float32 | float64](v B) int64 {
	if v != v {
		return math.MaxInt64
	}
	key := int64(math.Float64bits(float64(v)))
	if key < 0 {
		key = math.MinInt64 - key - 1
	}
	return key
}

// arrays serves [N]byte.
type arrays[T any] struct{}

func (arrays[T]) write(w *wire.Writer, v T) error { w.Bytes(bytesOf(&v)); return nil }
func (arrays[T]) compare(a, b T) int              { return bytes.Compare(bytesOf(&a), bytesOf(&b)) }
func (arrays[T]) read(r *wire.Reader) (v T) {
	if b, dst := r.Bytes(), bytesOf(&v); copy(dst, b) != len(dst) || len(b) != len(dst) {
		r.Fail("binary of another length")
	}
	return v
}

func bytesOf[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }

// marshaled serves types that write and read themselves.
type marshaled[T any] struct{}

func (marshaled[T]) key(v T) ([]byte, error) {
	if a, ok := any(&v).(encoding.BinaryAppender); ok {
		return a.AppendBinary(nil)
	}
	return any(&v).(encoding.BinaryMarshaler).MarshalBinary()
}

func (c marshaled[T]) write(w *wire.Writer, v T) error {
	b, err := c.key(v)
	if err != nil {
		return &TypeError{reflect.TypeFor[T](), err.Error()}
	}
	w.Bytes(b)
	return nil
}

// read refuses what the type itself would write differently, so that equal values have equal bytes. The type
// gets a copy, since it may keep what it is given.
func (c marshaled[T]) read(r *wire.Reader) (v T) {
	b := r.Bytes()
	if r.Err() != nil {
		return v
	}
	if err := any(&v).(encoding.BinaryUnmarshaler).UnmarshalBinary(slices.Clone(b)); err != nil {
		r.Fail(err.Error())
	} else if again, err := c.key(v); err != nil || !bytes.Equal(again, b) {
		r.Fail("value not in its canonical form")
	}
	return v
}

// compare takes a value that cannot be written for one without bytes.
func (c marshaled[T]) compare(a, b T) int {
	x, _ := c.key(a)
	y, _ := c.key(b)
	return bytes.Compare(x, y)
}

// sortBy sorts items in the canonical order of what value finds in each.
func sortBy[I, T any](c codec[T], items []I, value func(I) T) {
	if k, ok := c.(keyed[T]); ok {
		sortByKey(k, items, value)
		return
	}
	slices.SortFunc(items, func(a, b I) int { return c.compare(value(a), value(b)) })
}

func sortByKey[I, T any](k keyed[T], items []I, value func(I) T) {
	type pair struct {
		key  []byte
		item I
	}
	pairs := make([]pair, len(items))
	for i, item := range items {
		key, _ := k.key(value(item))
		pairs[i] = pair{key, item}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	for i := range pairs {
		items[i] = pairs[i].item
	}
}

// sortElements is sortBy for elements that must differ in their bytes as they differ in memory.
func sortElements[I any, E comparable](c codec[E], items []I, value func(I) E) error {
	sortBy(c, items, value)
	if _, ok := c.(keyed[E]); !ok {
		return nil
	}
	for i := 1; i < len(items); i++ {
		if c.compare(value(items[i-1]), value(items[i])) == 0 {
			return &TypeError{reflect.TypeFor[E](), "two elements have the same encoding"}
		}
	}
	return nil
}

package crdt

// extreme is what MaxRegister and MinRegister are made of: the outermost of the values written, in the direction
// that the caller names at each call.
type extreme[T any] struct {
	written bool
	value   T // zero unless written
}

// direction is which way a register moves: +1 up, -1 down.
type direction int

const (
	up   direction = +1
	down direction = -1
)

// write moves to v if that lies further out, and reports whether it does.
func (x *extreme[T]) write(v T, to direction) (changed bool) {
	if x.written && !beyond(v, x.value, to) {
		return false
	}
	x.written, x.value = true, v
	return true
}

// beyond reports whether v lies further out than w in the canonical order. Without an order nothing does.
func beyond[T any](v, w T, to direction) bool {
	c, err := codecOf[T]()
	return err == nil && int(to)*c.compare(v, w) > 0
}

func (x *extreme[T]) merge(o *extreme[T], to direction) (changed bool) {
	return o.written && x.write(o.value, to)
}

func (x extreme[T]) append(f form, b []byte) ([]byte, error) {
	c, err := codecOf[T]()
	if err != nil {
		return b, err
	}
	if !x.written {
		return f.begin(b, 0).Done(), nil
	}
	w := f.begin(b, 1)
	if err := c.write(w, x.value); err != nil {
		return w.Done()[:len(b)], err
	}
	return w.Done(), nil
}

func (x *extreme[T]) unmarshal(f form, b []byte) error {
	c, err := codecOf[T]()
	if err != nil {
		return err
	}
	r, n, err := f.open(b)
	if err != nil {
		return err
	}
	var read extreme[T]
	switch n {
	case 0:
	case 1:
		read = extreme[T]{true, c.read(r)}
	default:
		r.Fail("wrong number of fields")
	}
	if err := f.close(r); err != nil {
		return err
	}
	*x = read
	return nil
}

func (x extreme[T]) json() ([]byte, error) {
	if !x.written {
		return []byte("null"), nil
	}
	return textOf(x.value)
}

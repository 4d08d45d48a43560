package crdt

import (
	"github.com/eventual-go/eventual/internal/wire"
)

var formLog = form{"log", 15}

// AppendBinary appends the wire form. It returns a [*TypeError] if T, or one of the values, cannot be encoded.
func (l *Log[T]) AppendBinary(b []byte) ([]byte, error) {
	c, err := codecOf[T]()
	if err != nil {
		return b, err
	}
	if l == nil {
		l = new(Log[T])
	}
	w := formLog.begin(b, 2)
	ids := make(replicaTable, len(l.order))
	for i, name := range l.order {
		ids[i] = l.names[name]
	}
	writeNames(w, ids)
	w.Array(5 * l.n)
	prev := int64(0)
	for i, e := range l.placed() {
		writeWall(w, i, prev, e.wall)
		w.Uint(uint64(e.logical))
		w.Uint(ids.index(l.names[e.name]))
		w.Uint(e.seq)
		if err := c.write(w, e.value); err != nil {
			return w.Done()[:len(b)], err
		}
		prev = e.wall
	}
	return w.Done(), nil
}

// placed yields the entries with their places.
func (l *Log[T]) placed() func(yield func(i int, e *logEntry[T]) bool) {
	return func(yield func(int, *logEntry[T]) bool) {
		n := 0
		for _, chunk := range l.chunks {
			for i := range chunk {
				if !yield(n, &chunk[i]) {
					return
				}
				n++
			}
		}
	}
}

// writeWall writes the time of the first entry as it is, and of others how much later they are.
func writeWall(w *wire.Writer, i int, prev, wall int64) {
	if i == 0 {
		w.Int(wall)
		return
	}
	w.Uint(uint64(wall) - uint64(prev))
}

func readWall(r *wire.Reader, i int, prev int64) int64 {
	if i == 0 {
		return r.Int()
	}
	wall := int64(uint64(prev) + r.Uint())
	if wall < prev {
		r.Fail("time after the end of time")
	}
	return wall
}

// UnmarshalBinary replaces the log by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not a Log of T.
func (l *Log[T]) UnmarshalBinary(b []byte) error {
	c, err := codecOf[T]()
	if err != nil {
		return err
	}
	r, err := formLog.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readLog(r, c)
	if err := formLog.close(r); err != nil {
		return err
	}
	*l = read
	return nil
}

func readLog[T any](r *wire.Reader, c codec[T]) (l Log[T]) {
	ids := readNames(r)
	l.names = ids.ids
	for name := range l.names {
		l.order = append(l.order, uint32(name))
	}
	prev := int64(0)
	for i := range fields(r, 5) {
		e := readEntryOfLog(r, c, &ids, i, prev)
		if r.Err() != nil {
			return l
		}
		if i > 0 {
			last := l.chunks[len(l.chunks)-1]
			if l.compare(&last[len(last)-1], &l, &e) >= 0 {
				r.Fail("entries out of order")
			}
		}
		l.push(e)
		prev = e.wall
	}
	ids.close(r)
	if r.Err() == nil {
		l.seen = l.dots()
	}
	return l
}

func readEntryOfLog[T any](r *wire.Reader, c codec[T], ids *nameReader, i int, prev int64) (e logEntry[T]) {
	e.wall = readWall(r, i, prev)
	e.logical = uints[uint32]{}.read(r)
	id := ids.readWriter(r)
	e.name = uint32(ids.ids.index(id))
	if e.seq = r.Uint(); e.seq == 0 {
		r.Fail("entry without a dot")
	}
	if r.Err() == nil {
		e.value = c.read(r)
	}
	return e
}

// MarshalJSON writes the values as an array, in order. For floats see [Value.MarshalJSON].
func (l *Log[T]) MarshalJSON() ([]byte, error) {
	values := make([]T, 0, l.Len())
	for _, v := range l.All() {
		values = append(values, v)
	}
	return marshalArray(values)
}

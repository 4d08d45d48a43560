package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// A flag is a register of what its enablings and disablings wrote: true and false. On the wire it has the dots of
// the writes in force, those of each value in a list of their own.

// writers returns the dots of the writes of v in force, in order.
func writers(m *MVRegister[bool], v bool) (dots []vclock.Dot) {
	for d, value := range m.All() {
		if value == v {
			dots = append(dots, d)
		}
	}
	return dots
}

// appendFlag appends the wire form of a flag in which these values are written.
func appendFlag(b []byte, f form, m *MVRegister[bool], values ...bool) []byte {
	if m == nil {
		m = new(MVRegister[bool])
	}
	w := f.begin(b, 1+len(values))
	table := writeContext(w, &m.seen)
	for _, v := range values {
		dots := writers(m, v)
		w.Array(2 * len(dots))
		for _, d := range dots {
			writeDot(w, table, d)
		}
	}
	return w.Done()
}

// unmarshalFlag reads into m what appendFlag wrote, and changes nothing if b is something else.
func unmarshalFlag(b []byte, f form, m *MVRegister[bool], values ...bool) error {
	r, err := f.openOf(b, 1+len(values))
	if err != nil {
		return err
	}
	read := readFlag(r, values)
	if err := f.close(r); err != nil {
		return err
	}
	*m = read
	return nil
}

func readFlag(r *wire.Reader, values []bool) (m MVRegister[bool]) {
	seen, table := readContext(r)
	m.seen = seen
	for _, v := range values {
		var d vclock.Dot
		for range fields(r, 2) {
			d = readDot(r, &m.seen, table, d)
			if r.Err() != nil {
				return m
			}
			m.live = append(m.live, sibling[bool]{d, v})
		}
	}
	slices.SortFunc(m.live, func(a, b sibling[bool]) int { return a.dot.Compare(b.dot) })
	for i := 1; i < len(m.live); i++ {
		if m.live[i-1].dot == m.live[i].dot {
			r.Fail("dot lives twice")
		}
	}
	return m
}

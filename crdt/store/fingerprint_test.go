package store_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// counted is a set of numbers that counts how often it is taken apart, or encoded
// whole.
type counted struct {
	numbers map[uint64]bool
	by      *crdt.Tracker[*counted]
	whole   int
}

func (c *counted) add(n uint64) (delta *counted) {
	delta = &counted{numbers: map[uint64]bool{n: true}}
	c.Merge(delta)
	return delta
}

func (c *counted) Merge(o *counted) (changed bool) {
	for n := range o.numbers {
		if c.numbers[n] {
			continue
		}
		if c.numbers == nil {
			c.numbers = make(map[uint64]bool)
		}
		c.numbers[n], changed = true, true
		if c.by != nil {
			c.by.Report(binary.BigEndian.AppendUint64(nil, n), 1)
		}
	}
	return changed
}

func (c *counted) Clone() *counted {
	d := new(counted)
	d.Merge(c)
	return d
}

func (c *counted) Empty() bool { return len(c.numbers) == 0 }

func (c *counted) Decompose(report func(part []byte, n int)) error {
	c.whole++
	for n := range c.numbers {
		report(binary.BigEndian.AppendUint64(nil, n), 1)
	}
	return nil
}

func (c *counted) Track(by *crdt.Tracker[*counted])          { c.by = by }
func (c *counted) TrackedBy(by *crdt.Tracker[*counted]) bool { return c.by == by }

func (c *counted) AppendBinary(b []byte) ([]byte, error) {
	c.whole++
	all := make([]uint64, 0, len(c.numbers))
	for n := range c.numbers {
		all = append(all, n)
	}
	slices.Sort(all)
	for _, n := range all {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b, nil
}

func (c *counted) UnmarshalBinary(b []byte) error {
	read := counted{numbers: make(map[uint64]bool)}
	for ; len(b) >= 8; b = b[8:] {
		read.numbers[binary.BigEndian.Uint64(b)] = true
	}
	*c = read
	return nil
}

// A large state is taken apart once for the index, and never encoded whole for it,
// however often it is written to and the index is read.
func TestTrap41_TheIndexOfALargeStateCostsWhatChanges(t *testing.T) {
	kinds, err := crdt.Standard().With(crdt.NewKind[counted](120, "counted"))
	require.NoError(t, err)
	s := store.New(store.Config{Kinds: kinds})
	write := func(n uint64) {
		_, err := store.Update(s, "k", func(c *counted, _ store.Writer) *counted { return c.add(n) })
		require.NoError(t, err)
	}
	for n := range uint64(1000) {
		write(n)
	}
	root := s.Index().Root()
	for n := range uint64(100) {
		write(1000 + n)
		next := s.Index().Root()
		require.NotEqual(t, root, next)
		root = next
	}
	_, err = store.View(s, "k", func(c *counted) { require.Equal(t, 1, c.whole) })
	require.NoError(t, err)

	other := store.New(store.Config{Kinds: kinds})
	state, err := s.Load(t.Context(), "k")
	require.NoError(t, err)
	_, err = other.Merge(t.Context(), "k", state)
	require.NoError(t, err)
	require.Equal(t, other.Index().Root(), root)
}

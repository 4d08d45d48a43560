package store_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// A torn backend cannot read beyond a key, as one that keeps many of them in one block.
type torn struct {
	store.Backend
	at []byte
}

func (b torn) Scan(prefix, from []byte, visit func(key, value []byte) error) error {
	return b.Backend.Scan(prefix, from, func(key, value []byte) error {
		if bytes.Equal(key, b.at) {
			return store.ErrDamaged
		}
		return visit(key, value)
	})
}

// Rows that cannot be read are made again from the values, those that were not reached as well. The name is given up,
// since nobody knows whether the values are all.
func TestRowsThatCannotBeReadAreMadeAgain(t *testing.T) {
	m := newHost("a")
	s := m.open(t)
	for _, key := range []string{"a", "b", "c"} {
		insert(t, s, key, "of "+key)
	}
	root := s.Index().Root()
	require.NoError(t, s.Close())

	s, err := store.Open(m.cfg, torn{m.disk.Mount(), onDisk('f', 0, "b")})
	require.NoError(t, err)
	require.Len(t, m.rotations(), 1)
	settled(t, s, 3)
	require.Equal(t, root, s.Index().Root())
	require.Equal(t, []string{"of c"}, members(t, s, "c"))
	require.Equal(t, 3, s.Len())
	require.NoError(t, s.Close())

	// Without the values nobody can say which keys there are.
	_, err = store.Open(m.cfg, torn{torn{m.disk.Mount(), onDisk('f', 0, "b")}, onDisk('v', 0, "b")})
	require.ErrorIs(t, err, store.ErrDamaged)
	require.Empty(t, m.damages())
}

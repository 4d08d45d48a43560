package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/merkle"
)

// What is wrong in the index is found and made right, with no disk to look at.
func TestCheckMendsTheIndex(t *testing.T) {
	s := New(Config{})
	for _, key := range []string{"k", "l", "m"} {
		_, err := Update(s, key, func(v *crdt.ORSet[string], by Writer) *crdt.ORSet[string] {
			return v.Add(by.Replica, "x")
		})
		require.NoError(t, err)
	}
	root := s.Index().Root()
	wrong := merkle.Fingerprint{Hi: 1, Lo: 2}
	s.index.tree.Set("k", wrong)
	s.index.tree.Delete("l")
	s.index.tree.Set("stray", wrong)

	r, err := s.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"k", "l", "stray"}, r.Index)
	require.Equal(t, 3, r.Faults)
	require.Equal(t, root, s.Index().Root())
	r, err = s.Check(t.Context())
	require.NoError(t, err)
	require.Zero(t, r.Faults)
}

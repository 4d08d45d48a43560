package session

import (
	"context"
	"testing"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// A counted Quorum counts the reads at a majority.
type counted struct {
	Quorum
	reads int
}

func (c *counted) Read(ctx context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	if o.Level == quorum.Majority {
		c.reads++
	}
	return c.Quorum.Read(ctx, key, o)
}

// What one owner answers is with majorities, if it is what these are known to hold: what the session has written there, read
// there, or brought there. It need not be brought to them again. What is more than that has to be, once.
func TestWhatMajoritiesHoldIsNotBroughtAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, all, _ := group()
		q := &counted{Quorum: all["a"]}
		s := &Session{Quorum: q, AtOnce: 1}
		count := byte(10)
		brings := func(n int) {
			t.Helper()
			res, err := s.Read(t.Context(), "k", one)
			require.NoError(t, err)
			require.True(t, res.Found)
			q.reads = 0
			count++
			_, err = s.Write(t.Context(), "other", []byte{count}, writes(quorum.Majority))
			require.NoError(t, err)
			require.Equal(t, n, q.reads)
		}
		others := func(state byte) {
			_, err := all["b"].Write(t.Context(), "k", []byte{state}, writes(quorum.All))
			require.NoError(t, err)
		}
		_, err := s.Write(t.Context(), "k", []byte{1}, writes(quorum.Majority))
		require.NoError(t, err)
		brings(0) // its own write
		others(2)
		brings(1) // somebody else's
		brings(0)
		others(3)
		_, err = s.Read(t.Context(), "k", quorum.ReadOptions{Level: quorum.Majority})
		require.NoError(t, err)
		brings(0)
		others(4)
		_, err = s.Write(t.Context(), "k", []byte{5}, writes(quorum.Majority))
		require.NoError(t, err)
		brings(1) // its own write, and more

		later := &Session{Quorum: q}
		later.Resume(s.Token())
		s = later
		brings(0)
		var read Token // elsewhere it is not known
		require.NoError(t, read.UnmarshalBinary(bytesOf(t, s.Token())))
		s = &Session{Quorum: q}
		s.Resume(read)
		brings(1)
		brings(0)
		_, err = s.Write(t.Context(), "k", []byte{6}, writes(quorum.One))
		require.NoError(t, err)
		brings(1)
	})
}

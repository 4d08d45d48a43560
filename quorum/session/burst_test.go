package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// A bursting Quorum panics after a second.
type bursting struct{ Quorum }

func (b bursting) Read(context.Context, string, quorum.ReadOptions) (quorum.ReadResult, error) {
	time.Sleep(time.Second)
	panic("mine")
}

func (b bursting) Write(context.Context, string, []byte, quorum.WriteOptions) (quorum.WriteResult, error) {
	panic("mine")
}

// switched is a Quorum that can be replaced while it is asked.
type switched struct{ Quorum }

// A Quorum that panics while all owners are brought up is a panic of one call: who waited for that is refused, and the next one
// tries again.
func TestQuorumPanicsWhileOwnersAreBroughtUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &switched{bursting{owned(2)}}
		b := &VersionBound{Quorum: q, Most: 2}
		burst := make(chan any, 1)
		go func() {
			defer func() { burst <- recover() }()
			_, _ = b.Write(t.Context(), "k", []byte{1}, quorum.WriteOptions{})
		}()
		synctest.Wait()
		_, err := b.Write(t.Context(), "k", []byte{1}, quorum.WriteOptions{})
		require.ErrorIs(t, err, errBurst)
		require.Equal(t, "mine", <-burst)
		q.Quorum = owned(2)
		write(t, b, "k")
		require.Zero(t, b.budget("k").under)
	})
}

// What is not known to have been acknowledged at All is counted, also where the Quorum panics.
func TestQuorumPanicsInAWrite(t *testing.T) {
	q := &switched{owned(3)}
	b := &VersionBound{Quorum: q, Most: 2}
	write(t, b, "k")
	q.Quorum = bursting{}
	require.PanicsWithValue(t, "mine", func() { _, _ = b.Write(t.Context(), "k", nil, writes(quorum.All)) })
	u := b.budget("k")
	require.Equal(t, []int{2, 0}, []int{u.spent, u.under})
}

package session

import (
	"context"
	"math/bits"
	"sync"
	"testing"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// Age is what its documentation says, by trying all: there is no set of owners who can have
// acknowledged a write of which this replica knows nothing.
func TestAge(t *testing.T) {
	now := time.Unix(1000, 0)
	for others := range 5 {
		for choice := range 1 << (2 * others) {
			compared := make([]time.Time, others)
			for i := range compared {
				if ago := choice >> (2 * i) & 3; ago < 3 {
					compared[i] = now.Add(-time.Duration(ago) * time.Minute)
				}
			}
			for acks := 1; acks <= others+1; acks++ {
				want, known := ageByTrying(now, compared, acks)
				got, ok := Age(now, compared, acks)
				require.Equal(t, known, ok, "%v, %d", compared, acks)
				if ok {
					require.Equal(t, want, got, "%v, %d", compared, acks)
				}
			}
		}
	}
	for _, acks := range []int{0, 2} {
		_, known := Age(now, nil, acks)
		require.False(t, known)
	}
}

func ageByTrying(now time.Time, compared []time.Time, acks int) (age time.Duration, known bool) {
	for _, ago := range []time.Duration{0, time.Minute, 2 * time.Minute} {
		safe := true
		for set := range 1 << len(compared) { // owners that have it, this one not among them
			if bits.OnesCount(uint(set)) < acks {
				continue
			}
			arrived := false
			for i, at := range compared {
				arrived = arrived || set>>i&1 == 1 && !at.IsZero() && !at.Before(now.Add(-ago))
			}
			safe = safe && arrived
		}
		if safe {
			return ago, true
		}
	}
	return 0, false
}

// asked is a Quorum that notes what it was asked for.
type asked struct {
	mu     sync.Mutex
	reads  []quorum.ReadOptions
	writes []quorum.WriteOptions
	keys   []string
	read   func(quorum.ReadOptions) (quorum.ReadResult, error)
	write  func(quorum.WriteOptions) (quorum.WriteResult, error)
}

func (a *asked) Read(_ context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	a.mu.Lock()
	a.reads, a.keys = append(a.reads, o), append(a.keys, key)
	a.mu.Unlock()
	return a.read(o)
}

func (a *asked) Write(_ context.Context, key string, _ []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	a.mu.Lock()
	a.writes, a.keys = append(a.writes, o), append(a.keys, key)
	a.mu.Unlock()
	return a.write(o)
}

func TestBoundReadsItsOwnReplicaOnlyIfItIsFresh(t *testing.T) {
	q := &asked{read: func(quorum.ReadOptions) (quorum.ReadResult, error) { return quorum.ReadResult{Found: true}, nil }}
	age, known := time.Minute, true
	b := &Bound{Quorum: q, Self: "b", Within: time.Minute, Age: func(string) (time.Duration, bool) { return age, known }}
	own := func() bool {
		q.reads = nil
		res, err := b.Read(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, res.Found)
		require.Len(t, q.reads, 1)
		after := q.reads[0].After
		return len(after) == 1 && len(after[0].Nodes) == 1 && after[0].Nodes[0] == "b"
	}
	require.True(t, own())
	age++
	require.False(t, own())
	age, known = 0, false
	require.False(t, own())
	b.Age = nil
	require.False(t, own())
}

func TestBoundAsksOthersWhereItsOwnReplicaFails(t *testing.T) {
	q := &asked{}
	q.read = func(o quorum.ReadOptions) (quorum.ReadResult, error) {
		if len(o.After) > 0 {
			return quorum.ReadResult{}, &quorum.UnavailableError{}
		}
		return quorum.ReadResult{Found: true}, nil
	}
	b := &Bound{
		Quorum: q, Self: "b", Age: func(string) (time.Duration, bool) { return 0, true },
		Otherwise: quorum.ReadOptions{Level: quorum.Two},
	}
	res, err := b.Read(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, res.Found)
	require.Equal(t, quorum.Two, q.reads[1].Level)
}

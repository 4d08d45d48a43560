package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// A slow Quorum takes its time for each read at a majority, and counts them.
type slow struct {
	Quorum
	mu              sync.Mutex
	under, most, of int
	then            func(key string) error
}

const aRead = 10 * time.Millisecond

func (q *slow) Read(ctx context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	if o.Level != quorum.Majority {
		return quorum.ReadResult{Found: true, Holders: &quorum.Holders{Nodes: []nodeID{"a"}}}, nil
	}
	q.count(1)
	defer q.count(-1)
	select {
	case <-time.After(aRead):
	case <-ctx.Done():
		return quorum.ReadResult{}, ctx.Err()
	}
	res := quorum.ReadResult{Found: true, Holders: &quorum.Holders{Nodes: []nodeID{"a", "b"}, Majority: true}}
	if q.then == nil {
		return res, nil
	}
	return res, q.then(key)
}

func (q *slow) Write(context.Context, string, []byte, quorum.WriteOptions) (quorum.WriteResult, error) {
	return quorum.WriteResult{Holders: &quorum.Holders{Nodes: []nodeID{"a", "b"}, Majority: true}}, nil
}

func (q *slow) count(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.under += n
	q.most, q.of = max(q.most, q.under), q.of+max(n, 0)
}

// A sharing Quorum is asked by one goroutine at a time.
type sharing struct {
	mu sync.Mutex
	Quorum
}

func (q *sharing) Read(ctx context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.Quorum.Read(ctx, key, o)
}

// readAtOne has a session read so many keys by one owner each.
func readAtOne(t *testing.T, s *Session, from, to int) {
	for i := from; i < to; i++ {
		_, err := s.Read(t.Context(), fmt.Sprint(i), one)
		require.NoError(t, err)
	}
}

// A write ends although the session is read at One all the time: it brings what was there when it began, and each key once.
func TestWriteEndsWhileTheSessionIsReadAtOne(t *testing.T) {
	for _, atOnce := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			q, next := new(slow), 20
			s := &Session{Quorum: q, AtOnce: atOnce}
			readAtOne(t, s, 0, next)
			var mu sync.Mutex
			q.then = func(string) error { // meanwhile another one is read, and the same ones again
				mu.Lock()
				defer mu.Unlock()
				if next < 100 {
					readAtOne(t, s, next-20, next+1)
					next++
				}
				return nil
			}
			_, err := s.Write(t.Context(), "w", nil, writes(quorum.Majority))
			require.NoError(t, err)
			require.Equal(t, 20, q.of)
		})
	}
}

// What a write follows is brought to majorities so many keys at once, and no more.
func TestKeysAreSettledSoManyAtOnce(t *testing.T) {
	for atOnce, want := range map[int]time.Duration{0: 3 * aRead, -1: 3 * aRead, 1: 40 * aRead, 100: aRead} {
		synctest.Test(t, func(t *testing.T) {
			q := new(slow)
			s := &Session{Quorum: q, AtOnce: atOnce}
			readAtOne(t, s, 0, 40)
			start := time.Now()
			_, err := s.Write(t.Context(), "w", nil, writes(quorum.Majority))
			require.NoError(t, err)
			require.Equal(t, want, time.Since(start))
			require.Equal(t, 40, q.of)
			if atOnce <= 0 {
				atOnce = DefaultAtOnce
			}
			require.Equal(t, min(atOnce, 40), q.most)
			for i, e := range s.token.keys {
				require.Equal(t, fmt.Sprint(i), e.key[:len(fmt.Sprint(i))], "that is no use of a key: which was used last stays so")
				if i == 39 {
					break
				}
			}
		})
	}
}

// The first key that cannot be brought to a majority has the write fail, by that error. Nothing goes on after that.
func TestTheFirstFailureEndsASettling(t *testing.T) {
	failure := errors.New("no majority")
	for _, atOnce := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			q := new(slow)
			q.then = func(key string) error {
				if key == "3" {
					return failure
				}
				return nil
			}
			s := &Session{Quorum: q, AtOnce: atOnce}
			readAtOne(t, s, 0, 100)
			_, err := s.Write(t.Context(), "w", nil, writes(quorum.Majority))
			require.ErrorIs(t, err, failure)
			require.Zero(t, q.under)
			require.LessOrEqual(t, q.of, 2*DefaultAtOnce)

			ctx, stop := context.WithCancel(t.Context())
			time.AfterFunc(aRead/2, stop)
			_, err = s.Write(ctx, "w", nil, writes(quorum.Majority))
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, q.under)
		})
	}
}

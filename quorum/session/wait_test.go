package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// A cut is a network of which some nodes answer nobody, and some refuse at once.
type cut struct {
	mu       sync.Mutex
	handlers map[nodeID]transport.Handler
	silent   map[nodeID]bool
	gone     map[nodeID]bool
}

func (c *cut) Call(ctx context.Context, to nodeID, method string, req []byte) ([]byte, error) {
	c.mu.Lock()
	h, silent, gone := c.handlers[to], c.silent[to], c.gone[to]
	c.mu.Unlock()
	switch {
	case gone:
		return nil, transport.ErrUnreachable
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(time.Millisecond)
	return h.ServeCall(ctx, "", method, req)
}

func (c *cut) set(which map[nodeID]bool, to bool, nodes ...nodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range nodes {
		which[id] = to
	}
}

// group starts coordinators of five owners.
func group() (*cut, map[nodeID]*quorum.Coordinator, map[nodeID]*sets) {
	net := &cut{handlers: map[nodeID]transport.Handler{}, silent: map[nodeID]bool{}, gone: map[nodeID]bool{}}
	all, at := map[nodeID]*quorum.Coordinator{}, map[nodeID]*sets{}
	ring := quorum.Everywhere{"a", "b", "c", "d", "e"}
	for _, id := range ring {
		at[id] = &sets{replica: replica{}}
		all[id] = &quorum.Coordinator{Self: id, Local: at[id], Ring: ring, Caller: net, Join: union}
		net.handlers[id] = all[id].Handler()
	}
	return net, all, at
}

func having(at map[nodeID]*sets, key string, state ...byte) (n int) {
	for _, s := range at {
		if b, _ := s.Load(context.Background(), key); contains(b, state) {
			n++
		}
	}
	return n
}

// inBubble has what calls left behind end in the bubble.
func inBubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(time.Minute)
	})
}

// What one owner has is brought to as many as are asked for, by whoever resumes the session after the one who
// coordinated it is gone; what the token says already costs nothing.
func TestWaitBringsWhatWasSeenToMoreOwners(t *testing.T) {
	for level, want := range map[quorum.Level]int{
		quorum.One: 1, quorum.Two: 2, quorum.Three: 3, 4: 4, quorum.Majority: 3, quorum.Default: 3, quorum.All: 5, quorum.EachMajority: 3, quorum.LocalMajority: 3,
	} {
		inBubble(t, func(t *testing.T) {
			net, all, at := group()
			net.set(net.gone, true, "a", "b", "d", "e")
			first := &Session{Quorum: all["c"]}
			_, err := first.Write(t.Context(), "k", []byte{1}, writes(quorum.One))
			require.NoError(t, err)
			time.Sleep(time.Minute)
			require.Equal(t, 1, having(at, "k", 1))
			net.set(net.gone, false, "a", "b", "d", "e")

			q := &counting{Quorum: all["a"]}
			s := &Session{Quorum: q}
			s.Resume(first.Token())
			n, err := s.Wait(t.Context(), "k", level)
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, want, "%v", level)
			require.GreaterOrEqual(t, having(at, "k", 1), n, "%v", level)
			calls := q.calls
			n, err = s.Wait(t.Context(), "k", level)
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, want)
			if level > 0 || level == quorum.Majority {
				require.Equal(t, calls, q.calls, "the token says so, %v", level)
			}
			if want > 1 {
				net.set(net.gone, true, "c") // who had it first
				late := &Session{Quorum: all["b"]}
				late.Resume(s.Token())
				res, err := late.Read(t.Context(), "k", one)
				require.NoError(t, err)
				require.Equal(t, []byte{1}, res.State)
			}
		})
	}
}

// A counting Quorum counts calls.
type counting struct {
	Quorum
	calls int
}

func (c *counting) Read(ctx context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	c.calls++
	return c.Quorum.Read(ctx, key, o)
}

func (c *counting) Write(ctx context.Context, key string, delta []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	c.calls++
	return c.Quorum.Write(ctx, key, delta, o)
}

// In a partition it is told how many were reached, with the error: at once where nobody is reached, and when time is over where nobody answers.
// What was reached stays known, and the rest is had when the partition has ended.
func TestWaitTellsHowManyWereReached(t *testing.T) {
	for _, silent := range []bool{false, true} {
		for level, want := range map[quorum.Level]int{quorum.Three: 2, quorum.All: 3} {
			inBubble(t, func(t *testing.T) {
				net, all, at := group()
				which := net.gone
				if silent {
					which = net.silent
				}
				net.set(net.gone, true, "b", "c", "d", "e")
				s := &Session{Quorum: all["a"]}
				_, err := s.Write(t.Context(), "k", []byte{1}, writes(quorum.One))
				require.NoError(t, err)
				time.Sleep(time.Minute)
				net.set(net.gone, false, "b", "c", "d", "e")
				away := []nodeID{"c", "d", "e"}
				if level == quorum.All {
					away = away[1:]
				}
				net.set(which, true, away...)
				ctx, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				start := time.Now()
				n, err := s.Wait(ctx, "k", level)
				require.Error(t, err)
				require.Equal(t, want, n)
				require.LessOrEqual(t, time.Since(start), time.Second)
				_, refused := errors.AsType[*quorum.UnavailableError](err)
				require.Equal(t, silent, errors.Is(err, context.DeadlineExceeded), "%v", err)
				require.Equal(t, !silent, refused, "%v", err)
				require.GreaterOrEqual(t, having(at, "k", 1), want)
				n, err = s.Wait(t.Context(), "k", quorum.Level(want))
				require.NoError(t, err)
				require.Equal(t, want, n)

				n, err = s.Wait(t.Context(), "k", level) // for as long as the coordinator has
				require.Equal(t, want, n)
				late, isLate := errors.AsType[*quorum.TimeoutError](err)
				require.Equal(t, silent, isLate, "%v", late)
				net.set(which, false, away...)
				time.Sleep(10 * time.Second)
				n, err = s.Wait(t.Context(), "k", level)
				require.NoError(t, err)
				require.GreaterOrEqual(t, n, want+1)
			})
		}
	}
}

// Who had it cannot be asked: nobody else is taken for it.
func TestWaitForWhatNobodyCanBeAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		net, all, at := group()
		net.set(net.gone, true, "b", "c", "d", "e")
		s := &Session{Quorum: all["a"]}
		_, err := s.Write(t.Context(), "k", []byte{1}, writes(quorum.One))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		net.set(net.gone, false, "b", "c", "d", "e")
		net.set(net.gone, true, "a")
		s.Quorum = all["b"]
		n, err := s.Wait(t.Context(), "k", quorum.Majority)
		_, refused := errors.AsType[*quorum.UnavailableError](err)
		require.True(t, refused, "%v", err)
		require.Equal(t, 1, n)
		require.Equal(t, 1, having(at, "k", 1))
		for level, none := range map[quorum.Level]bool{7: false, quorum.Any: true, -100: true} {
			net.set(net.gone, false, "a")
			time.Sleep(10 * time.Second)
			n, err = s.Wait(t.Context(), "k", level)
			_, bad := errors.AsType[*quorum.LevelError](err)
			require.True(t, bad, "%v", err)
			require.True(t, none || n == 5)
		}
	})
}

// A session that keeps nothing of its writes does not say that all is well with them.
func TestWaitForWritesThatAreNotKept(t *testing.T) {
	for g := Guarantees(0); g <= Everything; g++ {
		q := answering("x")
		s := &Session{Quorum: q, Guarantees: g}
		_, err := s.Write(t.Context(), "k", []byte{1}, writes(quorum.One))
		require.NoError(t, err)
		n, err := s.Wait(t.Context(), "k", quorum.Majority)
		if g == 0 || g&(ReadYourWrites|MonotonicWrites) != 0 {
			require.NoError(t, err)
			require.Equal(t, 3, n, "%04b", g)
			continue
		}
		require.ErrorIs(t, err, errUnkept, "%04b", g)
		require.Zero(t, n)
		require.Empty(t, q.reads)
	}
}

func TestWaitForKeysThatAreNotListed(t *testing.T) {
	q := answering("x", "y", "z")
	s := &Session{Quorum: q}
	n, err := s.Wait(t.Context(), "never seen", quorum.All)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, q.reads, "there is nothing to bring")

	s.token.rest = true // majorities have what was seen of it, if anything was
	n, err = s.Wait(t.Context(), "left out", quorum.Majority)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, []quorum.Holders{{Majority: true}}, q.reads[0].After)
	require.Empty(t, s.token.keys, "it takes no room")
}

// Many pieces are made one first; what majorities hold in parts is no number yet.
func TestWaitForManyPieces(t *testing.T) {
	q := answering("x", "y", "z")
	s := &Session{Quorum: q}
	for i := range uint64(20) {
		var t Token
		noted(&t, "k", wrote|read, held(i, true, nodeID(rune('a'+i))))
		s.Resume(t)
	}
	n, err := s.Wait(t.Context(), "k", quorum.Majority)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	for _, o := range q.reads {
		require.LessOrEqual(t, len(o.After), maxPieces)
	}
	q = answering("a") // it says less than was asked for
	q.read = func(quorum.ReadOptions) (quorum.ReadResult, error) {
		return quorum.ReadResult{Found: true, Holders: &quorum.Holders{Nodes: []nodeID{"a"}}}, nil
	}
	s = &Session{Quorum: q}
	noted(&s.token, "k", wrote, held(0, false, "a"))
	for _, level := range []quorum.Level{quorum.Two, quorum.Majority, quorum.All} {
		n, err = s.Wait(t.Context(), "k", level)
		require.ErrorIs(t, err, ErrUntold)
		require.Equal(t, 1, n)
	}
}

package revision

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
)

// A fake is a Quorum of sets of bytes that notes what it was asked.
type fake struct {
	mu        sync.Mutex
	keys      map[string][]byte
	reads     []quorum.ReadOptions
	writes    []quorum.WriteOptions
	readErr   error
	writeErr  error
	lost      bool // what fails is not there either
	takes     time.Duration
	under     int // calls under way
	mostUnder int
}

func (f *fake) enter() {
	f.mu.Lock()
	f.under++
	f.mostUnder = max(f.mostUnder, f.under)
	f.mu.Unlock()
	time.Sleep(f.takes)
	f.mu.Lock()
	f.under--
}

func (f *fake) Read(_ context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	f.enter()
	defer f.mu.Unlock()
	f.reads = append(f.reads, o)
	return quorum.ReadResult{State: f.keys[key], Found: len(f.keys[key]) > 0, Answered: 2, Owners: 3}, f.readErr
}

func (f *fake) Write(_ context.Context, key string, delta []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	f.enter()
	defer f.mu.Unlock()
	f.writes = append(f.writes, o)
	if f.writeErr == nil || !f.lost {
		if f.keys == nil {
			f.keys = map[string][]byte{}
		}
		f.keys[key], _ = union(f.keys[key], delta)
	}
	return quorum.WriteResult{Answered: 2, Owners: 3}, f.writeErr
}

var errNoState = errors.New("not a state")

func union(a, b []byte) ([]byte, error) {
	both := slices.Concat(a, b)
	if bytes.Contains(both, []byte("!")) {
		return nil, errNoState
	}
	slices.Sort(both)
	return slices.Compact(both), nil
}

// always is a delta, whatever the state is.
func always(delta string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(delta), nil }
}

func never(t *testing.T) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { t.Error("called"); return nil, nil }
}

func TestAWriteNeedsWhatItExpects(t *testing.T) {
	f := new(fake)
	w := &Writer{Quorum: f, Join: union}
	ctx := t.Context()

	res, none, err := w.Read(ctx, "k")
	require.NoError(t, err)
	require.False(t, res.Found)
	require.True(t, none.IsZero())
	require.Equal(t, quorum.Majority, f.reads[0].Level)
	require.Equal(t, quorum.RepairBlocking, f.reads[0].Repair)
	require.Equal(t, quorum.FallbacksNone, f.reads[0].Fallbacks)

	_, a, err := w.Write(ctx, "k", none, always("a"), quorum.WriteOptions{Durable: quorum.Two})
	require.NoError(t, err)
	require.Equal(t, of([]byte("a")), a)
	require.Equal(t, []quorum.WriteOptions{{Level: quorum.Majority, Primary: quorum.Majority, Durable: quorum.Two}}, f.writes)

	_, _, err = w.Write(ctx, "k", none, never(t), quorum.WriteOptions{})
	e, ok := errors.AsType[*ConflictError](err)
	require.True(t, ok)
	require.Equal(t, ConflictError{Key: "k", Current: a, State: []byte("a")}, *e)
	require.Equal(t, `revision: "k" holds `+a.String()+", not nothing", e.Error())
	require.Len(t, f.writes, 1)

	_, b, err := w.Write(ctx, "k", a, always("b"), quorum.WriteOptions{Level: quorum.All})
	require.NoError(t, err)
	_, now, err := w.Read(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, b, now)

	f.keys["k"], _ = union(f.keys["k"], []byte("z")) // a rival elsewhere
	_, _, err = w.Write(ctx, "k", b, never(t), quorum.WriteOptions{})
	require.ErrorContains(t, err, b.String())
}

func TestLevelsThatMajoritiesMeet(t *testing.T) {
	f := new(fake)
	w := &Writer{Quorum: f, Join: union}
	for level := quorum.EachMajority - 1; level <= quorum.Three; level++ {
		_, _, err := w.Write(t.Context(), level.String(), Revision{}, always("a"), quorum.WriteOptions{Level: level})
		switch level {
		case quorum.Default, quorum.Majority, quorum.All, quorum.EachMajority:
			require.NoError(t, err)
		default:
			e, ok := errors.AsType[*quorum.LevelError](err)
			require.True(t, ok, "%v", level)
			require.Equal(t, level, e.Level)
		}
	}
	require.Len(t, f.writes, 4)
}

// Of what a caller asks of owners themselves nothing is taken away: what a majority contains becomes one, what contains a
// majority stays, and what may be more or less, as Three of five or of four, is refused.
func TestPrimaryIsNeverLowered(t *testing.T) {
	for level := quorum.EachMajority - 1; level <= quorum.Three+1; level++ {
		f := new(fake)
		w := &Writer{Quorum: f, Join: union}
		_, _, err := w.Write(t.Context(), "k", Revision{}, always("a"), quorum.WriteOptions{Fallbacks: quorum.FallbacksCount, Primary: level})
		switch level {
		case quorum.Default, quorum.One, quorum.Majority:
			require.NoError(t, err)
			require.Equal(t, quorum.Majority, f.writes[0].Primary)
		case quorum.EachMajority, quorum.All:
			require.NoError(t, err)
			require.Equal(t, level, f.writes[0].Primary)
		default:
			e, ok := errors.AsType[*quorum.LevelError](err)
			require.True(t, ok, "%v", level)
			require.Equal(t, level, e.Level)
			require.NotEmpty(t, e.Error())
			require.Empty(t, f.reads, "nothing is asked before")
			require.Empty(t, f.writes)
		}
	}
}

// What fails before the delta is sent says so by another error than what fails after.
func TestWhatWasSentIsToldApart(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name    string
		f       *fake
		delta   func([]byte) ([]byte, error)
		content func([]byte) ([]byte, error)
		sent    bool
	}{
		{"the read fails", &fake{readErr: broken}, never(t), nil, false},
		{"no delta", &fake{}, func([]byte) ([]byte, error) { return []byte("x"), broken }, nil, false},
		{"no content", &fake{}, always("x"), func([]byte) ([]byte, error) { return nil, broken }, false},
		{"the write fails", &fake{writeErr: broken}, always("x"), nil, true},
		{"the write fails and is lost", &fake{writeErr: broken, lost: true}, always("x"), nil, true},
	} {
		w := &Writer{Quorum: c.f, Join: union, Content: c.content}
		_, _, err := w.Write(t.Context(), "k", Revision{}, c.delta, quorum.WriteOptions{})
		require.ErrorIs(t, err, broken, c.name)
		e, ok := errors.AsType[*UnknownError](err)
		require.Equal(t, c.sent, ok, c.name)
		require.Equal(t, c.sent, len(c.f.writes) > 0, c.name)
		require.Empty(t, w.turns.keys, c.name)
		if !ok {
			continue
		}
		require.Contains(t, e.Error(), "not known")
		require.Equal(t, of([]byte("x")), e.Revision)

		// To be sure: the same delta again, without a condition, however often.
		c.f.writeErr = nil
		for range 2 {
			_, err = c.f.Write(t.Context(), e.Key, e.Delta, quorum.WriteOptions{})
			require.NoError(t, err)
			_, now, err := w.Read(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, e.Revision, now)
		}
		_, _, err = w.Write(t.Context(), "k", Revision{}, never(t), quorum.WriteOptions{})
		_, conflict := errors.AsType[*ConflictError](err)
		require.True(t, conflict, "the same call would meet itself")
	}
	f := &fake{writeErr: &quorum.LevelError{Level: quorum.All}}
	_, _, err := (&Writer{Quorum: f, Join: union}).Write(t.Context(), "k", Revision{}, always("x"), quorum.WriteOptions{})
	require.Equal(t, f.writeErr, err)
	f = new(fake)
	_, _, err = (&Writer{Quorum: f, Join: union}).Write(t.Context(), "k", Revision{}, always("!"), quorum.WriteOptions{})
	require.ErrorIs(t, err, errNoState)
	require.Empty(t, f.writes, "what cannot be joined is not sent")
}

func TestNothingToWrite(t *testing.T) {
	f := &fake{keys: map[string][]byte{"k": []byte("a")}}
	w := &Writer{Quorum: f, Join: union}
	res, r, err := w.Write(t.Context(), "k", of([]byte("a")), always(""), quorum.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, of([]byte("a")), r)
	require.Equal(t, 2, res.Answered)
	require.Empty(t, f.writes)
}

func TestWhatIsNotSet(t *testing.T) {
	_, _, err := (&Writer{Quorum: new(fake)}).Write(t.Context(), "k", Revision{}, never(t), quorum.WriteOptions{})
	require.ErrorIs(t, err, errNoJoin)
	_, _, err = (&Writer{Join: union}).Write(t.Context(), "k", Revision{}, never(t), quorum.WriteOptions{})
	require.ErrorIs(t, err, errNoQuorum)
	_, _, err = new(Writer).Read(t.Context(), "k")
	require.ErrorIs(t, err, errNoQuorum)
}

// Of rivals at one Writer that expect one revision one alone succeeds; keys do not wait for one another, and who does
// not want to wait any longer goes.
func TestRivalsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: time.Second}
		w := &Writer{Quorum: f, Join: union}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won, conflicts := map[string]int{}, 0
		for i := range 20 {
			key := []string{"k", "l"}[i%2]
			wg.Go(func() {
				_, _, err := w.Write(t.Context(), key, Revision{}, always(string(rune('a'+i))), quorum.WriteOptions{})
				mu.Lock()
				defer mu.Unlock()
				if _, ok := errors.AsType[*ConflictError](err); ok {
					conflicts++
				} else if err == nil {
					won[key]++
				}
			})
		}
		start := time.Now()
		wg.Go(func() {
			time.Sleep(500 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, _, err := w.Write(ctx, "k", Revision{}, never(t), quorum.WriteOptions{})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 3500*time.Millisecond, time.Since(start))
		})
		wg.Wait()
		require.Equal(t, map[string]int{"k": 1, "l": 1}, won)
		require.Equal(t, 18, conflicts)
		require.Equal(t, 2, f.mostUnder, "one call for each key")
		require.Equal(t, 11*time.Second, time.Since(start)) // ten reads one after the other, and a write
		require.Empty(t, w.turns.keys, "locks that nobody needs are gone")
	})
}

// A delta that panics leaves the key free.
func TestAPanicLeavesTheKeyFree(t *testing.T) {
	w := &Writer{Quorum: new(fake), Join: union}
	require.Panics(t, func() {
		_, _, _ = w.Write(t.Context(), "k", Revision{}, func([]byte) ([]byte, error) { panic("x") }, quorum.WriteOptions{})
	})
	require.Empty(t, w.turns.keys)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := w.Write(ended, "k", Revision{}, never(t), quorum.WriteOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

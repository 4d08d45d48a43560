package handoff

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// ask sends a request of so many hints of 1,000 bytes, and returns the answer.
func ask(t *testing.T, i *Intake, now time.Time, from transport.NodeID, hints, least, want int) answer {
	t.Helper()
	q := replay{least: least, want: want}
	for n := range hints {
		q.hints = append(q.hints, entry{fmt.Sprint(n), make([]byte, 1000)})
	}
	resp, err := i.Serve(now, from, q.encode(), func(keys []string, _ [][]byte) []error { return make([]error, len(keys)) })
	require.NoError(t, err)
	a, err := decodeAnswer(resp, hints)
	require.NoError(t, err)
	return a
}

func TestTurnsFollowOneAnother(t *testing.T) {
	i, now := &Intake{Rate: 100_000}, epoch
	a := ask(t, i, now, "a", 10, 1000, 20_000) // little, and nobody else
	require.Equal(t, 10, a.taken)
	require.Equal(t, 20_000, a.allowance)
	require.InDelta(t, 101, a.pause.Milliseconds(), 2, "as long as what was taken takes")
	b := ask(t, i, now, "b", 10, 1000, 5000)
	require.Zero(t, b.taken)
	require.InDelta(t, 301, b.pause.Milliseconds(), 2, "after the turn of a")
	again := ask(t, i, now, "b", 10, 1000, 5000)
	require.Equal(t, b, again, "who does not wait gets the same turn")
	c := ask(t, i, now, "c", 0, 1000, 1_000_000)
	require.Equal(t, 25_000, c.allowance, "no more than a quarter of a second")
	require.InDelta(t, 301+int(float64(b.allowance)/100), c.pause.Milliseconds(), 3)
	c = ask(t, i, now, "c", 0, 60_000, 60_000)
	require.Equal(t, 60_000, c.allowance, "but the next hint fits")

	now = now.Add(a.pause)
	require.Equal(t, 19, ask(t, i, now, "a", 19, 0, 0).taken)
	require.Zero(t, ask(t, i, now.Add(time.Millisecond), "a", 1, 0, 0).taken, "it has had its turn")
}

func TestTurnsThatNobodyComesFor(t *testing.T) {
	i, now := &Intake{Rate: 1 << 30}, epoch
	for n := range maxTurns {
		ask(t, i, now, transport.NodeID(fmt.Sprint(n)), 0, 1000, 1000)
	}
	ready := i.ready
	late := ask(t, i, now, "late", 0, 1000, 1000)
	require.Equal(t, busyPause, late.pause)
	require.Equal(t, ready, i.ready)
	require.Len(t, i.turns, maxTurns)
	now = now.Add(2 * maxLate)
	late = ask(t, i, now, "late", 0, 1000, 1000)
	require.Zero(t, late.pause)
	require.Len(t, i.turns, 1)
}

func TestNoBound(t *testing.T) {
	i := &Intake{Rate: -1}
	for range 100 {
		a := ask(t, i, epoch, "a", 100, 1000, 1<<30)
		require.Equal(t, 100, a.taken)
		require.Zero(t, a.pause)
		require.Equal(t, 1<<20, a.allowance)
	}
	require.Empty(t, i.turns)
	require.Zero(t, ask(t, &Intake{Rate: -1, MaxMessage: 4000}, epoch, "a", 5, 0, 0).taken)
}

// A hint that is too large for its target, or for the network, is given up; others pass.
func TestAHintThatTheTargetCannotTake(t *testing.T) {
	for name, net := range map[string]*mem.Network{
		"target":  {},
		"network": {MaxMessage: 4000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := join(net, "a", func(h *Handoff) { h.Join = func(_, s []byte) ([]byte, error) { return s, nil } })
				b := join(net, "b", func(h *Handoff) { h.MaxMessage = 4000 })
				a.keep(t, "b", "1", "x")
				a.keep(t, "b", "large", strings.Repeat("x", 5000))
				a.keep(t, "b", "2", "x")
				defer a.run(t)()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				require.Equal(t, map[string]string{"1": "x", "2": "x"}, b.replica.content())
				require.Len(t, a.told(), 1)
				require.Equal(t, "large", a.told()[0].Key)
				require.Equal(t, TooLarge, a.told()[0].Reason)
				require.Empty(t, a.Stats().Targets)
			})
		})
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&FullError{Target: "b", Reason: TooOld}, "handoff: b has been away for too long to hold more for it"},
		{&FullError{Target: "b", Key: "k", Size: 9, Reason: TooLarge, Limit: 5}, `handoff: 9 bytes of "k" for b: too large for the limit of 5`},
		{&RefusedError{Reason: "no"}, "handoff: target refused: no"},
		{&CorruptError{Where: "row", Offset: 3, Reason: "bad"}, "handoff: corrupt row: bad at offset 3"},
		{&LogError{Err: errBad}, "handoff: log failed for good: bad state"},
	} {
		require.Equal(t, c.want, c.err.Error())
	}
	require.Equal(t, "departed", Departed.String())
	require.Equal(t, "Reason(9)", Reason(9).String())
}

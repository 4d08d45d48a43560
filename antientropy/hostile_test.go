package antientropy

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/merkle"
	"github.com/stretchr/testify/require"
)

// hostile drives a round with a peer that compares as it should and answers pulls
// as it likes. It returns how many it was asked.
func hostile(t *testing.T, a, b Store, most int, pull func(n int) *answers) (*Round, int, error) {
	t.Helper()
	s, round, pulls := &Responder{Store: b}, NewRound(a, RoundConfig{}), 0
	for {
		method, req, more := round.Next()
		if !more {
			return round, pulls, nil
		}
		var resp []byte
		if method == methodPull {
			pulls++
			require.LessOrEqual(t, pulls, most, "does not end")
			resp = encodeAnswers(pull(pulls))
		} else {
			var err error
			resp, err = s.ServeCall(t.Context(), "a", method, req)
			require.NoError(t, err)
		}
		if err := round.Step(t.Context(), resp); err != nil {
			return round, pulls, err
		}
		require.LessOrEqual(t, len(round.part), maxKeysAt)
		require.False(t, slices.ContainsFunc(round.part, func(f found) bool { return f.told() }), "what was only told is not kept")
	}
}

// However a peer draws its answers out, each position comes to its end.
func TestNoPeerKeepsARoundForEver(t *testing.T) {
	const positions = 20
	a, b := newSets(), newSets()
	for i := range positions {
		a.add(fmt.Sprint(i), 1)
		b.add(fmt.Sprint(i), 2)
	}
	first := slices.Collect(func(yield func(string) bool) {
		for key := range a.Index().All() {
			if !yield(key) {
				return
			}
		}
	})[0]
	for name, c := range map[string]struct {
		keys func(n int) []found
	}{
		"failed":    {keys: func(n int) []found { return []found{{kind: foundFailed, key: fmt.Sprint("k", n), reason: "no"}} }},
		"too large": {keys: func(n int) []found { return []found{{kind: foundTooLarge, key: fmt.Sprint("k", n), size: 1 << 30}} }},
		"state":     {keys: func(n int) []found { return []found{{kind: foundState, key: first, state: encodeSet(uint64(n))}} }},
		"moving":    {keys: func(n int) []found { return []found{{kind: foundMoving, key: first, state: encodeSet(uint64(n))}} }},
		"underway":  {keys: func(int) []found { return []found{{kind: foundUnderway, key: first}} }},
		"many at once": {keys: func(int) []found {
			return slices.Repeat([]found{{kind: foundFailed, key: "k"}}, 4000)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, pulls, err := hostile(t, a, b, maxKeysAt+1, func(n int) *answers {
				return &answers{more: true, at: []at{{keys: c.keys(n)}}}
			})
			corrupt, ok := errors.AsType[*CorruptError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, methodPull, corrupt.Method)
			t.Log(pulls, "pulls")
		})
	}
	t.Run("to the limit", func(t *testing.T) {
		round, pulls, err := hostile(t, a, b, positions*maxKeysAt, func(n int) *answers {
			return &answers{more: n%maxKeysAt != 0, at: []at{{keys: []found{{kind: foundFailed, key: fmt.Sprint("k", n)}}}}}
		})
		require.NoError(t, err)
		require.Equal(t, positions*maxKeysAt, pulls)
		require.Equal(t, positions*maxKeysAt, round.Result().KeysRefused)
	})
	t.Run("many at another position", func(t *testing.T) {
		_, _, err := hostile(t, a, b, 1, func(int) *answers {
			return &answers{at: []at{{equal: true}, {keys: slices.Repeat([]found{{kind: foundFailed, key: "k"}}, maxKeysAt+1)}}}
		})
		_, ok := errors.AsType[*CorruptError](err)
		require.True(t, ok, "%v", err)
	})
}

// A peer that has ever more parts to send is asked four times for each range at most.
func TestNoPeerKeepsARoundForEverByParts(t *testing.T) {
	const positions = 5
	a, b := newParts(1), newSets()
	var keys []string
	for i := range positions {
		a.add(fmt.Sprint(i), 1)
		b.add(fmt.Sprint(i), 2)
	}
	for key := range a.Index().All() {
		keys = append(keys, key)
	}
	for name, most := range map[string]int{"moving": 2, "standing still": 3, "without room": 3, "with no room, standing still": 4} {
		next, asked := 0, 0
		round, _, err := hostile(t, a, b, positions*most, func(n int) *answers {
			key := keys[next%positions]
			next++
			asked++
			sum := merkle.Fingerprint{Hi: 7}
			if name == "moving" || name == "without room" {
				sum.Lo = uint64(n)
			}
			noRoom := strings.Contains(name, "room")
			if most > 2 && name != "without room" && asked > (most-1)*positions {
				return &answers{at: []at{{keys: []found{{kind: foundState, key: key, sum: sum, state: encodeSet(1)}}}}}
			}
			return &answers{at: []at{{keys: []found{{kind: foundPart, key: key, sum: sum, state: encodeSet(1), noRoom: noRoom}}}}}
		})
		require.NoError(t, err, name)
		require.Equal(t, positions*most, asked, name)
		require.Equal(t, name == "moving" || name == "without room", len(round.Deferred()) == positions)
	}
}

// A part for one who told nothing of a key is none.
func TestAPartThatWasNotAskedForIsRefused(t *testing.T) {
	a, b := newSets(), newSets()
	a.add("k", 1)
	b.add("k", 2)
	_, _, err := hostile(t, a, b, 1, func(int) *answers {
		return &answers{at: []at{{keys: []found{{kind: foundPart, key: "k", state: encodeSet(2)}}}}}
	})
	_, ok := errors.AsType[*CorruptError](err)
	require.True(t, ok, "%v", err)
}

// What was seen of keys whose range is continued is kept as far as one message holds it.
func TestWhatWasSeenOfPartsIsBounded(t *testing.T) {
	r := NewRound(newSets(), RoundConfig{MaxMessage: small})
	var keys []found
	for range maxKeysAt {
		keys = append(keys, found{kind: foundPart, key: "k", state: encodeSet(1), seen: make([]byte, small/4)})
	}
	total := 0
	for _, f := range r.known(keys) {
		total += len(f.seen)
		require.Positive(t, f.size)
	}
	require.LessOrEqual(t, total, small)
}

// What came of a position in earlier answers is compared with the rest.
func TestAPositionInPartsIsComparedAsOne(t *testing.T) {
	a, b := newSets(), newSets()
	a.add("k", 1)
	b.add("k", 1, 2)
	state := encodeSet(1, 2)
	sum, _ := b.Index().Get("k")
	round, pulls, err := hostile(t, a, b, 2, func(n int) *answers {
		if n == 1 {
			return &answers{more: true, at: []at{{keys: []found{{kind: foundState, key: "k", sum: sum, state: state}}}}}
		}
		return &answers{at: []at{{keys: []found{{kind: foundFailed, key: "l", reason: "no"}}}}}
	})
	require.NoError(t, err)
	require.Equal(t, 2, pulls)
	require.Equal(t, 1, round.Result().KeysReceived)
	require.Zero(t, round.Result().KeysSent, "the peer has all of it")
	require.Equal(t, a.root(), b.root())
}

func TestRangesEmptyAreAllOfIt(t *testing.T) {
	for _, ranges := range [][]merkle.Range{nil, {}} {
		a, b := newSets(), newSets()
		a.add("k", 1)
		run(t, NewRound(a, RoundConfig{Ranges: ranges}), &Responder{Store: b}, 1<<20)
		require.Equal(t, a.root(), b.root())
	}
}

// A push that is refused costs no more than its bytes.
func TestACorruptPushAllocatesLittle(t *testing.T) {
	const n = 1 << 20
	w := message(1)
	w.Array(n)
	for range n {
		w.Uint(0)
	}
	msg := w.Done()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := decodePush(msg)
	runtime.ReadMemStats(&after)
	_, corrupt := errors.AsType[*CorruptError](err)
	require.True(t, corrupt)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(msg)))
}

// A queue that is never empty does not grow by what has gone through it.
func TestOutboxMemoryIsThatOfWhatWaits(t *testing.T) {
	o := Outbox{MaxMessage: small}
	o.Open("b")
	for i := range 20 {
		put(t, &o, fmt.Sprint(i), 100, "")
	}
	for i := range 20_000 {
		b, ok := o.Batch("b")
		require.True(t, ok)
		for j := range b.Keys {
			put(t, &o, fmt.Sprint(i, j), 100, "")
		}
		ack(t, &o, "b", b)
	}
	require.Equal(t, 20, o.queues["b"].len())
	require.LessOrEqual(t, cap(o.queues["b"].entries), 8192)
}

// A key that the peer could not load is sent to it all the same.
func TestAKeyThatThePeerCannotLoadIsSent(t *testing.T) {
	a, b := newSets(), newSets()
	a.add("k", 1)
	b.add("k", 2)
	b.broken = func(string) error { return errRefused }
	x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, 1, x.KeysSent)
	require.Zero(t, x.Deferred)
	require.Equal(t, []uint64{1, 2}, b.get("k"))
}

package antientropy

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

func ack(t *testing.T, o *Outbox, peer transport.NodeID, b Batch) {
	t.Helper()
	_, err := o.Acked(peer, b.ID, encodePushed(&pushed{merged: b.Keys}))
	require.NoError(t, err)
}

func put(t *testing.T, o *Outbox, key string, size int, origin transport.NodeID) []Dropped {
	t.Helper()
	d, err := o.Put(key, make([]byte, size), origin)
	require.NoError(t, err)
	return d
}

func keysOf(t *testing.T, b Batch) (keys []string) {
	t.Helper()
	entries, err := decodeDeltas(b.Request)
	require.NoError(t, err)
	for _, e := range entries {
		keys = append(keys, e.key)
	}
	return keys
}

func TestOutboxBatchesManyDeltasIntoFewMessages(t *testing.T) {
	o := Outbox{MaxMessage: 4096}
	o.Open("b")
	for i := range 100 {
		put(t, &o, fmt.Sprint("k", i), 50, "")
	}
	var keys []string
	messages := 0
	for {
		b, ok := o.Batch("b")
		if !ok {
			break
		}
		_, second := o.Batch("b")
		require.False(t, second, "one at a time")
		require.LessOrEqual(t, len(b.Request), 4096)
		keys = append(keys, keysOf(t, b)...)
		messages++
		ack(t, &o, "b", b)
	}
	require.Len(t, keys, 100)
	require.Equal(t, "k0", keys[0])
	require.Equal(t, "k99", keys[99])
	require.LessOrEqual(t, messages, 5)
	require.Zero(t, o.Pending("b"))
}

func TestOutboxNeverSendsBackToTheOrigin(t *testing.T) {
	var o Outbox
	o.Open("b")
	o.Open("c")
	put(t, &o, "from b", 1, "b")
	_, ok := o.Batch("b")
	require.False(t, ok)
	require.False(t, o.Holds("b", "from b"))
	require.True(t, o.Holds("c", "from b"))
	b, ok := o.Batch("c")
	require.True(t, ok)
	require.Equal(t, []string{"from b"}, keysOf(t, b))
}

func TestOutboxKeepsOneCopyForAllPeers(t *testing.T) {
	o := Outbox{MaxBytes: 64 << 20}
	for i := range 16 {
		o.Open(transport.NodeID(fmt.Sprint("peer", i)))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 32 {
		put(t, &o, fmt.Sprint(i), 512<<10, "")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(20<<20), "16 MiB of deltas for 16 peers")
	runtime.KeepAlive(&o)
}

func TestOutboxCopiesWhatItIsGiven(t *testing.T) {
	var o Outbox
	o.Open("b")
	delta := []byte("before")
	_, err := o.Put("k", delta, "")
	require.NoError(t, err)
	copy(delta, "after!")
	b, _ := o.Batch("b")
	require.Contains(t, string(b.Request), "before")
}

func TestTrap29_ADeadPeerPinsNothing(t *testing.T) {
	o := Outbox{MaxBytes: 10_000}
	o.Open("alive")
	o.Open("dead")
	o.Open("slow")
	for i := range 20 {
		put(t, &o, fmt.Sprint(i), 100, "")
	}
	b, _ := o.Batch("alive")
	ack(t, &o, "alive", b)

	for attempt := range 2 {
		b, ok := o.Batch("dead")
		require.True(t, ok, "it is tried again")
		_, closed := o.Failed("dead", b.ID)
		require.Equal(t, attempt == 1, closed)
	}
	require.True(t, o.Closed("dead"), "and remembered")
	put(t, &o, "later", 100, "")
	require.Zero(t, o.Pending("dead"))

	late, _ := o.Batch("slow")
	var overflowed []Dropped
	for i := 0; overflowed == nil; i++ {
		require.LessOrEqual(t, o.Pending("slow"), 10_000)
		overflowed = put(t, &o, fmt.Sprint(i), 1000, "")
		if b, ok := o.Batch("alive"); ok {
			ack(t, &o, "alive", b)
		}
	}
	require.Equal(t, transport.NodeID("slow"), overflowed[0].Peer)
	require.True(t, o.Closed("slow"))
	require.Zero(t, o.Pending("slow"))
	require.False(t, o.Closed("alive"))

	o.Open("slow") // on return
	put(t, &o, "new", 1, "")
	ack(t, &o, "slow", late)
	_, closed := o.Failed("slow", late.ID)
	require.False(t, closed)
	require.True(t, o.Holds("slow", "new"), "what comes late for an old batch does not touch the new one")
}

func TestTrap28_ADeltaTooLargeIsAnError(t *testing.T) {
	o := Outbox{MaxMessage: small}
	o.Open("b")
	put(t, &o, "k", small-entryOverhead-messageOverhead-rangeOverhead-1, "")
	b, ok := o.Batch("b")
	require.True(t, ok)
	require.LessOrEqual(t, len(b.Request), small)
	for key, size := range map[string]int{"k": small, strings.Repeat("k", small): 1} {
		_, err := o.Put(key, make([]byte, size), "")
		large, ok := errors.AsType[*TooLargeError](err)
		require.True(t, ok)
		require.Equal(t, TooLargeError{key, size, small}, *large)
	}
}

func TestOutboxTellsWhatThePeerRefused(t *testing.T) {
	var o Outbox
	o.Open("b")
	put(t, &o, "good", 8, "")
	put(t, &o, "bad", 7, "")
	s := &Responder{Store: newSets()}
	b, _ := o.Batch("b")
	resp, err := s.ServeCall(t.Context(), "a", b.Method, b.Request)
	require.NoError(t, err)
	refused, err := o.Acked("b", b.ID, resp)
	require.NoError(t, err)
	require.Equal(t, []Refused{{Peer: "b", Key: "bad", Err: &RefusedError{"7 bytes are not a set"}}}, refused)
	require.Zero(t, o.Pending("b"))
}

func TestOutboxWithACorruptResponse(t *testing.T) {
	var o Outbox
	o.Open("b")
	put(t, &o, "k", 8, "")
	b, _ := o.Batch("b")
	_, err := o.Acked("b", b.ID, []byte{0xc1})
	_, corrupt := errors.AsType[*CorruptError](err)
	require.True(t, corrupt)
	o.Failed("b", b.ID)
	_, again := o.Batch("b")
	require.True(t, again)
}

func TestOutboxForgets(t *testing.T) {
	var o Outbox
	o.Open("b")
	o.Open("c")
	put(t, &o, "k", 8, "")
	o.Forget("b")
	require.True(t, o.Closed("b"))
	require.Zero(t, o.Pending("b"))
	put(t, &o, "k", 8, "")
	_, ok := o.Batch("b")
	require.False(t, ok)
	require.Zero(t, o.Close("never seen"))
}

// Also with loss of requests and of responses nothing is lost or reordered.
func TestOutboxOverALossyLinkKeepsTheOrder(t *testing.T) {
	var got []uint64
	to := newSets()
	to.onNews = func(_ string, novel []byte) {
		e, err := decodeSet(novel)
		require.NoError(t, err)
		got = append(got, e...)
	}
	in, out := Responder{Store: to}, Outbox{MaxMessage: small, Attempts: 1000}
	out.Open("b")
	put := uint64(0)
	for turn := 0; put < 500 || out.Pending("b") > 0; turn++ {
		for range min(7, 500-put) {
			_, err := out.Put(fmt.Sprint(put%5), encodeSet(put), "")
			require.NoError(t, err)
			put++
		}
		b, ok := out.Batch("b")
		require.True(t, ok)
		if turn%3 == 0 {
			out.Failed("b", b.ID)
			continue
		}
		resp, err := in.ServeCall(t.Context(), "a", b.Method, b.Request)
		require.NoError(t, err)
		if turn%5 == 0 {
			out.Failed("b", b.ID)
			continue
		}
		_, err = out.Acked("b", b.ID, resp)
		require.NoError(t, err)
	}
	require.Len(t, got, 500)
	require.True(t, slices.IsSorted(got))
}

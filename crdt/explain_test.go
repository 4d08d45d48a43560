package crdt_test

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func TestBoundedCounterExplains(t *testing.T) {
	var c escrow
	assert.Empty(t, c.Explain())
	assert.Empty(t, (*escrow)(nil).Explain())
	c.Increment(idA, 100)
	_, err := c.Transfer(idA, idC, 40)
	require.NoError(t, err)
	_, err = c.Transfer(idA, idB, 10)
	require.NoError(t, err)
	_, err = c.Transfer(idC, idB, 5)
	require.NoError(t, err)
	_, err = c.Decrement(idC, 30)
	require.NoError(t, err)
	assert.Equal(t, []crdt.Share{
		{Replica: idA, Added: 100, Sent: 50},
		{Replica: idB, Received: 15}, // which has written nothing
		{Replica: idC, Subtracted: 30, Received: 40, Sent: 5},
	}, c.Explain())
	assert.Equal(t, map[vclock.ReplicaID]uint64{idB: 10, idC: 40}, maps.Collect(c.Transfers(idA)))
	assert.Equal(t, map[vclock.ReplicaID]uint64{idB: 5}, maps.Collect(c.Transfers(idC)))
	assert.Empty(t, maps.Collect(c.Transfers(idB)))
	assert.Empty(t, maps.Collect((*escrow)(nil).Transfers(idA)))
	for to := range c.Transfers(idA) {
		assert.Equal(t, idB, to, "in order")
		break
	}
}

// The row of who sent may come later than the row of who has spent it: that alone says what was sent.
func TestBoundedCounterExplainsWhatIsNotThereYet(t *testing.T) {
	var c, ahead escrow
	c.Increment(idA, 100)
	_, err := c.Transfer(idA, idB, 40)
	require.NoError(t, err)
	delta, err := c.Decrement(idB, 1)
	require.NoError(t, err)
	ahead.Merge(delta)
	assert.Equal(t, []crdt.Share{
		{Replica: idA, Sent: 40}, {Replica: idB, Subtracted: 1, Received: 40},
	}, ahead.Explain())
	assert.Equal(t, map[vclock.ReplicaID]uint64{idB: 40}, maps.Collect(ahead.Transfers(idA)))
}

// The shares add up to the rights of each replica, and what is sent to what is received.
func TestBoundedCounterExplanationsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, _ := reached(t, boundedcounters())
		sent := make(map[vclock.ReplicaID]*big.Int)
		shares := c.Explain()
		if !slices.IsSortedFunc(shares, func(a, b crdt.Share) int { return a.Replica.Compare(b.Replica) }) {
			t.Fatalf("out of order: %v", shares)
		}
		for _, s := range shares {
			total := new(big.Int)
			for to, n := range c.Transfers(s.Replica) {
				total.Add(total, wideOf(n))
				if sent[to] == nil {
					sent[to] = new(big.Int)
				}
				sent[to].Add(sent[to], wideOf(n))
			}
			if clamped(total) != s.Sent {
				t.Fatalf("%v sent %d, and not %v", s.Replica, s.Sent, total)
			}
		}
		for _, s := range shares {
			received := new(big.Int)
			if sent[s.Replica] != nil {
				received = sent[s.Replica]
			}
			if clamped(received) != s.Received {
				t.Fatalf("%v received %d, and not %v", s.Replica, s.Received, received)
			}
			if s.Received == math.MaxUint64 || s.Sent == math.MaxUint64 {
				continue // may be more
			}
			rights := new(big.Int).Add(wideOf(s.Added), received)
			rights.Sub(rights, wideOf(s.Subtracted))
			rights.Sub(rights, wideOf(s.Sent))
			if clamped(rights) != c.Rights(s.Replica) {
				t.Fatalf("%v has rights to %d, and not %v", s.Replica, c.Rights(s.Replica), rights)
			}
		}
	})
}

func wideOf(n uint64) *big.Int { return new(big.Int).SetUint64(n) }

func clamped(n *big.Int) uint64 {
	switch {
	case n.Sign() < 0:
		return 0
	case !n.IsUint64():
		return math.MaxUint64
	}
	return n.Uint64()
}

func TestLogExplains(t *testing.T) {
	var l wordlog
	assert.Equal(t, crdt.Explanation{}, l.Explain(stampOf(1, idA)))
	assert.Equal(t, crdt.Explanation{}, (*wordlog)(nil).Explain(stampOf(1, idA)))
	for i := range int64(300) { // in several chunks
		l.Append(stampOf(2*i+1, idA), fmt.Sprint(i))
	}
	for i := range int64(300) {
		at := stampOf(2*i+1, idA)
		assert.Equal(t, crdt.Explanation{Present: true, For: []vclock.Dot{{Replica: idA, Seq: uint64(i) + 1}}, ForAt: at}, l.Explain(at))
		assert.Equal(t, crdt.Explanation{}, l.Explain(stampOf(2*i, idA)), "between two entries")
		assert.Equal(t, crdt.Explanation{}, l.Explain(stampOf(2*i+1, idB)), "of the moment, by somebody else")
	}
	assert.Equal(t, crdt.Explanation{}, l.Explain(stampOf(1000, idA)))
}

// Two entries of one moment come from an identity that two writers used, and both dots say so; also where a chunk
// ends between them.
func TestLogExplainsAnIdentityThatWasUsedTwice(t *testing.T) {
	for before := range 200 {
		var l, one, two wordlog
		for i := range before {
			l.Append(stampOf(int64(i), idC), "earlier")
		}
		one.Append(stampOf(500, idA), "once")
		two.Append(stampOf(400, idA), "other")
		two.Append(stampOf(500, idA), "twice")
		l.Merge(&one)
		l.Merge(&two)
		l.Append(stampOf(600, idB), "later")
		assert.Equal(t, []vclock.Dot{{Replica: idA, Seq: 1}, {Replica: idA, Seq: 2}}, l.Explain(stampOf(500, idA)).For)
	}
}

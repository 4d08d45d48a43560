package session

import (
	"errors"
	"testing"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// weak are buckets that have calls which do not say more be content with less than a majority.
var weak = map[string]quorum.Bucket{
	"level": {Read: quorum.ReadOptions{Level: quorum.One}, Write: quorum.WriteOptions{Level: quorum.One}},
	"least": {Read: quorum.ReadOptions{Level: quorum.Majority, Least: quorum.One}},
	"all of it": {
		Read:  quorum.ReadOptions{Level: quorum.One, Least: quorum.One, Fallbacks: quorum.FallbacksCount, Repair: quorum.RepairOff},
		Write: quorum.WriteOptions{Level: quorum.One, Fallbacks: quorum.FallbacksCount},
	},
}

// weakly runs f with five owners, all of whose coordinators have a weak bucket.
func weakly(t *testing.T, f func(t *testing.T, net *cut, all map[nodeID]*quorum.Coordinator, at map[nodeID]*sets)) {
	for name, bucket := range weak {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				net, all, at := group()
				for _, c := range all {
					c.Buckets = []quorum.Bucket{bucket}
				}
				f(t, net, all, at)
			})
		})
	}
}

func refusedBy(t *testing.T, err error) {
	t.Helper()
	_, refused := errors.AsType[*quorum.UnavailableError](err)
	require.True(t, refused, "%v", err)
}

// A Bound whose own replica is too old, or fails, reads a majority, whatever the bucket of the key says; and where it does not
// reach one it refuses.
func TestBoundIsKeptWhateverTheBucketSays(t *testing.T) {
	weakly(t, func(t *testing.T, net *cut, all map[nodeID]*quorum.Coordinator, _ map[nodeID]*sets) {
		net.set(net.gone, true, "a")
		_, err := all["b"].Write(t.Context(), "k", []byte{1}, writes(quorum.Majority))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		b := &Bound{Quorum: all["a"], Self: "a", Within: time.Minute, Age: func(string) (time.Duration, bool) { return 2 * time.Hour, true }}
		net.set(net.gone, true, "b", "c", "d")
		_, err = b.Read(t.Context(), "k")
		refusedBy(t, err)
		net.set(net.gone, false, "b", "c", "d")
		net.set(net.gone, true, "e")
		time.Sleep(time.Minute)
		res, err := b.Read(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, []byte{1}, res.State)
		b.Self = "e" // its own, which cannot be asked
		b.Age = func(string) (time.Duration, bool) { return 0, true }
		res, err = b.Read(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, []byte{1}, res.State)
	})
}

// What is said in Otherwise is asked for; what is not is not left to the bucket, where that would be less.
func TestBoundSaysItAll(t *testing.T) {
	q := &asked{read: func(quorum.ReadOptions) (quorum.ReadResult, error) { return quorum.ReadResult{Found: true}, nil }}
	b := &Bound{Quorum: q}
	for _, want := range []quorum.ReadOptions{
		{Level: quorum.Majority, Fallbacks: quorum.FallbacksNone, Repair: quorum.RepairBlocking, NotFound: quorum.NotFoundCounts},
		{Level: quorum.EachMajority, Fallbacks: quorum.FallbacksCount, Repair: quorum.RepairAsync, NotFound: quorum.NotFoundByAll, Primary: quorum.Majority},
	} {
		_, err := b.Read(t.Context(), "k")
		require.NoError(t, err)
		b.Otherwise = quorum.ReadOptions{Level: quorum.EachMajority, Fallbacks: quorum.FallbacksCount, Repair: quorum.RepairAsync, NotFound: quorum.NotFoundByAll, Primary: quorum.Majority}
		require.Equal(t, want, q.reads[len(q.reads)-1])
	}
	q.read = func(quorum.ReadOptions) (quorum.ReadResult, error) {
		return quorum.ReadResult{Found: true, Stale: true, Answered: 3, Owners: 3}, nil
	}
	res, err := b.Read(t.Context(), "k")
	require.EqualError(t, err, `quorum: read "k": 1 of 2 needed owners hold the merged answer (level each majority, 3 owners)`)
	require.Zero(t, res)
}

// What a session brings to majorities is there, whatever the bucket of the key says.
func TestSessionIsKeptWhateverTheBucketSays(t *testing.T) {
	weakly(t, func(t *testing.T, net *cut, all map[nodeID]*quorum.Coordinator, at map[nodeID]*sets) {
		net.set(net.gone, true, "b", "c", "d", "e")
		s := &Session{Quorum: all["a"]}
		_, err := s.Write(t.Context(), "k", []byte{1}, writes(quorum.One))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		net.set(net.gone, false, "b")
		_, err = s.Write(t.Context(), "l", []byte{2}, quorum.WriteOptions{})
		refusedBy(t, err)
		require.Zero(t, having(at, "l", 2), "it was not sent before what it follows")
		_, err = s.Wait(t.Context(), "k", quorum.Default)
		refusedBy(t, err)
		_, err = hold(t.Context(), all["a"], "h", []byte{3}, quorum.Majority)
		refusedBy(t, err)

		net.set(net.gone, false, "c", "d", "e")
		time.Sleep(time.Minute)
		_, err = s.Write(t.Context(), "l", []byte{2}, quorum.WriteOptions{})
		require.NoError(t, err)
		require.GreaterOrEqual(t, having(at, "k", 1), 3)
		for _, level := range []quorum.Level{quorum.Majority, quorum.All} {
			n, err := s.Wait(t.Context(), "l", level)
			require.NoError(t, err)
			require.GreaterOrEqual(t, having(at, "l", 2), n)
			require.GreaterOrEqual(t, n, 3)
		}
		require.Equal(t, 5, having(at, "l", 2))

		net.set(net.gone, true, "a") // which its reads at One go by
		late := &Session{Quorum: all["e"]}
		late.Resume(s.Token())
		res, err := late.Read(t.Context(), "k", quorum.ReadOptions{})
		require.NoError(t, err)
		require.Equal(t, []byte{1}, res.State)
	})
}

// All owners are brought up, and majorities acknowledge, whatever the bucket of the key says.
func TestVersionBoundIsKeptWhateverTheBucketSays(t *testing.T) {
	weakly(t, func(t *testing.T, net *cut, all map[nodeID]*quorum.Coordinator, at map[nodeID]*sets) {
		net.set(net.gone, true, "e")
		_, err := all["b"].Write(t.Context(), "k", []byte{1}, writes(quorum.Majority))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		b := &VersionBound{Quorum: all["a"], Most: 1}
		_, err = b.Write(t.Context(), "k", []byte{2}, quorum.WriteOptions{})
		refusedBy(t, err)
		require.Zero(t, having(at, "k", 2))
		net.set(net.gone, false, "e")
		time.Sleep(time.Minute)
		_, err = b.Write(t.Context(), "k", []byte{2}, quorum.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, 5, having(at, "k", 1))
		require.GreaterOrEqual(t, having(at, "k", 2), 3)
	})
}

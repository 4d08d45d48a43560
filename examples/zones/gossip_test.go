package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// Four nodes whose ring follows who is there: one joins because it is there, a node that was killed is found at another
// address, one leaves because it says so, and one that is dead because somebody else does. What was acknowledged is there
// all along.
func TestTheRingFollowsTheMembers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; runs without -short")
	}
	f := newFleet(t, "a1", "b1", "c1", "b2")
	first := slices.Clone(f.peers[:3])
	start := func(p peer, more ...string) {
		f.startAmong(first, p, append(more, "-gossip", f.gossip[p.ID], "-seeds", f.gossip["a1"]+","+f.gossip["b1"], "-settle", "3s")...)
	}
	for _, p := range first {
		start(p)
	}
	f.within(60*time.Second, "the first ring", func() bool { return f.settled("a1", 1) && f.settled("c1", 1) })
	acked := []string{}
	put := func(at transport.NodeID, element string) {
		f.within(60*time.Second, "a write", func() bool { return f.do("PUT", at, "/carts/x/"+element, "", new(written)) })
		acked = append(acked, element)
	}
	put("a1", "milk")

	start(f.peers[3], "-join")
	f.within(120*time.Second, "b2 joins", func() bool { return f.settled("a1", 3) && f.settled("b2", 3) })
	put("b2", "bread")
	var refused failure
	require.False(t, f.do("POST", "a1", "/members", `{"leave": "b2"}`, &refused), "it is for b2 to say")
	require.Equal(t, "bad_request", refused.Code)

	f.kill("c1")
	moved := f.peers[2]
	moved.Addr = f.spare["c1"]
	put("a1", "jam")
	start(moved)
	sees := func(at transport.NodeID, status, addr string) func() bool {
		return func() bool {
			var all []seen
			return f.do("GET", at, "/members", "", &all) && slices.ContainsFunc(all, func(m seen) bool {
				return m.ID == "c1" && m.Status == status && m.Addr == addr
			})
		}
	}
	f.within(120*time.Second, "c1 is seen where it is", sees("a1", "alive", moved.Addr))
	f.within(60*time.Second, "and found by the ring", func() bool { return f.settled("a1", 3) && f.settled("c1", 3) })
	put("c1", "tea")

	f.within(60*time.Second, "b2 leaves", func() bool { return f.do("POST", "b2", "/members", `{"leave": "b2"}`, new(state)) })
	f.within(120*time.Second, "and is in the ring no more", func() bool { return f.settled("a1", 5) && f.settled("b2", 5) })
	read := func(nodes ...transport.NodeID) {
		for _, at := range nodes {
			var c cart
			f.within(60*time.Second, "a read", func() bool { return f.do("GET", at, "/carts/x", "", &c) })
			require.Subset(t, c.Elements, acked)
		}
	}
	read("a1", "b1", "c1", "b2")

	require.False(t, f.do("POST", "a1", "/members", `{"leave": "b2"}`, &refused), "it is no member any more")
	require.Equal(t, "bad_request", refused.Code)
	f.kill("c1")
	for _, at := range []transport.NodeID{"a1", "b1"} {
		f.within(120*time.Second, "c1 is dead", sees(at, "dead", moved.Addr))
	}
	require.False(t, f.do("POST", "b1", "/members", `{"leave": "c1"}`, &refused), "a1 decides")
	require.Equal(t, "conflict", refused.Code, refused.Message)
	f.within(60*time.Second, "c1 is had leave", func() bool { return f.do("POST", "a1", "/members", `{"leave": "c1"}`, new(state)) })
	f.within(120*time.Second, "the others hold its share", func() bool { return f.settled("a1", 7) && f.settled("b1", 7) })
	read("a1", "b1")
}

// A seed at which nobody is is told of, also where another one has answered.
func TestSeedsThatDoNotAnswerAreTold(t *testing.T) {
	start := func(id transport.NodeID, seeds ...string) (*gossip, <-chan error) {
		n, err := newNode(config{id: id, zone: "a", timeout: time.Second, gossip: "127.0.0.1:0", settle: time.Hour, seeds: seeds}, "127.0.0.1:1")
		require.NoError(t, err)
		told := make(chan error, 10)
		n.gossip.tell = func(_ string, err error) { told <- err }
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- n.gossip.run(ctx) }()
		t.Cleanup(func() {
			stop()
			require.NoError(t, <-done)
			require.Empty(t, told, "more of %s", id)
			require.NoError(t, n.close())
		})
		return n.gossip, told
	}
	a, _ := start("a1")
	require.Eventually(t, func() bool { return len(a.members.All()) == 1 }, time.Minute, time.Millisecond)
	b, told := start("b1", a.members.All()[0].Gossip, "127.0.0.1:1")
	err := <-told
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.ErrorContains(t, err, "seed 127.0.0.1:1: ")
	require.ErrorContains(t, err, "; it is tried again")
	require.Eventually(t, func() bool { return slices.Contains(b.members.Peers(), "a1") }, time.Minute, time.Millisecond)
}

func TestGossipHasAKeyOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	certs := func(ids ...string) {
		require.NoError(t, run(t.Context(), io.Discard, append([]string{"certs", dir}, ids...)))
	}
	certs("a1")
	key, err := readSecret(dir)
	require.NoError(t, err)
	require.Len(t, key, 32)
	info, err := os.Stat(filepath.Join(dir, secretFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	certs("b1")
	again, err := readSecret(dir)
	require.NoError(t, err)
	require.Equal(t, key, again, "all nodes have the same")

	require.NoError(t, os.WriteFile(filepath.Join(dir, secretFile), []byte("nonsense"), 0o600))
	_, err = newNode(config{id: "a1", zone: "a", timeout: time.Second, tls: dir, gossip: "127.0.0.1:0"}, "127.0.0.1:1")
	require.ErrorContains(t, err, secretFile)
	require.NoError(t, os.Remove(filepath.Join(dir, secretFile)))
	_, err = newNode(config{id: "a1", zone: "a", timeout: time.Second, tls: dir, gossip: "127.0.0.1:0"}, "127.0.0.1:1")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestMembersAreSeenByGossipAlone(t *testing.T) {
	_, do := alone(t)
	status, f := do(http.MethodGet, "/members", "")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, f.Message, "-gossip")
}

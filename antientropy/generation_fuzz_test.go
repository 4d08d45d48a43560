package antientropy

import (
	"bytes"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// Whatever arrives at a member about generations, by whomever it is sent, it answers within its
// bounds, and is never emptied by what it is told.
func FuzzGenerations(f *testing.F) {
	methods := []string{methodReconcile, methodSettle, methodPrepare, methodPull, methodStream}
	start := NewRound(chainAt("/1", 1), RoundConfig{Ranges: nowhere})
	_, req, _ := start.Next()
	f.Add(uint8(0), uint8(0), req)
	f.Add(uint8(0), uint8(1), encodeReconcile(1, &position{generation: "/1/2/3", rank: 9, least: never}, nil))
	f.Add(uint8(1), uint8(0), encodeSettle(2, 0, way{"/1/2", [][]byte{[]byte("/1/2/3")}}))
	f.Add(uint8(1), uint8(2), encodeSettle(never, 0, way{}))
	f.Add(uint8(2), uint8(0), encodePrepare(&asking{epoch: 1, generation: "/1/2", rank: 2}))
	f.Add(uint8(2), uint8(0), encodePrepare(&asking{epoch: 1, generation: "/1", rank: 2, proposal: []byte("/1/2/a1")}))
	f.Add(uint8(2), uint8(0), encodePrepare(&asking{epoch: 1, generation: "/1/2", proposal: []byte("/1/2/a1")}))
	f.Add(uint8(3), uint8(0), encodeQuestions(&questions{own: position{generation: "/1"}}))
	f.Add(uint8(4), uint8(0), encodeStream(&starting{own: position{generation: "/1/2"}}))
	f.Fuzz(func(t *testing.T, m, who uint8, req []byte) {
		for _, at := range []string{"", "/1/2"} {
			c := chainAt(at, 2)
			s := &Responder{Store: c, MaxMessage: small, Membership: inEpoch("b", epochs("a b c")[0])}
			from := []transport.NodeID{"a", "c", "guest"}[int(who)%3]
			given := slices.Clone(req)
			resp, err := s.ServeCall(t.Context(), from, methods[int(m)%len(methods)], given)
			require.Equal(t, req, given)
			if err == nil && len(resp) > small {
				t.Fatalf("an answer of %d bytes", len(resp))
			}
			require.Zero(t, c.emptied)
			require.True(t, at == "" || leads(at, c.at), c.at)
			if from == "guest" && at != "" {
				require.Equal(t, at, c.at)
			}
		}
	})
}

// Whatever is answered to a round, or to a collection, it ends or goes on.
func FuzzGenerationAnswers(f *testing.F) {
	e := &elsewhere{position{generation: "/1/2/3", rank: 2, least: 2}, way{"/1/2", [][]byte{[]byte("/1/2/3")}}}
	f.Add(uint8(0), encodeElsewhere(e))
	f.Add(uint8(0), encodeElsewhere(&elsewhere{position: position{generation: "/1", least: never}}))
	f.Add(uint8(1), encodeSettled(&position{generation: "/1/2", rank: 2}))
	f.Add(uint8(0), encodeReconciled(3, nil))
	f.Add(uint8(2), encodePrepared(&prepared{status: statusReady, epoch: 1, position: position{generation: "/1/2"}}))
	f.Add(uint8(2), encodePrepared(&prepared{status: statusElsewhere, position: e.position, way: e.way}))
	f.Add(uint8(2), encodePrepared(&prepared{status: statusRefused, reply: []byte("no")}))
	f.Fuzz(func(t *testing.T, step uint8, resp []byte) {
		if step%3 == 2 {
			c := newCouncil("/1/2", "a", "b")
			l := c.start(t)
			for range 4 {
				_ = l.Step(t.Context(), bytes.Clone(resp))
			}
			require.True(t, leads("/1/2", c.stores["a"].at))
			require.Zero(t, c.stores["a"].emptied)
			return
		}
		m := &meeting{a: chainAt("/1/2", 2), b: chainAt("/1", 1), of: inEpoch("a", epochs("a b")[0]), to: inEpoch("b", epochs("a b")[0])}
		r, s := NewRound(m.a, RoundConfig{Peer: "b", Membership: m.of}), &Responder{Store: m.b, Membership: m.to}
		for n := range 100 {
			method, req, more := r.Next()
			if !more {
				return
			}
			answer, err := s.ServeCall(t.Context(), "a", method, req)
			require.NoError(t, err)
			if n == int(step%3) {
				answer = resp
			}
			if r.Step(t.Context(), answer) != nil {
				return
			}
		}
		t.Fatal("does not end")
	})
}

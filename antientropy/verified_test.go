package antientropy

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A comparison that is not verified, since the peer was written to meanwhile, has missed
// nothing that differed when it began: so a round that ends without an error says that all
// is here that the peer had then, and there that was here, whatever was written since.
func TestTrap23_WhatDifferedBeforeIsNotMissed(t *testing.T) {
	unverified := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		a, b := newSets(), newSets()
		n := []int{10, 300, 3000}[r.IntN(3)]
		for i := range n {
			a.add(fmt.Sprint(i), 1)
			b.add(fmt.Sprint(i), 1)
		}
		for i := range r.IntN(n / 2) {
			[]*sets{a, b}[i%2].add(fmt.Sprint(r.IntN(2*n)), uint64(i+2))
		}
		hadA, hadB := a.content(), b.content()
		round, s := NewRound(a, RoundConfig{MaxMessage: []int{small, 8 << 10, 0}[r.IntN(3)], insistAll: true}), &Responder{Store: b}
		for {
			method, req, more := round.Next()
			if !more {
				break
			}
			for range r.IntN(20) {
				key, e := fmt.Sprint(r.IntN(2*n)), uint64(1_000_000+r.IntN(1_000_000))
				if r.IntN(3) > 0 {
					a.add(key, e)
				}
				if r.IntN(3) > 0 {
					b.add(key, e)
				}
			}
			resp, err := s.ServeCall(t.Context(), "a", method, req)
			require.NoError(t, err)
			require.NoError(t, round.Step(t.Context(), resp))
		}
		if !round.session.Verified() {
			unverified++
		}
		for key, had := range hadB {
			require.Subset(t, a.get(key), had, "seed %d", seed)
		}
		for key, had := range hadA {
			require.Subset(t, b.get(key), had, "seed %d", seed)
		}
	}
	t.Log(unverified, "not verified")
	require.NotZero(t, unverified)
}

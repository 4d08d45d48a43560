package linearizability

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

var seeds = flag.Int("seeds", 20, "how many histories")

// history returns what clients saw, by key.
func history(t *testing.T, seed uint64, ahead, naive bool, at int) (past map[string][]porcupine.Operation) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, seed, ahead, naive)
		c.at = at
		rng := rand.New(rand.NewPCG(seed, 1))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() { c.client(t.Context(), i, rand.New(rand.NewPCG(seed, uint64(i+2))), naive) })
		}
		go c.trouble(ctx, rng)
		wg.Wait()
		cancel()
		past = c.past
		time.Sleep(time.Minute) // for what calls left behind
	})
	return past
}

// linearizable judges each key by itself. Not to know is to fail.
func linearizable(past map[string][]porcupine.Operation) (ok bool, counts [3]int) {
	for _, ops := range past {
		for _, op := range ops {
			switch out := op.Output.(output); {
			case out.unknown:
				counts[2]++
			case out.conflict:
				counts[1]++
			default:
				counts[0]++
			}
		}
		if porcupine.CheckOperationsTimeout(register.ToModel(), ops, 20*time.Second) != porcupine.Ok {
			return false, counts
		}
	}
	return true, counts
}

func TestRegistersAreLinearizable(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		var all [3]int
		for seed := range uint64(*seeds) {
			ok, counts := linearizable(history(t, seed, ahead, false, int(seed)%4))
			require.True(t, ok, "seed %d, ahead %v", seed, ahead)
			for i, n := range counts {
				all[i] += n
			}
		}
		t.Logf("ahead %v: %d made, %d in conflict, %d unknown", ahead, all[0], all[1], all[2])
		require.Greater(t, all[0], 10**seeds, "made")
		require.Greater(t, all[1], *seeds, "in conflict")
		require.Greater(t, all[2], *seeds/4, "unknown")
	}
}

// Reads that ask one node are found out.
func TestReadsOfOneAreNot(t *testing.T) {
	for seed := range uint64(50) {
		if ok, _ := linearizable(history(t, seed, false, true, 0)); !ok {
			t.Logf("found by seed %d", seed)
			return
		}
	}
	t.Fatal("not found")
}

package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeapIsOrderedByTimeThenByOrderOfScheduling(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h heap
	for range 5000 {
		h.push(event{at: time.Duration(random.IntN(50))})
	}
	last, _ := h.pop()
	for e, ok := h.pop(); ok; e, ok = h.pop() {
		require.True(t, last.before(&e))
		last = e
	}
	require.Empty(t, h.events)
}

func TestBitsetAgainstMaps(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	draw := func() (s bitset, m map[int]bool) {
		m = make(map[int]bool)
		for range random.IntN(6) {
			i := random.IntN(200)
			s, m[i] = s.with(i), true
		}
		return s, m
	}
	for range 2000 {
		a, inA := draw()
		b, inB := draw()
		for i := range 200 {
			require.Equal(t, inA[i] || inB[i], a.union(b).has(i))
			require.Equal(t, inA[i] && !inB[i], a.without(b).has(i))
			require.Equal(t, inA[i] && inB[i], a.intersect(b).has(i))
		}
		require.Equal(t, len(a.without(b)) == 0, b.contains(a))
		require.Len(t, inA, len(slices.Collect(a.all())))
	}
}

// Maps are seeded anew in each process, and memory lies elsewhere.
func TestAnotherProcessHasTheSameHashes(t *testing.T) {
	const marker = "SIMULATION_HASHES"
	hashes := ""
	for seed := range uint64(12) {
		res, _ := Run(seed, Options{})
		hashes += fmt.Sprintf("%016x\n", res.Hash)
	}
	if path := os.Getenv(marker); path != "" {
		require.NoError(t, os.WriteFile(path, []byte(hashes), 0o600))
		return
	}
	path := t.TempDir() + "/hashes"
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), marker+"="+path, "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	theirs, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, hashes, string(theirs))
}

func TestViolationSaysHowToReplayIt(t *testing.T) {
	v := &Violation{Seed: 7, Invariant: dotTwice, Keys: []string{"k01"}, At: time.Second, Detail: "n0:1"}
	require.Equal(t, "simulation: seed 7, at 1s: a dot was issued twice (keys k01): n0:1\n"+
		"replay: go test ./internal/simulation -run '^TestSeeds$' -seed 7 -v", v.Error())
}

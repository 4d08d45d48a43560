package simulation

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	oneSeed   = flag.Int64("seed", -1, "run this seed alone; with -v print its trace")
	seedCount = flag.Int("seeds", defaultSeeds, "how many seeds TestSeeds runs")
	firstSeed = flag.Uint64("from", 0, "the first seed of TestSeeds")
)

const defaultSeeds = 500

// swept is the default seeds, run once for all tests.
var swept = sync.OnceValues(func() (*summary, error) { return sweep(0, defaultSeeds, 0) })

// TestSeeds runs whole clusters, one for each seed, on as many workers as there are
// processors. Flags: -seeds, -from, -seed.
func TestSeeds(t *testing.T) {
	if *oneSeed >= 0 {
		replay(t, uint64(*oneSeed))
		return
	}
	count := *seedCount
	if testing.Short() {
		count = min(count, 50)
	}
	run := swept
	if *firstSeed != 0 || count != defaultSeeds {
		run = func() (*summary, error) { return sweep(*firstSeed, count, 0) }
	}
	sum, first := run()
	t.Log(sum)
	if first != nil {
		t.Fatal(first)
	}
}

func replay(t *testing.T, seed uint64) {
	opts := Options{}
	if testing.Verbose() {
		opts.Trace = func(line string) { os.Stdout.WriteString(line + "\n") }
	}
	res, err := Run(seed, opts)
	t.Logf("seed %d: hash %016x, %d events in %v of virtual time, %+v", seed, res.Hash, res.Events, res.Virtual, res.Counts)
	require.NoError(t, err)
}

// sweep runs count seeds from a first one on, on all processors, and stops at the
// first violation by number. It stops early if limit is positive and has passed.
func sweep(from uint64, count int, limit time.Duration) (*summary, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // many small heaps
	var (
		sum   = newSummary(from)
		next  atomic.Int64
		group sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(count) || sum.failedBefore(from+uint64(i)) || limit > 0 && time.Since(sum.start) > limit {
					return
				}
				sum.add(Run(from+uint64(i), Options{}))
			}
		})
	}
	group.Wait()
	sum.took = time.Since(sum.start)
	return sum, sum.failure()
}

// Whether a run breaks an invariant is for TestSeeds: here it must do so twice.
func TestTrap35_OneSeedIsOneRun(t *testing.T) {
	for seed := range uint64(30) {
		first, err := Run(seed, Options{})
		again, errAgain := Run(seed, Options{Trace: func(string) {}})
		require.Equal(t, first, again, "seed %d: also when it is traced", seed)
		require.Equal(t, err, errAgain)
	}
}

func TestDifferentSeedsHaveDifferentHashes(t *testing.T) {
	seen := make(map[uint64]uint64)
	for seed := range uint64(30) {
		res, _ := Run(seed, Options{})
		other, twice := seen[res.Hash]
		require.False(t, twice, "seeds %d and %d", seed, other)
		seen[res.Hash] = seed
	}
}

// A simulator that no longer reaches its faults finds nothing and stays green.
func TestSeedsReachWhatTheyAreFor(t *testing.T) {
	sum, _ := sweep(0, 150, 0)
	c := sum.counts
	for what, n := range map[string]int{
		"acknowledged writes": c.Acknowledged, "writes that are not": c.Updates - c.Acknowledged,
		"answered reads": c.Answered, "reads that are not": c.Reads - c.Answered,
		"lost messages": c.Lost, "doubled messages": c.Copied, "cuts": c.Cuts,
		"crashes": c.Crashes, "lost disks": c.Amnesia, "merges refused by a clock": c.Refused,
		"rounds": c.Rounds, "pushes": c.Pushes, "queues too long": c.Overflowed,
	} {
		require.Positive(t, n, what)
	}
}

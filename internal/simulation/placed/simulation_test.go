package placed

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
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
var swept = sync.OnceValue(func() *summary { return sweep(0, defaultSeeds) })

// A summary is what came of many seeds.
type summary struct {
	mu     sync.Mutex
	seeds  int
	events uint64
	did    map[string]int
	failed *Violation // that of the lowest seed
	took   time.Duration
}

func (s *summary) add(res Result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.events += res.Events
	for what, n := range res.Did {
		s.did[what] += n
	}
	if v, ok := err.(*Violation); ok && (s.failed == nil || v.Seed < s.failed.Seed) {
		s.failed = v
	}
}

func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d seeds in %v, %d events\n", s.seeds, s.took.Round(time.Millisecond), s.events)
	for _, what := range slices.Sorted(maps.Keys(s.did)) {
		fmt.Fprintf(&b, "%8d %s\n", s.did[what], what)
	}
	return b.String()
}

// stopped reports whether a seed below this one has failed.
func (s *summary) stopped(seed uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed != nil && s.failed.Seed < seed
}

// sweep runs so many seeds, on all processors.
func sweep(from uint64, count int) *summary {
	s, began := &summary{did: map[string]int{}}, time.Now()
	seeds := make(chan uint64)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for seed := range seeds {
				s.add(Run(seed, Options{}))
			}
		})
	}
	for i := range uint64(count) {
		if s.stopped(from + i) {
			break
		}
		seeds <- from + i
	}
	close(seeds)
	group.Wait()
	s.took = time.Since(began)
	return s
}

// TestSeeds runs whole clusters, one for each seed. Flags: -seeds, -from, -seed.
func TestSeeds(t *testing.T) {
	if *oneSeed >= 0 {
		replay(t, uint64(*oneSeed))
		return
	}
	count := *seedCount
	if testing.Short() {
		count = min(count, 50)
	}
	var sum *summary
	if *firstSeed == 0 && count == defaultSeeds {
		sum = swept()
	} else {
		sum = sweep(*firstSeed, count)
	}
	t.Log(sum)
	if sum.failed != nil {
		t.Fatal(sum.failed)
	}
}

func replay(t *testing.T, seed uint64) {
	o := Options{}
	if testing.Verbose() {
		o.Trace = func(line string) { os.Stdout.WriteString(line + "\n") }
	}
	res, err := Run(seed, o)
	t.Logf("seed %d: hash %016x, %d events in %v of virtual time", seed, res.Hash, res.Events, res.Virtual)
	require.NoError(t, err)
}

// Whether a run breaks an invariant is for TestSeeds: here it must do so twice.
func TestTrap35_OneSeedIsOneRun(t *testing.T) {
	for seed := range uint64(20) {
		first, err := Run(seed, Options{})
		again, errAgain := Run(seed, Options{Trace: func(string) {}})
		require.Equal(t, first, again, "seed %d: also when it is traced", seed)
		require.Equal(t, err, errAgain)
	}
}

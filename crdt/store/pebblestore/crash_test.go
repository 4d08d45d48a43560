package pebblestore

import (
	"cmp"
	"flag"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

var cuts = flag.Int("cuts", 0, "how many seeds of power cuts; if 0, as many as a test has time for")

// seeds is how many a test takes.
func seeds(normally int) int {
	if testing.Short() {
		normally = min(normally, 20)
	}
	return cmp.Or(*cuts, normally)
}

// A history is what was applied, one after another.
type history struct {
	states  []model // after each Apply
	started atomic.Int64
	durable atomic.Int64 // how many were waited for
}

// A cut is what is on the disk when the power goes at some write, whoever does it.
type cut struct {
	disk          *vfs.MemFS
	left          atomic.Int64 // writes
	once          sync.Once
	kept          *vfs.MemFS
	least, atMost int64
	sure, tried   func() int64 // how much is durable, and was begun
	configuration vfs.CrashCloneCfg
}

func (c *cut) String() string { return "cut" }

// MaybeError is called before each write.
func (c *cut) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.left.Add(-1) < 0 {
		c.now()
	}
	return nil
}

func (c *cut) now() {
	c.once.Do(func() {
		c.least = c.sure()
		c.kept = c.disk.CrashClone(c.configuration)
		c.atMost = c.tried()
	})
}

// What was waited for is there after a power cut, and with it all that was applied before; what is there was applied,
// in this order, and nothing is there in part. Blocks that were not synced are kept at random.
func TestPowerCuts(t *testing.T) {
	all := values(t)
	for seed := range seeds(200) {
		rng := rand.New(rand.NewPCG(uint64(seed), 0))
		disk, state := vfs.NewCrashableMem(), make(model)
		for range 1 + rng.IntN(3) {
			disk, state = live(t, seed, rng, disk, state, all)
		}
	}
}

// newCut is one of a disk at one of its next writes.
func newCut(seed int, rng *rand.Rand, disk *vfs.MemFS, writes int64) *cut {
	c := &cut{disk: disk, configuration: vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 0, 30, 70, 100}[rng.IntN(5)],
		RNG:                 rand.New(rand.NewPCG(uint64(seed), 1)),
	}}
	c.left.Store(rng.Int64N(writes))
	return c
}

// live opens the disk, which must show state, and writes to it until the power goes. It returns what is left.
func live(t *testing.T, seed int, rng *rand.Rand, disk *vfs.MemFS, state model, values []string) (*vfs.MemFS, model) {
	h := &history{states: []model{state}}
	c := newCut(seed, rng, disk, 120)
	c.sure, c.tried = h.durable.Load, h.started.Load
	b := small(t, errorfs.Wrap(disk, c))
	same(t, state, b, "", "")
	for range rng.IntN(60) {
		h.next(t, rng, b, values)
	}
	if rng.IntN(4) == 0 {
		shut(t, b)
		h.durable.Store(h.started.Load())
		c.now()
	} else {
		c.now()
		shut(t, b)
	}

	again := small(t, c.kept)
	defer shut(t, again)
	first, _ := strconv.Atoi(string(state["n"]))
	last, _ := strconv.Atoi(string(get(t, again, "n")))
	n := int64(last - first)
	require.GreaterOrEqual(t, n, c.least, "seed %d", seed)
	require.LessOrEqual(t, n, c.atMost, "seed %d", seed)
	same(t, h.states[n], again, "", "")
	return c.kept, h.states[n]
}

// next applies something, with a count of it, and perhaps waits.
func (h *history) next(t *testing.T, rng *rand.Rand, b *Backend, values []string) {
	state := maps.Clone(h.states[len(h.states)-1])
	n, _ := strconv.Atoi(string(state["n"]))
	ops := []store.Op{set("n", strconv.Itoa(n+1))}
	for range rng.IntN(4) {
		ops = append(ops, randomOp(rng, values))
	}
	state.apply(ops)
	h.states = append(h.states, state)
	h.started.Add(1)
	sync := rng.IntN(2) == 0
	c, err := b.Apply(ops, sync)
	require.NoError(t, err)
	if sync {
		require.NoError(t, c.Wait())
		h.durable.Store(int64(len(h.states) - 1))
	}
}

func randomOp(rng *rand.Rand, values []string) store.Op {
	op := store.Op{Kind: store.OpKind(1 + rng.IntN(4)), Key: []byte("k" + strconv.Itoa(rng.IntN(30)))}
	switch op.Kind {
	case store.OpSet, store.OpJoin:
		op.Value = []byte(values[rng.IntN(len(values))])
		if rng.IntN(3) == 0 {
			op.Key, op.Value = append(op.Key, "large"...), make([]byte, rng.IntN(8<<10)) // so that tables are written
		}
	case store.OpDeletePrefix:
		if rng.IntN(4) > 0 {
			op.Kind = store.OpDelete
		}
	}
	return op
}

// What was not waited for may be lost, and nobody was told otherwise. One that is waited for later brings all before it
// along, without anything of its own.
func TestTrap34_UnsyncedIsLostAndSaysSo(t *testing.T) {
	disk := vfs.NewCrashableMem()
	b := open(t, disk)
	left := func() int {
		again := open(t, disk.CrashClone(vfs.CrashCloneCfg{}))
		defer shut(t, again)
		keys, _ := scan(t, again, "", "")
		return len(keys)
	}
	for i := range 10 {
		apply(t, b, false, set("a"+strconv.Itoa(i), "1")) // apply looks that there is no Commit
	}
	require.Zero(t, left())
	apply(t, b, true, set("b", "1"))
	require.Equal(t, 11, left())
	for i := range 10 {
		apply(t, b, false, set("c"+strconv.Itoa(i), "1"))
	}
	require.Equal(t, 11, left())
	apply(t, b, true)
	require.Equal(t, 21, left())
	apply(t, b, false, set("d", "1"))
	shut(t, b)
	require.Equal(t, 22, left(), "Close makes durable what was applied")
}

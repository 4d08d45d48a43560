package pebblestore

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
)

// A listener keeps what a life tells, and which states there were.
type listener struct {
	mu     sync.Mutex
	lines  []line
	states []state
}

// A state is what a store was, that was written to by one goroutine, when so many lines were told.
type state struct {
	at   int
	root merkle.Fingerprint
}

func (r *listener) tell(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, l)
}

func (r *listener) told() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(len(r.lines))
}

func (r *listener) look(s *store.Store) {
	r.states = append(r.states, state{int(r.told()), s.Index().Root()})
}

// An outage is a store on a disk that is cut off the power.
type outage struct {
	*witness
	listener
	seed, n int
	rng     *rand.Rand
	cut     *cut
	cfg     store.Config
	alone   bool // one goroutine writes
}

// What a store has acknowledged, as far as Config.Sync says, is there after a power cut at any write to the disk, from
// opening to closing. Where one goroutine writes, what is there is what was there after one of its calls, however much
// of what was not synced is lost. No event is numbered twice by whoever goes on.
//
//	go test -run TestStoresSurvivePowerCuts -cuts 1000
func TestStoresSurvivePowerCuts(t *testing.T) {
	lives, cutOff, acked, lost := 0, 0, 0, 0
	for seed := range seeds(60) {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		cfg := config(store.Config{Sync: []time.Duration{0, 0, -1, time.Millisecond}[rng.IntN(4)]})
		w, disk, alone := newWitness(t), vfs.NewCrashableMem(), rng.IntN(4) > 0
		for range 1 + rng.IntN(3) {
			o := &outage{witness: w, seed: seed, n: lives, rng: rng, cfg: cfg, alone: alone}
			disk = o.run(disk)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			lives++
			for _, l := range o.lines[:o.cut.least] {
				acked += count(l.Is == "done")
			}
			cutOff += count(!told(o.lines[:o.cut.least], "closed"))
			lost += o.lost()
		}
	}
	t.Logf("%d lives, %d cut off, %d acknowledged, %d of them lost where that may be", lives, cutOff, acked, lost)
}

// run has a life on disk, checks what is left of it, and returns that.
func (o *outage) run(disk *vfs.MemFS) *vfs.MemFS {
	o.cut = newCut(o.seed, o.rng, disk, 250)
	o.cut.sure, o.cut.tried = o.told, o.told
	o.live()
	l := &life{lines: o.lines, least: int(o.cut.least), most: int(o.cut.atMost)}
	if l.durable = synced(l.lines[:l.least]); o.cfg.Sync == 0 {
		l.durable = l.least
	}
	o.prefix(l)
	o.reopen("data", options(o.cut.kept), l, o.n)
	return o.cut.kept
}

func (o *outage) live() {
	b := openWith(o, "data", options(errorfs.Wrap(o.cut.disk, o.cut)))
	s, err := store.Open(o.cfg, b)
	require.NoError(o, err)
	require.NoError(o, meets(s))
	o.tell(line{Is: "opened"})
	o.look(s)
	end := func() error {
		if o.rng.IntN(3) == 0 {
			o.cut.now()
		}
		o.tell(line{Is: "closing"})
		if err := s.Close(); err != nil {
			return err
		}
		o.tell(line{Is: "closed"})
		o.cut.now()
		return nil
	}
	steps := o.rng.IntN(40)
	if !o.alone {
		require.NoError(o, together(s, o.n, steps/2, o.rng, o.tell, end))
		return
	}
	h := &hand{rng: o.rng, n: o.n * hands * 10_000, tell: o.tell}
	require.NoError(o, h.work(s, steps, true, func() { o.look(s) }))
	require.NoError(o, end())
}

// prefix checks that what is on the disk was there at one moment, and not before what is durable.
func (o *outage) prefix(l *life) {
	if !o.alone || !told(l.lines[:l.least], "opened") {
		return
	}
	disk := o.cut.kept.CrashClone(vfs.CrashCloneCfg{}) // what is opened twice is another place
	s, err := store.Open(o.cfg, openWith(o, "data", options(disk)))
	require.NoError(o, err)
	defer func() { require.NoError(o, s.Close()) }()
	root := s.Index().Root()
	for i := len(o.states) - 1; i >= 0; i-- {
		if o.states[i].root == root {
			return
		}
		if o.states[i].at <= l.durable {
			break
		}
	}
	require.Fail(o, "the store was never like that", "seed %d", o.seed)
}

// lost is how many acknowledged steps were not durable.
func (o *outage) lost() (n int) {
	if o.cfg.Sync == 0 {
		return 0
	}
	durable := synced(o.lines[:o.cut.least])
	for _, l := range o.lines[durable:o.cut.least] {
		n += count(l.Is == "done")
	}
	return n
}

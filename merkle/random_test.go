package merkle_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/merkle"
)

var sessions = flag.Int("sessions", 20_000, "how many small random sessions to run")

// world is two trees of a few hundred keys, and what must be found.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	keys    []string
	at      []merkle.Position
	trees   [2]*merkle.Tree
	states  [2][]uint64  // zero: not there
	differs map[int]bool // keys
}

func newWorld(t *testing.T, seed uint64, n int) *world {
	h := merkle.NewHasher(fmt.Append(nil, "world", seed))
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 0)), differs: map[int]bool{}}
	for i := range n {
		w.keys = append(w.keys, fmt.Sprint("key", i))
		w.at = append(w.at, h.Position(w.keys[i]))
	}
	for side := range w.trees {
		w.trees[side], w.states[side] = merkle.New(h), make([]uint64, n)
	}
	return w
}

// write gives a key another state, or none, on one side or on both.
func (w *world) write() {
	key, st, where := w.rng.IntN(len(w.keys)), w.rng.Uint64N(4), w.rng.IntN(3)
	for side := range w.trees {
		if where == side {
			continue
		}
		w.set(side, key, st)
	}

}

func (w *world) set(side, key int, st uint64) {
	if w.states[side][key] = st; st == 0 {
		w.trees[side].Delete(w.keys[key])
	} else {
		w.trees[side].Set(w.keys[key], state(st))
	}
	if w.states[0][key] != w.states[1][key] {
		w.differs[key] = true
	} else {
		delete(w.differs, key)
	}
}

// poison damages the sketch of a side somehow.
func (w *world) poison(side int) {
	if w.trees[side].SketchCells() > 0 {
		w.trees[side].Poison(merkle.RandomFault(w.rng))
	}
}

// session compares side with the other one, the trees standing still.
func (w *world) session(side int, cfg merkle.SessionConfig) {
	s := merkle.NewSession(w.trees[side], cfg)
	r := merkle.NewResponder(w.trees[1-side], merkle.SessionConfig{})
	if _, err := run(s, r.Step); err != nil || !s.Verified() {
		w.t.Fatal(err, s.Verified())
	}
	w.check(side, cfg.Ranges, s.Diff())
	if (w.trees[0].Root() == w.trees[1].Root()) != (len(w.differs) == 0) {
		w.t.Fatal("roots")
	}
}

// check compares what was found with what differs.
func (w *world) check(side int, ranges []merkle.Range, found []merkle.Difference) {
	mine, keys := 0, 0
	hit := make([]bool, len(found))
	for key := range w.differs {
		if ranges != nil && !slices.ContainsFunc(ranges, func(r merkle.Range) bool { return r.Contains(w.at[key]) }) {
			continue
		}
		var d *merkle.Difference
		for i := range found {
			if found[i].Range.Contains(w.at[key]) {
				d, hit[i] = &found[i], true
			}
		}
		if d == nil {
			w.t.Fatalf("%s is not found", w.keys[key])
		}
		if w.states[side][key] != 0 {
			mine++
		}
		if w.states[1-side][key] != 0 && !d.Theirs || w.states[side][key] != 0 && !d.Mine {
			w.t.Fatalf("%+v and %s", d, w.keys[key])
		}
	}
	for i, d := range found {
		keys += len(d.Keys)
		if !hit[i] || d.Mine != (len(d.Keys) > 0) {
			w.t.Fatalf("%+v does not differ", d)
		}
	}
	if mine != keys {
		w.t.Fatalf("%d keys for %d", keys, mine)
	}
}

// repair makes some of what differs equal.
func (w *world) repair(most int) {
	for key := range len(w.keys) {
		if most > 0 && w.differs[key] {
			side := w.rng.IntN(2)
			w.set(side, key, w.states[1-side][key])
			most--
		}
	}
}

// config is how a session is to be: mostly of everything.
func (w *world) config() merkle.SessionConfig {
	cfg := merkle.SessionConfig{MaxMessage: []int{0, 512, 1500}[w.rng.IntN(3)]}
	for range max(w.rng.IntN(5)-2, 0) {
		from, size := merkle.Position(w.rng.Uint64()), merkle.Position(w.rng.Uint64()>>w.rng.IntN(8))
		cfg.Ranges = append(cfg.Ranges, merkle.Range{From: from, To: max(from, from+size)})
	}
	return cfg
}

// Many small sessions, each over what the last ones left, some with a sketch that was
// damaged, and none with a wrong answer. CONTRIBUTING.md says how to run a million.
func TestSmallSessions(t *testing.T) {
	const each = 500
	if testing.Short() {
		*sessions = min(*sessions, 2000)
	}
	for seed := range uint64(max(*sessions/each, 1)) {
		w := newWorld(t, seed, 200+int(seed%5)*150)
		for range 3 * len(w.keys) {
			w.write()
		}
		for range each {
			switch w.rng.IntN(8) {
			case 0:
				w.repair(1 << 20)
			case 1:
				w.repair(len(w.differs) - w.rng.IntN(4))
			case 2:
				w.repair(len(w.differs) / 2)
			default:
				for range w.rng.IntN(1 << w.rng.IntN(7)) {
					w.write()
				}
			}
			if w.rng.IntN(20) == 0 {
				w.poison(w.rng.IntN(2))
			}
			w.session(w.rng.IntN(2), w.config())
		}
	}
}

package session

import (
	"context"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// behind returns how many of the writes that were acknowledged before some read began that read lacks, at most.
func (h *history) behind() (most int, example event) {
	for _, r := range h.events {
		if r.write || !r.ok {
			continue
		}
		n := 0
		for _, w := range h.events {
			if w.write && w.ok && w.key == r.key && w.ended < r.began && !slices.Contains(r.state, w.state[0]) {
				n++
			}
		}
		if n > most {
			most, example = n, r
		}
	}
	return most, example
}

// writers are what clients write through, each by another coordinator each time.
type writers struct {
	*world
	bounds []*VersionBound // of none: negative control
	most   int
	below  bool // they ask for as little as there is
}

func (w *writers) run(turns int) {
	for range turns {
		w.clock++
		switch w.random.IntN(16) {
		case 0:
			id := w.anyone()
			w.down[id] = !w.down[id] && w.chance(3)
		case 1:
			for _, id := range w.ids {
				if w.chance(2) {
					w.learn(id)
				}
			}
		case 2:
			w.change()
		case 3:
			if i := w.random.IntN(8); i < len(w.bounds) { // the writer is started anew
				w.bounds[i] = &VersionBound{Most: w.most, Max: w.random.IntN(4)}
			}
		case 4, 5, 6:
			w.deliver()
		case 7:
			clear(w.down)
			w.read(&caller{id: -1}, quorum.ReadOptions{Level: quorum.One, Repair: quorum.RepairOff})
		default:
			w.one()
		}
		w.look()
	}
}

// one writes one.
func (w *writers) one() {
	w.written++
	e := event{write: true, key: w.key(), state: []byte{w.written}, began: w.clock}
	var q Quorum = at{w.world, w.anyone()}
	if n := len(w.bounds); n > 0 {
		b := w.bounds[w.random.IntN(n)]
		b.Quorum, q = q, b
	}
	o := quorum.WriteOptions{Level: []quorum.Level{0, 0, 0, quorum.All}[w.random.IntN(4)]}
	if w.below {
		o.Level, o.Primary = quorum.One, []quorum.Level{0, quorum.One}[w.random.IntN(2)]
	}
	_, err := q.Write(context.Background(), e.key, e.state, o)
	w.end(e, err)
}

// look reads a key at each owner, by itself.
func (w *writers) look() {
	key := w.key()
	for _, id := range w.places[w.stage].Owners {
		w.history.events = append(w.history.events, event{
			session: -1, key: key, state: slices.Clone(w.replicas[id][key]), began: w.clock, ended: w.clock, ok: true,
		})
	}
}

func versions(t *testing.T, seed uint64, ring string, most, n int) (behind int, w *writers) {
	w = &writers{world: newWorld(t, seed, rings[ring]), most: most, below: seed%3 == 0}
	w.lossy = seed%2 == 1
	for range n {
		w.bounds = append(w.bounds, &VersionBound{Most: most, Max: 1 + int(seed%3)})
	}
	w.run(200)
	behind, example := w.history.behind()
	if n > 0 {
		require.LessOrEqual(t, behind, n*most, "seed %d: %+v", seed, example)
	}
	return behind, w
}

// Under messages that are late, lost and reordered, owners that fail, writes that fail or are to be acknowledged by few, coordinators
// that change, writers that are started anew, and a ring that changes: no owner lacks more of what was acknowledged than
// writers may be ahead, together.
func TestVersionsBehind(t *testing.T) {
	for ring := range rings {
		t.Run(ring, func(t *testing.T) {
			refused, done, reached := 0, 0, 0
			for seed := range *seeds {
				most, n := 1+int(seed%4), 1+int(seed/4%2)
				behind, w := versions(t, seed, ring, most, n)
				refused, done = refused+w.refused, done+w.done
				if behind == n*most {
					reached++
				}
			}
			t.Logf("%d of %d calls were refused; in %d worlds owners were as far behind as they may be", refused, done, reached)
			require.Less(t, 4*refused, 3*done)
			require.NotZero(t, reached)
		})
	}
}

// The negative control: who writes without it, at majorities, leaves owners further behind.
func TestVersionsBehindWithoutABound(t *testing.T) {
	for ring := range rings {
		caught := 0
		for seed := range *seeds {
			if behind, _ := versions(t, seed, ring, 4, 0); behind > 4 {
				caught++
			}
		}
		t.Logf("%s: caught in %d worlds", ring, caught)
		require.NotZero(t, caught)
	}
}

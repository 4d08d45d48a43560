package revision_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/transport/mem"
)

// An outcome is what came of a write.
type outcome int

const (
	refused  outcome = iota // nothing was sent
	unknown                 // perhaps it is there
	accepted                // it was acknowledged
)

// An edit is one write of a client: a word of its own, and those that it takes along.
type edit struct {
	by           nodeID
	key, word    string
	expected     revision.Revision
	based        []string // what the client had read
	removed      []string // of that, what it takes away
	began, ended int
	outcome      outcome
	again        bool // it was not known, and was sent once more
	alone        bool // it looked afterwards, and found nothing else
}

// A glance is a read at a majority.
type glance struct {
	key   string
	words []string
	ended int
}

// A history is what clients did, and what there was in the end.
type history struct {
	mu      sync.Mutex
	clock   int
	edits   []edit
	glances []glance
	final   map[string][]string // by key
}

func (h *history) tick() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	return h.clock
}

func (h *history) note(e edit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.edits = append(h.edits, e)
}

func (h *history) glance(g glance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.glances = append(h.glances, g)
}

// check returns what is wrong. It knows nothing of revisions but whether two are equal.
func (h *history) check() (wrong []string) {
	found := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	won, alone := map[string]int{}, map[string]int{}
	for _, e := range h.edits {
		switch {
		case e.outcome == refused && h.shown(e):
			found("shown, though refused: %+v", e)
		case e.outcome == accepted && !slices.Contains(h.final[e.key], e.word) && !h.taken(e):
			found("lost: %+v", e)
		}
		if e.outcome != refused {
			h.checkBase(e, found)
		}
		if e.outcome == accepted && !e.again {
			won[fmt.Sprint(e.by, e.key, e.expected)]++
		}
		if e.alone {
			alone[fmt.Sprint(e.key, e.expected)]++
		}
	}
	for at, n := range won {
		if n > 1 {
			found("won %d times: %s", n, at)
		}
	}
	for at, n := range alone {
		if n > 1 {
			found("alone %d times: %s", n, at)
		}
	}
	return wrong
}

// shown reports whether anybody has seen an edit.
func (h *history) shown(e edit) bool {
	return slices.Contains(h.final[e.key], e.word) ||
		slices.ContainsFunc(h.glances, func(g glance) bool { return g.key == e.key && slices.Contains(g.words, e.word) })
}

// taken reports whether somebody who had seen it took it away.
func (h *history) taken(e edit) bool {
	return slices.ContainsFunc(h.edits, func(o edit) bool {
		return o.key == e.key && o.outcome != refused && slices.Contains(o.removed, e.word)
	})
}

// checkBase looks for what had been acknowledged, or read, before an edit that was made in spite of it.
func (h *history) checkBase(e edit, found func(string, ...any)) {
	for _, o := range h.edits {
		if o.key == e.key && o.outcome == accepted && o.ended < e.began && !slices.Contains(e.based, o.word) && !h.taken(o) {
			found("made after %q was acknowledged: %+v", o.word, e)
		}
	}
	for _, g := range h.glances {
		i := slices.IndexFunc(g.words, func(word string) bool {
			return !slices.Contains(e.based, word) && !h.taken(edit{key: e.key, word: word})
		})
		if g.key == e.key && g.ended < e.began && i >= 0 {
			found("made after %q was read: %+v", g.words[i], e)
		}
	}
}

// A play is one history: who takes part, and how.
type play struct {
	*history
	t     *testing.T
	sets  bool // otherwise documents
	blind bool // negative control: no condition
	near  bool // negative control: who looks afterwards asks one owner
	calm  bool // no trouble
}

func (p play) run(seed uint64) {
	p.history.final = map[string][]string{}
	synctest.Test(p.t, func(t *testing.T) {
		p.t = t
		net := &mem.Network{Seed: seed + 1, Link: mem.Link{Latency: time.Millisecond, Jitter: 6 * time.Millisecond}}
		if !p.calm {
			net.Link.Loss, net.Link.Duplicate, net.Link.Reorder = 0.03, 0.05, 0.1
		}
		nodes := newNodes(over(net))
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		if !p.calm {
			go trouble(ctx, net, rand.New(rand.NewPCG(seed, 1)))
		}
		for i := range 6 {
			wg.Go(func() { p.client(i, nodes, rand.New(rand.NewPCG(seed, uint64(i+2)))) })
		}
		wg.Wait()
		stop()
		time.Sleep(time.Second)
		for _, key := range keys {
			p.final[key] = p.settled(nodes[0], key)
		}
		time.Sleep(time.Minute) // of the bubble: what calls left behind ends
	})
}

var keys = []string{"k", "l"}

// settled returns what all hold.
func (p play) settled(n *node, key string) []string {
	for range 100 {
		if res, err := n.coord.Read(p.t.Context(), key, quorum.ReadOptions{Level: quorum.All}); err == nil {
			return n.words(p.t, res.State)
		}
	}
	require.Fail(p.t, "it never settles")
	return nil
}

// client reads a key and writes it, again and again, each time by some node.
func (p play) client(i int, nodes []*node, rng *rand.Rand) {
	for k := range 20 {
		n := nodes[rng.IntN(3)]
		e := edit{by: n.id, key: keys[rng.IntN(len(keys))], word: fmt.Sprintf("%d-%d", i, k)}
		pause(rng)
		state, ok := p.read(n, &e)
		if !ok {
			continue
		}
		pause(rng)
		p.write(n, &e, state)
	}
}

func pause(rng *rand.Rand) { time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond) }

func (p play) read(n *node, e *edit) (state []byte, ok bool) {
	res, r, err := n.writer.Read(p.t.Context(), e.key)
	if err != nil {
		return nil, false
	}
	e.expected, e.based = r, n.words(p.t, res.State)
	p.glance(glance{e.key, e.based, p.tick()})
	return res.State, true
}

func (p play) write(n *node, e *edit, _ []byte) {
	e.began = p.tick()
	expected := e.expected
	if p.blind {
		_, now, err := n.writer.Read(p.t.Context(), e.key)
		if err != nil {
			return
		}
		expected = now
	}
	_, next, err := n.writer.Write(p.t.Context(), e.key, expected, p.delta(n, e), quorum.WriteOptions{Applied: true})
	lost, sent := errors.AsType[*revision.UnknownError](err)
	if sent && len(e.word)%2 == 0 { // half of them want to be sure
		_, err = n.coord.Write(p.t.Context(), lost.Key, lost.Delta, quorum.WriteOptions{})
		e.again = err == nil
	}
	e.ended = p.tick()
	switch {
	case err == nil:
		e.outcome = accepted
		e.alone = !sent && p.alone(n, e.key, next)
	case sent:
		e.outcome = unknown
	}
	p.note(*e)
}

// delta makes what is written of what the client had read.
func (p play) delta(n *node, e *edit) func([]byte) ([]byte, error) {
	if !p.sets {
		words := append(slices.Clone(e.based), e.word)
		return n.put(e.key, fmt.Sprint(join(words)))
	}
	wanted := e.based
	if len(wanted) > 3 {
		e.removed, wanted = wanted[:1], wanted[1:]
	}
	return n.replace(e.key, wanted, e.word)
}

func join(words []string) (all string) {
	for _, w := range words {
		all += w + " "
	}
	return all
}

// alone looks whether a key is what was written.
func (p play) alone(n *node, key string, next revision.Revision) bool {
	if p.near {
		res, err := n.coord.Read(p.t.Context(), key, quorum.ReadOptions{Level: quorum.One, Repair: quorum.RepairOff})
		require.NoError(p.t, err)
		r, err := n.writer.Revision(res.State)
		require.NoError(p.t, err)
		return r == next
	}
	_, r, err := n.writer.Read(p.t.Context(), key)
	return err == nil && r == next
}

var seeds = flag.Int("seeds", 12, "histories of documents, and of sets")

// Documents and sets are edited by clients that read, think, and write on the condition that nothing has
// changed. Nothing that was acknowledged is lost, and nothing that was refused is ever seen.
func TestNothingIsOverwrittenUnread(t *testing.T) {
	for _, sets := range []bool{false, true} {
		t.Run(map[bool]string{false: "documents", true: "sets"}[sets], func(t *testing.T) {
			all := map[outcome]int{}
			alone, again, rivals := 0, 0, map[string]int{}
			for seed := range uint64(*seeds) {
				h := new(history)
				play{history: h, t: t, sets: sets, calm: seed%4 == 0}.run(seed)
				require.Empty(t, h.check(), "seed %d", seed)
				for _, e := range h.edits {
					all[e.outcome]++
					if e.outcome == accepted {
						rivals[fmt.Sprint(seed, e.key, e.expected)]++
					}
					if e.again {
						again++
					}
					if e.alone {
						alone++
					}
				}
			}
			met := 0
			for _, n := range rivals {
				if n > 1 {
					met++
				}
			}
			t.Logf("%d refused, %d unknown, %d accepted, %d of them sent once more; %d found themselves alone; rivals of other nodes both succeeded %d times",
				all[refused], all[unknown], all[accepted], again, alone, met)
			require.Greater(t, all[refused], 100)
			require.Positive(t, all[unknown]+again)
			require.Greater(t, all[accepted], 100)
			require.Positive(t, alone)
			require.Positive(t, met, "it is the rule here that rivals meet")
		})
	}
}

// Without the condition the same checks find what is lost; and a look at one owner does not tell who was alone.
func TestWithoutTheConditionItIsFound(t *testing.T) {
	for _, c := range []struct {
		name, finds string
		play        play
	}{
		{"documents", "lost", play{blind: true}},
		{"sets", "lost", play{blind: true, sets: true}},
		{"one owner is looked at", "alone", play{near: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(10) {
				c.play.t, c.play.history = t, new(history)
				c.play.run(seed)
				if slices.ContainsFunc(c.play.check(), func(s string) bool { return len(s) > len(c.finds) && s[:len(c.finds)] == c.finds }) {
					t.Logf("found by seed %d", seed)
					return
				}
			}
			t.Fatal("not found")
		})
	}
}

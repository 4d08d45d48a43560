package membership

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

var seeds = flag.Uint64("seeds", 8, "worlds in which rings follow members")

// worlds is how many of them there are.
func worlds() uint64 {
	if testing.Short() {
		return min(*seeds, 4)
	}
	return *seeds
}

const (
	slowest = 10 // ticks until it is noticed that a node is gone, at most; that one is back takes less
	nodes   = 8
	inRing  = 5 // of them, at the beginning
)

// A world is nodes that come and go, what each of them has noticed of that, and the ring that each has. A tick
// is a second.
type world struct {
	*testing.T
	rand  *rand.Rand
	now   int
	nodes []*simulated
	rings map[uint64]ring.Fingerprint // of each epoch there was
	plans []Plan                      // that were adopted
	check func(by *simulated, p Plan)

	falls     bool                  // who decides may crash before anybody else has heard of it
	agreed    map[uint64]*ring.Ring // what was proposed first for an epoch; nil if nodes do not agree
	tolerant  bool                  // conflicts are counted
	conflicts int
}

// A simulated node. What happened to it last, and what the others noticed of that, are times in ticks.
type simulated struct {
	Member
	up      bool
	frozen  bool
	side    int
	process uint64
	since   int // when anything of this last changed
	ring    *ring.Ring
	table   table
	notices []int // by node: since when it is otherwise than noticed
	delay   []int // and how long it takes to notice
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{T: t, rand: rand.New(rand.NewPCG(seed, 8)), rings: map[uint64]ring.Fingerprint{}}
	var c ring.Config
	c.Partitions = 8
	for i := range nodes {
		m := Member{ID: transport.NodeID(rune('a' + i)), Status: Alive, Zone: string(rune('x' + i%3))}
		w.nodes = append(w.nodes, &simulated{Member: m, up: i < inRing, since: -1 << 20, table: table{limit: 100}, notices: make([]int, nodes), delay: make([]int, nodes)})
		if i < inRing {
			c.Members = append(c.Members, ring.Member{ID: m.ID, Zone: m.Zone})
		}
	}
	first, err := ring.New(c)
	require.NoError(t, err)
	for _, n := range w.nodes {
		n.ring = first
		for _, o := range w.nodes {
			if o.up {
				n.table.here(at(-1<<20), o.Member, origin{process: o.process})
			}
		}
	}
	return w
}

func (n *simulated) reaches(o *simulated) bool {
	return n.up && o.up && !n.frozen && !o.frozen && n.side == o.side
}

// notice has a node notice what is otherwise than it thinks, after a while.
func (w *world) notice(n *simulated) {
	for i, o := range w.nodes {
		m, known := n.table.member(o.ID)
		r := n.table.rows[o.ID]
		there := known && m.Status.Here()
		same := there == n.reaches(o) && (!there || m.Status == o.Status && r.process == o.process)
		if same {
			n.notices[i] = 0
			continue
		}
		if n.notices[i] == 0 {
			n.notices[i] = w.now
			n.delay[i] = 1 + w.rand.IntN(3)
			if !n.reaches(o) {
				n.delay[i] = 3 + w.rand.IntN(slowest-2)
			}
		}
		switch {
		case o != n && w.now-n.notices[i] < n.delay[i]:
		case n.reaches(o):
			n.table.here(at(w.now), o.Member, origin{process: o.process})
		default:
			n.table.gone(at(w.now), o.ID)
		}
	}
}

// learn takes another node's ring if it is newer.
func (w *world) learn(n, from *simulated) {
	switch a, b := n.ring, from.ring; {
	case b.Epoch() > a.Epoch():
		n.ring = b
	case b.Epoch() == a.Epoch():
		w.same(a.Epoch(), a.Fingerprint(), b.Fingerprint())
	}
}

// same takes two rings of one epoch, which should be one.
func (w *world) same(epoch uint64, a, b ring.Fingerprint) {
	if !w.tolerant {
		require.Equal(w, a, b, "two rings of epoch %d", epoch)
	} else if a != b {
		w.conflicts++
	}
}

// decide has a node look at what it knows, catch up, look again, and adopt.
func (w *world) decide(n *simulated) {
	if policy.Plan(n.ID, at(w.now), n.table.all(), n.ring).Ring == nil {
		return
	}
	asked, answers := n.ring.Members(), 0
	for _, m := range asked {
		if o := w.node(m.ID); n.reaches(o) {
			answers++
			w.learn(n, o)
		}
	}
	if answers <= len(asked)/2 {
		return
	}
	if p := policy.Plan(n.ID, at(w.now), n.table.all(), n.ring); p.Ring != nil {
		w.check(n, p)
		w.plans = append(w.plans, p)
		next := p.Ring
		if w.agreed != nil {
			if w.agreed[next.Epoch()] == nil {
				w.agreed[next.Epoch()] = next
			}
			next = w.agreed[next.Epoch()]
		}
		falls := w.falls && w.rand.IntN(3) == 0
		if !falls || w.rand.IntN(2) == 0 {
			w.adopt(n, next)
		}
		if falls {
			n.up, n.since = false, w.now
		}
	}
}

func (w *world) adopt(n *simulated, r *ring.Ring) {
	if was, ok := w.rings[r.Epoch()]; ok {
		w.same(r.Epoch(), was, r.Fingerprint())
	}
	w.rings[r.Epoch()] = r.Fingerprint()
	n.ring = r
}

func (w *world) node(id transport.NodeID) *simulated { return w.nodes[id[0]-'a'] }

// settle ends a change of which all next owners know, at one of them.
func (w *world) settle(n *simulated) {
	if !n.ring.Changing() {
		return
	}
	for p := range n.ring.Partitions() {
		for _, id := range n.ring.At(p).Next {
			if o := w.node(id); !n.reaches(o) || o.ring.Epoch() != n.ring.Epoch() {
				return
			}
		}
	}
	if s, err := n.ring.Settle(); err == nil {
		w.adopt(n, s)
	}
}

func (w *world) tick() {
	w.now++
	for _, i := range w.rand.Perm(nodes) {
		n := w.nodes[i]
		if !n.up || n.frozen {
			continue
		}
		if other := w.nodes[w.rand.IntN(nodes)]; n.reaches(other) {
			w.learn(n, other)
		}
		w.decide(n) // before it notices anything: it may have been frozen
		w.notice(n)
		w.settle(n)
	}
}

func (w *world) run(ticks int) {
	for range ticks {
		w.tick()
	}
}

// restart is another process, which knows nobody, and has the ring on disk.
func (w *world) restart(n *simulated) {
	n.up, n.Status, n.since = true, Alive, w.now
	n.process++
	n.table.rows = nil
	clear(n.notices)
}

// fault does something to a node.
func (w *world) fault() {
	n := w.nodes[w.rand.IntN(nodes)]
	switch w.rand.IntN(12) {
	case 0, 1:
		if n.up {
			n.up, n.since = false, w.now
		}
	case 2, 3, 4:
		if !n.up {
			w.restart(n)
		}
	case 5:
		w.restart(n)
	case 6:
		n.frozen = true
	case 7:
		for _, o := range w.nodes {
			o.side = w.rand.IntN(2)
		}
	case 8, 9:
		for _, o := range w.nodes {
			o.side, o.frozen = 0, false
		}
	default:
		if n.up {
			n.Status, n.since = Leaving, w.now
		}
	}
}

// just checks that a plan has a reason, give or take what it takes to notice, and leaves enough.
func (w *world) just(by *simulated, p Plan) {
	old := func(id transport.NodeID, d time.Duration) {
		age := time.Duration(w.now-w.node(id).since) * time.Second
		if age <= (slowest+3)*time.Second {
			return // which nobody may have noticed yet
		}
		age += slowest * time.Second
		require.GreaterOrEqual(w, age, d, "%s is taken in or out after %v", id, age)
	}
	for _, id := range p.Join {
		m, _ := by.table.member(id)
		require.GreaterOrEqual(w, at(w.now).Sub(m.Since), policy.JoinAfter)
		if w.node(id).up && by.reaches(w.node(id)) {
			old(id, policy.JoinAfter)
		}
	}
	for _, id := range p.Leave {
		m, _ := by.table.member(id)
		require.GreaterOrEqual(w, at(w.now).Sub(m.Since), policy.LeaveAfter)
	}
	for _, id := range p.Replace {
		m, _ := by.table.member(id)
		require.GreaterOrEqual(w, at(w.now).Sub(m.Since), policy.ReplaceAfter)
		require.Equal(w, Dead, m.Status)
	}
	settled, err := p.Ring.Settle()
	require.NoError(w, err)
	zones := map[string]bool{}
	for _, m := range settled.Members() {
		zones[m.Zone] = true
	}
	if len(p.Leave)+len(p.Replace) > 0 {
		require.GreaterOrEqual(w, len(settled.Members()), 3)
		require.Len(w, zones, 3)
	}
}

// suffer has things happen to nodes, and has all of them back in the end.
func (w *world) suffer() {
	for range 50 {
		w.run(1 + w.rand.IntN(150))
		w.fault()
	}
	w.falls = false
	for _, n := range w.nodes {
		n.side, n.frozen = 0, false
		if !n.up || n.Status == Leaving && n.ID < "d" {
			w.restart(n)
		}
	}
	w.run(1500)
}

// Nodes crash, come back, freeze, leave and are cut off from one another: there is never a second ring of an epoch, each change
// has its reason, and in the end the ring is who is there.
func TestRingsFollowMembers(t *testing.T) {
	changes, joins, leaves, replaced := 0, 0, 0, 0
	for seed := range worlds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.check = w.just
			w.suffer()
			for _, n := range w.nodes {
				stays := n.Status == Alive
				in := slices.ContainsFunc(n.ring.Members(), func(m ring.Member) bool { return m.ID == n.ID })
				require.False(t, n.ring.Changing())
				require.Equal(t, stays, in, "%s is %v, and of the ring: %v", n.ID, n.Status, in)
			}
			for _, p := range w.plans {
				changes++
				joins, leaves, replaced = joins+len(p.Join), leaves+len(p.Leave), replaced+len(p.Replace)
			}
		})
	}
	t.Logf("%d changes: %d members joined, %d left, %d were replaced", changes, joins, leaves, replaced)
	require.Positive(t, joins)
	require.Positive(t, leaves)
	require.Positive(t, replaced)
}

// Who decides crashes before anybody has heard of it: where nodes agree on rings there is one of each epoch all the same.
// Where they do not, there may be two.
func TestDecidersThatFall(t *testing.T) {
	conflicts := 0
	for seed := range worlds() {
		w := newWorld(t, seed)
		w.check, w.falls, w.agreed = w.just, true, map[uint64]*ring.Ring{}
		w.suffer()
		for _, n := range w.nodes {
			require.False(t, n.ring.Changing(), "seed %d", seed)
			require.Equal(t, w.nodes[0].ring.Fingerprint(), n.ring.Fingerprint(), "seed %d", seed)
		}

		w = newWorld(t, seed)
		w.check, w.falls, w.tolerant = func(*simulated, Plan) {}, true, true
		w.suffer()
		conflicts += w.conflicts
	}
	require.Positive(t, conflicts, "if this is never so, Agree is of no use")
}

// Members of the ring, and others, are gone and back, again and again, for less than the delays: nothing changes.
func TestFlappingChangesNothing(t *testing.T) {
	for seed := range worlds() {
		w := newWorld(t, seed)
		w.check = func(*simulated, Plan) {}
		next := make([]int, nodes)
		for range 3000 {
			w.tick()
			for i, n := range w.nodes {
				if w.now < next[i] {
					continue
				}
				if n.up = !n.up; n.up {
					w.restart(n)
				}
				next[i] = w.now + 1 + w.rand.IntN(int(policy.JoinAfter/time.Second)-slowest-5)
			}
		}
		require.Empty(t, w.plans, "seed %d", seed)
	}
}

// What no node can exclude by itself: it decides, stops for longer than the others wait for it, and goes on as if
// nothing had been. Then there are two rings of one epoch, which is told when they meet.
func TestWhoStopsBetweenPlanAndAdoption(t *testing.T) {
	first := ringOf(t, "a b c d")
	keep := func([]byte) error { return nil }
	a, b := &ring.Transition{Self: "a"}, &ring.Transition{Self: "b"}
	require.NoError(t, a.Adopt(first, keep))
	require.NoError(t, b.Adopt(first, keep))
	late := policy.Plan("a", at(0), seen(t, "a alive 99, b alive 99, c alive 99, d alive 99, e alive 60"), first)
	other := policy.Plan("b", at(0), seen(t, "a dead 600, b alive 999, c alive 999, d alive 999, e alive 660"), first)
	require.NoError(t, b.Adopt(other.Ring, keep))
	require.NoError(t, a.Adopt(late.Ring, keep))
	var conflict *ring.ConflictError
	require.ErrorAs(t, a.Heard("b", b.State(), b.Ring(), keep), &conflict)
	require.EqualValues(t, 2, conflict.Epoch)
}

package quorum

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// A plan is a kind of history: where the key is held, and what is asked for.
type plan struct {
	stages  []string // placements, one after the other, as placed reads them
	reads   []ReadOptions
	writes  []WriteOptions
	back    Demand // of RepairWriteBack
	ordered bool   // a write contains all before it: states are totally ordered, as a maximum is
	trusts  bool   // negative control: takes any two quorums to meet
	forgets bool   // negative control: what is held is not handed to the owners to come
	loses   bool   // negative control: hints are not replayed

	clients   int  // who read after what they have seen
	forgetful bool // negative control: they read whatever there is
}

// A history is nodes in zones that fail and come back, change the ring one after the
// other, keep hints and replay them, and operations and messages under way. What
// happens next is the choice of pick. It notes when each operation began and ended, and
// is judged by that alone when it is over.
type history struct {
	plan
	pick  func(n int) int // 0 <= pick(n) < n
	judge func(format string, args ...any)

	places   []Placement
	stage    int // the latest that anybody knows of
	ids      []nodeID
	replicas map[nodeID]*memory
	shelves  map[nodeID]*shelf
	servers  map[nodeID]transport.Handler
	known    map[nodeID]int // the stage that a node knows of
	down     map[nodeID]bool
	clock    int
	acts     []*act
	of       map[*running]*act
	wire     []message
	met      map[[2]asked]bool
	served   []*client
}

// String is what a failure tells of an operation.
func (a *act) String() string {
	if a.write != nil {
		return fmt.Sprintf("write %+v by %+v", a.write.cfg.Options, a.asked)
	}
	return fmt.Sprintf("read %+v by %+v", a.read.cfg.Options, a.asked)
}

// An act is one operation of a history.
type act struct {
	*running
	began, ended int
	ok           bool
	asked        asked
	state        []byte // written or read
	client       *client
}

// asked is of whom an answer was asked for, and by whom.
type asked struct {
	stage  int
	self   nodeID
	demand Demand
}

// A shelf keeps hints. It loses none.
type shelf struct{ held map[nodeID][]byte }

func (s *shelf) Keep(_ context.Context, to nodeID, _ string, delta []byte) (err error) {
	s.held[to], err = union(s.held[to], delta)
	return err
}

func (s *shelf) Held(context.Context, string) (all []byte, err error) {
	for _, state := range s.held {
		all, _ = union(all, state)
	}
	return all, nil
}

// A view is the ring as one node knows it.
type view struct {
	h  *history
	id nodeID
}

func (v view) Place(string) Placement { return v.h.places[v.h.known[v.id]] }

func newHistory(p plan, pick func(int) int, judge func(string, ...any)) *history {
	h := &history{
		plan: p, pick: pick, judge: judge,
		replicas: make(map[nodeID]*memory), shelves: make(map[nodeID]*shelf),
		servers: make(map[nodeID]transport.Handler), known: make(map[nodeID]int), down: make(map[nodeID]bool),
		of: make(map[*running]*act), met: make(map[[2]asked]bool),
	}
	for i, text := range p.stages {
		place := placed(text)
		place.Version = uint64(i + 1)
		h.places = append(h.places, place)
		for _, id := range slices.Concat(place.Owners, place.Next, place.Fallbacks, []nodeID{"z"}) {
			h.add(id)
		}
	}
	return h
}

func (h *history) add(id nodeID) {
	if slices.Contains(h.ids, id) {
		return
	}
	h.ids = append(h.ids, id)
	h.replicas[id], h.shelves[id] = new(memory), &shelf{make(map[nodeID][]byte)}
	h.servers[id] = (&Coordinator{
		Self: id, Local: h.replicas[id], Hints: h.shelves[id], Join: union, Ring: view{h, id},
	}).Handler()
}

// run takes steps, then lets every message that is left arrive, and judges.
func (h *history) run(steps int) {
	for range steps {
		h.clock++
		h.step()
	}
	for len(h.wire) > 0 {
		h.clock++
		h.deliver(h.pick(len(h.wire)), false)
	}
	for _, a := range h.acts {
		if !a.done() {
			h.judge("no call is under way, and the operation is not done")
		}
	}
	if h.clients == 0 { // who drop what they do not hold any more, and judge by what they saw
		h.review()
		h.settle()
	}
}

func (h *history) step() {
	switch choice := h.pick(24); {
	case len(h.wire) == 0 || choice <= 1:
		h.start()
	case choice == 2:
		id := h.anyone()
		h.down[id] = !h.down[id] && h.pick(2) == 0
	case choice == 3:
		h.impatience(h.acts[h.pick(len(h.acts))])
	case choice == 4:
		h.learn(h.anyone())
	case choice == 5 && h.pick(4) == 0:
		h.change()
	case choice == 6:
		h.replay(h.anyone())
	case choice <= 8:
		m := &h.wire[h.pick(len(h.wire))]
		m.back, m.resp, m.err = true, nil, errDown
	case choice <= 10:
		h.deliver(h.pick(len(h.wire)), true)
	default:
		h.deliver(h.pick(len(h.wire)), false)
	}
}

func (h *history) anyone() nodeID { return h.ids[h.pick(len(h.ids))] }

// learn tells a node of the next placement.
func (h *history) learn(id nodeID) {
	h.known[id] = min(h.known[id]+1, h.stage)
	if h.clients > 0 {
		h.learnAll()
		h.drop()
	}
}

// change begins the next placement, or ends it: not before every node knows that it has
// begun, and what the owners hold was handed to those to come.
func (h *history) change() {
	if h.stage == len(h.places)-1 {
		return
	}
	for _, id := range h.ids {
		if h.known[id] < h.stage {
			return
		}
	}
	for _, to := range h.places[h.stage].Next {
		for _, from := range h.places[h.stage].Owners {
			if !h.forgets {
				h.give(to, h.replicas[from].at("k"))
			}
		}
	}
	h.stage++
}

func (h *history) give(to nodeID, state []byte) {
	if _, err := h.replicas[to].Merge(context.Background(), "k", state); err != nil {
		h.judge("merge: %v", err)
	}
}

// replay brings one hint of a holder to the node that it is for, if that is there.
func (h *history) replay(holder nodeID) {
	if h.loses || h.down[holder] {
		return
	}
	for _, to := range h.ids {
		if state, ok := h.shelves[holder].held[to]; ok && !h.down[to] {
			h.give(to, state)
			delete(h.shelves[holder].held, to)
			return
		}
	}
}

// start begins an operation of the plan, by any node.
func (h *history) start() {
	if len(h.acts) == 200 {
		return
	}
	self := h.anyone()
	a := &act{running: new(running), began: h.clock, asked: asked{stage: h.known[self], self: self}}
	place := h.places[h.known[self]]
	var err error
	by := h.follow(a)
	if h.pick(2) == 0 {
		o := h.writes[h.pick(len(h.writes))]
		o.Holders = h.clients > 0
		a.delta = set(byte(len(h.acts) + 1))
		if h.ordered {
			a.delta = upTo(len(h.acts) + 1)
		}
		a.state, a.asked.demand = a.delta, promised(o.demand(), o.Fallbacks)
		away := h.ranks()
		a.write, err = NewWriteOp(WriteConfig{
			Key: "k", Delta: a.delta, Placement: place, Self: self, Options: o, Hints: true,
			Away: func(id nodeID) bool { return away[id] < 0 },
		})
	} else {
		o := h.reads[h.pick(len(h.reads))]
		o.After, o.Holders = by.after, h.clients > 0
		a.asked.demand = promised(o.demand(), o.Fallbacks)
		ranks := h.ranks()
		a.read, err = NewReadOp(ReadConfig{
			Key: "k", Placement: place, Self: self, Options: o, Join: union, WriteBack: h.back,
			Prefer: func(id nodeID) int { return ranks[id] },
		})
	}
	if err != nil {
		return // no owner is in the zone of this node
	}
	by.busy = true
	h.acts, h.of[a.running] = append(h.acts, a), a
	h.post(a.running, a.begin())
}

// upTo is the n-th of states that are totally ordered.
func upTo(n int) (state []byte) {
	for i := range n {
		state = append(state, byte(i+1))
	}
	return state
}

// promised is what a demand asks of owners themselves: that is what makes quorums meet.
func promised(d Demand, f Fallbacks) Demand {
	if f == FallbacksCount || d.Level == Any {
		return Demand{Level: d.Primary}
	}
	return Demand{Level: d.Level, Primary: d.Primary}
}

// ranks has nodes preferred in any order, and taken to be away, rightly or not.
func (h *history) ranks() map[nodeID]int {
	ranks := make(map[nodeID]int)
	for _, id := range h.ids {
		ranks[id] = h.pick(6) - 1
	}
	return ranks
}

func (h *history) impatience(a *act) {
	switch {
	case h.pick(3) == 0:
		h.post(a.running, a.timeout())
	case a.write != nil:
		h.post(a.running, a.write.Hedge())
	default:
		h.post(a.running, a.read.Hedge())
	}
	h.look(a)
}

func (h *history) post(r *running, sends []Send) {
	for _, s := range sends {
		r.under++
		h.wire = append(h.wire, message{op: r, send: s})
	}
}

// deliver takes message i to where it goes; if repeat, it is then still under way.
func (h *history) deliver(i int, repeat bool) {
	m := h.wire[i]
	if repeat && !m.repeated {
		h.wire[i].repeated = true
		m.op.under++
	} else {
		h.wire = slices.Delete(h.wire, i, i+1)
	}
	if !m.back {
		m.back, m.err = true, errDown
		if !h.down[m.send.To] {
			m.resp, m.err = h.servers[m.send.To].ServeCall(context.Background(), "", Method, m.send.Request())
		}
		h.wire = append(h.wire, m)
		return
	}
	m.op.under--
	h.post(m.op, m.op.answer(m.send, m.resp, m.err))
	h.look(h.of[m.op])
	if m.op.under == 0 && !m.op.done() {
		h.judge("no call is under way, and the operation is not done: %+v", h.of[m.op])
	}
}

// look notes the end of an operation, and whether as many hold what it speaks of as it
// says.
func (h *history) look(a *act) {
	if a.judged || !a.done() {
		return
	}
	a.judged, a.ended = true, h.clock
	if a.write != nil {
		res, err := a.write.Result()
		a.ok = err == nil
		if n := h.keepers(a); a.ok && h.clients == 0 && n < res.Answered+res.StoodIn {
			h.judge("%d hold what was written to %+v", n, res)
		}
		h.mustHold(a, a.asked.demand)
		h.note(a, res.Holders)
		return
	}
	res, err := a.read.Result()
	a.ok, a.state = err == nil && !res.Stale, res.State
	if a.client != nil && err == nil && !contains(a.state, a.client.seen) {
		h.judge("read %v after %v was seen, held by %v", a.state, a.client.seen, a.client.after)
	}
	h.note(a, res.Holders)
	switch a.read.cfg.Options.Repair {
	case RepairBlocking:
		h.mustHold(a, a.asked.demand)
	case RepairWriteBack:
		h.mustHold(a, h.back)
	}
}

// keepers is how many distinct nodes hold what an operation wrote, as owners or as a hint.
func (h *history) keepers(a *act) (n int) {
	for _, id := range h.ids {
		held, _ := h.shelves[id].Held(context.Background(), "k")
		if contains(h.replicas[id].at("k"), a.state) || contains(held, a.state) {
			n++
		}
	}
	return n
}

// mustHold judges whether the owners that hold a state are enough for a demand.
func (h *history) mustHold(a *act, d Demand) {
	if !a.ok || h.clients > 0 || d.Level == 0 && d.Primary == 0 {
		return
	}
	tally, err := NewTally(h.places[a.asked.stage], a.asked.self, d)
	if err != nil {
		h.judge("%v", err)
		return
	}
	for _, id := range h.ids {
		if contains(h.replicas[id].at("k"), a.state) {
			tally.Answer(id, false)
		}
	}
	if !tally.Reached() {
		h.judge("%v is held by too few: %v", a.state, tally.Unavailable(OpRead, "k"))
	}
}

// review judges by time: a read contains what was written or read by all that ended
// before it began and has a node in common with it. Where states are totally ordered,
// and all have, this says that reads are linearizable: the order is that of the states.
func (h *history) review() {
	for _, r := range h.acts {
		if r.read == nil || !r.ok {
			continue
		}
		var written []byte
		for _, a := range h.acts {
			if a.write != nil && a.began < r.ended {
				written, _ = union(written, a.delta)
			}
			if a.ok && a.ended < r.began && h.meet(a, r) && !contains(r.state, a.state) {
				h.judge("read %v from %d on, after %v until %d", r.state, r.began, a.state, a.ended)
			}
		}
		if !contains(written, r.state) {
			h.judge("read %v, which nobody wrote", r.state)
		}
	}
}

// meet reports whether those who hold what one operation wrote or read share a node with
// those who answered a later read.
func (h *history) meet(before, read *act) bool {
	x, y := before.asked, read.asked
	if before.read != nil && before.read.cfg.Options.Repair == RepairWriteBack {
		x.demand = h.back
	}
	none := Demand{}
	if x.demand == none || y.demand == none {
		return false
	}
	if h.trusts || y.stage-x.stage > 1 { // all was handed over between
		return true
	}
	known, ok := h.met[[2]asked{x, y}]
	if !ok {
		a, err1 := quorums(h.places[x.stage], x.self, x.demand)
		b, err2 := quorums(h.places[y.stage], y.self, y.demand)
		known = err1 == nil && err2 == nil && meet(a, b)
		h.met[[2]asked{x, y}] = known
	}
	return known
}

// settle has all nodes come back and all hints arrive. Then what was acknowledged is held
// by as many owners as were said to have it, or to have had somebody stand in for them.
func (h *history) settle() {
	clear(h.down)
	for _, holder := range h.ids {
		for range h.ids {
			h.replay(holder)
		}
	}
	for _, a := range h.acts {
		if a.write == nil || !a.ok {
			continue
		}
		place, n := h.places[a.asked.stage], 0
		for _, id := range placedOwners(place) {
			if contains(h.replicas[id].at("k"), a.state) {
				n++
			}
		}
		res, _ := a.write.Result()
		if want := max(res.Answered+res.StoodIn, 1); n < want {
			h.judge("%v was acknowledged by %+v, and %d owners have it", a.state, res, n)
		}
	}
}

func placedOwners(p Placement) (all []nodeID) {
	for _, id := range slices.Concat(p.Owners, p.Next) {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

func sloppyAt(all ...Level) (w []WriteOptions) {
	for _, l := range all {
		w = append(w, WriteOptions{Level: l, Fallbacks: FallbacksCount})
	}
	return w
}

func levels(all ...Level) (w []WriteOptions) {
	for _, l := range all {
		w = append(w, WriteOptions{Level: l})
	}
	return w
}

func readsAt(repair Repair, all ...Level) (r []ReadOptions) {
	for _, l := range all {
		r = append(r, ReadOptions{Level: l, Repair: repair})
	}
	return r
}

// byAll has reads take nothing for an answer only if all say so.
func byAll(reads []ReadOptions) (r []ReadOptions) {
	for _, o := range reads {
		o.NotFound = NotFoundByAll
		r = append(r, o)
	}
	return r
}

var (
	numbers = []Level{One, Two, Majority, All}
	zoned   = []Level{Majority, LocalOne, LocalMajority, EachMajority}
	moving  = []string{"a@p b@p c@q", "a@p b@p c@q -> b@p c@q d@q e@p", "b@p c@q d@q e@p"}
	cities  = []string{"a@p b@p c@p d@q e@q f@q"}
	spare   = []string{"a b c | x y"}
	sloppyW = []WriteOptions{
		{Level: Majority, Fallbacks: FallbacksCount}, {Level: Any, Fallbacks: FallbacksCount}, {Level: Any},
		{Level: All, Fallbacks: FallbacksCount}, {Level: Majority, Primary: One, Fallbacks: FallbacksCount},
	}
	sloppyR = []ReadOptions{{Level: Majority, Fallbacks: FallbacksCount}, {Level: One}, {Level: Majority, Least: One}}
)

// What holds: of whatever is asked for, under whatever happens.
var plans = map[string]plan{
	"levels":            {stages: []string{"a b c d"}, reads: readsAt(0, numbers...), writes: levels(numbers...)},
	"zones":             {stages: cities, reads: readsAt(0, zoned...), writes: levels(zoned...)},
	"the ring changes":  {stages: moving, reads: readsAt(0, numbers...), writes: levels(numbers...)},
	"it changes, zones": {stages: moving, reads: readsAt(0, zoned...), writes: levels(zoned...)},
	"not found by all":  {stages: []string{"a b c d"}, reads: byAll(readsAt(0, numbers...)), writes: levels(numbers...)},
	"not found by all, zones": {
		stages: cities, reads: byAll(readsAt(0, zoned...)), writes: levels(zoned...),
	},
	"not found by all, the ring changes": {
		stages: moving, reads: byAll(readsAt(0, numbers...)), writes: levels(numbers...),
	},
	"others may stand in":              {stages: spare, reads: sloppyR, writes: sloppyW},
	"others, one of them listed twice": {stages: []string{"a b c | x x y"}, reads: sloppyR, writes: sloppyW},
	"others may stand in, zones": {
		stages: []string{"a@p b@p c@q d@q | x@p y@q"}, writes: sloppyAt(zoned...),
		reads: []ReadOptions{{Level: LocalMajority, Fallbacks: FallbacksCount}, {Level: EachMajority, Least: LocalOne, Fallbacks: FallbacksCount}},
	},
	"owners themselves": {
		stages: spare,
		reads:  []ReadOptions{{Primary: Majority, Fallbacks: FallbacksCount}, {Level: Two, Primary: One, Fallbacks: FallbacksCount}},
		writes: []WriteOptions{{Primary: Majority, Fallbacks: FallbacksCount}, {Primary: All, Fallbacks: FallbacksCount}},
	},
	"write-back of majorities": {
		stages: []string{"a b c"}, ordered: true, trusts: true, back: Demand{Level: Majority},
		reads: readsAt(RepairWriteBack, Majority), writes: levels(Majority),
	},
	"write-back, the ring changes": {
		stages: moving, ordered: true, trusts: true, back: Demand{Level: Majority},
		reads: readsAt(RepairWriteBack, Majority), writes: levels(Majority),
	},
	"write-back of one to all": {
		stages: []string{"a b c"}, ordered: true, trusts: true, back: Demand{Level: All},
		reads: readsAt(RepairWriteBack, One), writes: levels(All),
	},
	"write-back of a zone to each": {
		stages: cities, ordered: true, trusts: true, back: Demand{Level: EachMajority},
		reads: readsAt(RepairWriteBack, LocalMajority), writes: levels(EachMajority),
	},
}

// What does not hold, and what the same judgement has to notice.
var controls = map[string]plan{
	"repair afterwards":           {stages: []string{"a b c"}, reads: readsAt(RepairAsync, Majority), writes: levels(Majority)},
	"no repair":                   {stages: []string{"a b c"}, reads: readsAt(RepairOff, Majority), writes: levels(Majority)},
	"no repair, zones":            {stages: cities, reads: readsAt(RepairOff, LocalMajority), writes: levels(EachMajority)},
	"majorities of two zones":     {stages: cities, reads: readsAt(0, LocalMajority), writes: levels(LocalMajority), trusts: true},
	"others in place of owners":   {stages: spare, reads: []ReadOptions{{Primary: One, Fallbacks: FallbacksCount}}, writes: []WriteOptions{{Primary: One, Fallbacks: FallbacksCount}}, trusts: true},
	"nothing is handed over":      {stages: moving, reads: readsAt(0, numbers...), writes: levels(One, Majority), forgets: true},
	"hints are lost":              {stages: spare, reads: sloppyR, writes: sloppyW, loses: true},
	"one and one":                 {stages: []string{"a b c"}, reads: readsAt(0, One), writes: levels(One), trusts: true},
	"no write-back of one to all": {stages: []string{"a b c"}, ordered: true, trusts: true, reads: readsAt(0, One), writes: levels(All)},
}

func live(p plan, seed uint64, steps int) (fault string) {
	random := rand.New(rand.NewPCG(seed, 3))
	newHistory(p, random.IntN, func(format string, args ...any) {
		if fault == "" {
			fault = fmt.Sprintf(format, args...)
		}
	}).run(steps)
	return fault
}

// Under lost, repeated and reordered messages, nodes that fail, that are taken to be away
// and that know of an older ring: reads that wait for their repair are monotonic, also
// after writes that failed; what was acknowledged is read, and is not lost where others
// stood in; and with write-back reads of totally ordered states are linearizable.
func TestHistories(t *testing.T) {
	for name, p := range plans {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(100) {
				if fault := live(p, seed, 400); fault != "" {
					t.Fatalf("seed %d: %s", seed, fault)
				}
			}
		})
	}
}

func TestHistoriesThatPromiseLess(t *testing.T) {
	for name, p := range controls {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(1000) {
				if fault := live(p, seed, 400); fault != "" {
					t.Logf("seed %d: %s", seed, fault)
					return
				}
			}
			t.Fatal("nothing was noticed")
		})
	}
}

// What was found by histories, at its smallest.
func TestReadStartsWithItsOwnNodeWhoeverIsAway(t *testing.T) {
	_, asked := scriptedAs(t, ReadConfig{
		Key: "k", Placement: Placement{Owners: nodes(3)}, Self: "a", Options: at(One), Join: union,
		Prefer: func(id nodeID) int { return map[nodeID]int{"b": -1, "c": 1}[id] },
	})
	require.Equal(t, ids("a"), asked)
}

func TestNotFoundByAllAsksAll(t *testing.T) {
	p, self := layout{place: "a@p b@q c@q", self: "a"}.read()
	s, asked := scriptedAs(t, ReadConfig{
		Key: "k", Placement: p, Self: self, Join: union,
		Options: ReadOptions{Level: LocalOne, NotFound: NotFoundByAll},
	})
	for len(asked) > 0 {
		next := s.answer(asked[0])
		asked = append(asked[1:], next...)
	}
	require.False(t, s.result().Found)
}

func TestStandInsAreDistinctNodes(t *testing.T) {
	for _, c := range []struct{ place, self string }{
		{"a b c | x x", "z"}, // listed twice
		{"a b c | x", "x"},   // keeps what nobody else does, too
		{"a b c | a", "a"},   // is an owner, and has answered as one
	} {
		p, self := layout{place: c.place, self: c.self}.read()
		op, err := NewWriteOp(WriteConfig{
			Key: "k", Delta: set(1), Placement: p, Self: self, Hints: true,
			Options: WriteOptions{Level: Two, Fallbacks: FallbacksCount},
		})
		require.NoError(t, err)
		took := make(map[nodeID]bool)
		for sends := op.Start(); len(sends) > 0; sends = sends[1:] {
			s := sends[0]
			if s.To == "b" || s.To == "c" || s.To == "a" && self != "a" {
				sends = append(sends, op.Answer(s, nil, errDown)...)
				continue
			}
			if s.To != "z" { // who asks keeps hints, too, and stands in for nobody
				took[s.To] = true
			}
			sends = append(sends, op.Answer(s, reply(), nil)...)
		}
		require.True(t, op.Done())
		_, err = op.Result()
		require.Equal(t, len(took) >= 2, err == nil, "%q by %s: %v have it", c.place, self, took)
	}
}

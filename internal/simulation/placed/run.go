package placed

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/ring"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Options are what a run may be given besides its seed.
type Options struct {
	// Trace is told every line of the run's trace. It changes nothing.
	Trace func(line string)
	// TrustLazyReads has reads that do not wait for their repairs checked as if they did: a run
	// then finds that they go back.
	TrustLazyReads bool
	// NoWriteBack has reads of keys that are raised not write back what they return: such a key is then found not to be
	// linearizable.
	NoWriteBack bool
}

// A Result says what a run was like.
type Result struct {
	Seed    uint64
	Hash    uint64 // over every event: equal for equal seeds
	Events  uint64
	Virtual time.Duration  // how long the run took in its own time
	Did     map[string]int // what happened, how often
}

// Run simulates the cluster of a seed until it has come to rest, and checks it throughout. The
// error is a [*Violation]; the Result is filled in either way. A run is one goroutine and touches
// nothing outside itself.
func Run(seed uint64, o Options) (res Result, err error) {
	r := newRun(seed, o)
	defer func() {
		if v := recover(); v != nil {
			r.fail(panicked, "", "%v\n%s", v, debug.Stack())
			res, err = r.result()
		}
		for _, n := range r.nodes {
			n.hush()
		}
	}()
	r.begins()
	for r.violation == nil && !r.finished {
		r.step()
	}
	return r.result()
}

// run is the state of one simulation.
type run struct {
	seed    uint64
	options Options
	plan    plan
	ctx     context.Context
	now     time.Duration
	moments moment
	heap    events
	trace   trace
	counts  map[string]int

	network *network
	nodes   []*node
	calls   uint64 // numbers given to calls
	scratch *store.Store

	keys     []*key
	byName   map[string]*key
	meanings map[string]meaning
	written  int
	rounds   uint64
	open     int // operations under way
	dawdling bool

	rings  map[uint64]*ring.Ring // all there ever were, by epoch
	latest uint64

	registers []*register
	users     []*user
	roaming   []*client

	random, clients, faults, decrees, sessions, agreeing source

	calm      bool // faults and clients have stopped
	quietBy   time.Duration
	asked     bool // everything was asked once more
	finished  bool
	violation *Violation
}

func newRun(seed uint64, o Options) *run {
	r := &run{
		seed: seed, options: o, plan: newPlan(seed), ctx: context.Background(), counts: map[string]int{},
		trace:   trace{hash: seed, print: o.Trace},
		scratch: store.New(store.Config{Now: func() time.Time { return epoch }}),
		byName:  map[string]*key{}, meanings: map[string]meaning{}, rings: map[uint64]*ring.Ring{},
		random: newSource(seed, streamNodes), clients: newSource(seed, streamClients),
		faults: newSource(seed, streamFaults), decrees: newSource(seed, streamDecrees),
		sessions: newSource(seed, streamSessions), agreeing: newSource(seed, streamRegisters),
	}
	r.addKeys()
	r.network = newNetwork(r.plan.nodes, newSource(seed, streamLinks))
	for i := range r.plan.nodes {
		n := r.newNode(i, r.plan.zones[i])
		n.volatile, n.out = i == r.plan.volatile, r.plan.renames && i == r.plan.nodes-1
		r.nodes = append(r.nodes, n)
	}
	return r
}

// addKeys makes all keys there are.
func (r *run) addKeys() {
	for i := range r.plan.keys {
		r.addKey(&key{name: fmt.Sprint("k", i), max: i%4 == 3})
	}
	for i := range r.plan.own {
		r.addKey(&key{name: fmt.Sprint("s", i), use: forClient})
	}
	for i := range r.plan.raised {
		r.addKey(&key{name: fmt.Sprint("m", i), use: raised, max: true})
	}
	for i := range r.plan.registers {
		g := &register{key: key{name: fmt.Sprint(caspaxos.Prefix, "r", i), agreed: true}, texts: map[caspaxos.Ballot]string{}}
		r.addKey(&g.key)
		r.registers = append(r.registers, g)
	}
	for range 4 {
		r.users = append(r.users, &user{known: map[*register]caspaxos.Value{}})
	}
	for i := range r.plan.clients {
		r.roaming = append(r.roaming, r.newClient(i))
	}
}

// addKey adds a key. Registers are not among those of which the simulator knows what is in each state.
func (r *run) addKey(k *key) {
	k.pos = r.scratch.Index().Hasher().Position(k.name)
	r.byName[k.name] = k
	if !k.agreed {
		k.index = len(r.keys)
		r.keys = append(r.keys, k)
	}
}

// begins makes the first ring, and has everything begin.
func (r *run) begins() {
	var members []ring.Member
	for _, n := range r.nodes[:r.plan.members] {
		members = append(members, ring.Member{ID: n.id, Zone: n.zone, Weight: 1})
	}
	first, err := ring.New(ring.Config{Partitions: r.plan.partitions, Replicas: r.plan.replicas, Members: members})
	if err != nil {
		r.fail(ringWrong, "", "%v", err)
		return
	}
	r.say(nil, "plan: %+v", r.plan)
	for i, n := range r.nodes {
		if n.out {
			continue
		}
		r.start(n)
		if i < r.plan.members {
			if err := n.ring.Adopt(first, n.save); err != nil {
				r.fail(ringWrong, "", "adopt: %v", err)
			}
			r.meet(first, n)
		}
	}
	r.weather()
	r.often(r.plan.operations, operate, r.client)
	r.often(r.plan.faults, fault, r.misfortune)
	if r.plan.changes > 0 {
		r.often(r.plan.changes, decree, r.change)
	}
	r.demand()
	r.at(r.plan.end, fault, r.relent)
}

// demand has clients begin who are promised more.
func (r *run) demand() {
	p := &r.plan
	if p.clients > 0 {
		r.often(p.promises, converse, r.sessionTurn)
	}
	if p.registers > 0 {
		r.often(p.promises, agree, r.registerTurn)
	}
	if p.raised > 0 {
		r.often(p.promises, agree, r.raiseTurn)
	}
}

// often has something happen again and again until the faults end.
func (r *run) often(mean time.Duration, k kind, f func()) {
	source := map[kind]source{operate: r.clients, fault: r.faults, decree: r.decrees, converse: r.sessions, agree: r.agreeing}[k]
	var next func()
	next = func() {
		if r.calm {
			return
		}
		f()
		r.at(r.now+source.around(mean), k, next)
	}
	r.at(source.around(mean), k, next)
}

// routines has a node do what it does from time to time, for as long as it lives.
func (r *run) routines(n *node) {
	for _, f := range []func(*node){r.tend, r.replay, r.harmonize, r.strays} {
		var next func()
		again := func() {
			r.heap.add(event{at: r.now + r.random.around(r.plan.routine), node: n, life: n.life, kind: routine, run: next})
		}
		next = func() {
			f(n)
			again()
		}
		again()
	}
}

// at has something happen at a time, nowhere in particular.
func (r *run) at(t time.Duration, k kind, f func()) {
	r.heap.add(event{at: t, life: anyLife, kind: k, run: f})
}

// after has something happen at a node after a while, unless it crashes before.
func (r *run) after(d time.Duration, n *node, k kind, f func()) {
	r.heap.add(event{at: r.now + d, node: n, life: n.life, kind: k, run: f})
}

// step has the next thing happen.
func (r *run) step() {
	e, ok := r.heap.next()
	if !ok {
		r.fail(neverQuiet, "", "nothing is left to happen")
		return
	}
	r.now = max(r.now, e.at)
	if n := e.node; n != nil {
		if e.life != anyLife && e.life != n.life {
			return
		}
		if n.frozenUntil > r.now {
			e.at = n.frozenUntil
			r.heap.add(e)
			return
		}
	}
	r.trace.note(&e)
	r.moments++
	e.run()
}

// moment is now, and later than all before.
func (r *run) moment() moment {
	r.moments++
	return r.moments
}

// did counts what happened.
func (r *run) did(what string) { r.counts[what]++ }

// tell counts what happened if it did.
func (r *run) tell(did bool, what string) {
	if did {
		r.did(what)
	}
}

func (r *run) result() (Result, error) {
	res := Result{Seed: r.seed, Hash: r.trace.hash, Events: r.trace.count, Virtual: r.now, Did: r.counts}
	if r.violation != nil {
		return res, r.violation
	}
	return res, nil
}

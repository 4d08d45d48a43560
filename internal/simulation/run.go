package simulation

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/vclock"
)

// Options are what a run may be given besides its seed. None of them changes what
// happens in it.
type Options struct {
	// Trace is told every line of the run's trace. If nil, nothing is formatted.
	Trace func(line string)
}

// A Result says what a run was like.
type Result struct {
	Seed    uint64
	Hash    uint64 // over every event: equal for equal seeds
	Events  uint64
	Virtual time.Duration // how long the run took in its own time
	Nodes   int
	Keys    int
	Counts  Counts
}

// Counts is what happened in a run.
type Counts struct {
	Updates      int // local updates that changed something
	Acknowledged int // those whose quorum write reached its level
	Reads        int // quorum reads that were begun
	Answered     int // those that reached their level
	Messages     int // requests and answers sent, of which
	Lost         int // so many were lost
	Copied       int // and so many arrived twice
	Crashes      int
	Amnesia      int // of the crashes, those that lost the disk
	Cuts         int // partitions of any shape
	Rounds       int // reconciliations begun
	Pushes       int // batches of deltas sent
	Overflowed   int // queues of deltas dropped because they were too long
	Refused      int // merges refused because of a clock
	States       int // distinct states, deltas and novelties checked against the model

	Did map[string]int // what clients did and what came of it, by kind of value

	Converged time.Duration // from the end of the faults until all replicas were equal
}

// Command is the command that replays a seed, with its trace.
func Command(seed uint64) string {
	how := "go test ./internal/simulation"
	if planted.Bug != "" {
		how = fmt.Sprintf("EVENTUAL_BUG=%s go test -tags planted ./internal/simulation", planted.Bug)
	}
	return fmt.Sprintf("%s -run '^TestSeeds$' -seed %d -v", how, seed)
}

// Run simulates the cluster of a seed until it has converged, and checks it
// throughout. The error is a [*Violation]; the Result is filled in either way.
//
// A run is one goroutine and touches nothing outside itself, so any number of runs
// may go on at once.
func Run(seed uint64, opts Options) (res Result, err error) {
	r := newRun(seed, opts)
	defer func() {
		if v := recover(); v != nil {
			r.fail(panicked, "", "%v\n%s", v, debug.Stack())
			res, err = r.result()
		}
	}()
	r.start()
	for r.violation == nil && !r.finished {
		e, ok := r.heap.pop()
		if !ok {
			break
		}
		r.now = e.at
		r.step(&e)
	}
	if r.violation == nil && !r.finished {
		r.fail(neverQuiet, "", "nothing is left to happen")
	}
	return r.result()
}

// run is the state of one simulation.
type run struct {
	seed  uint64
	plan  plan
	now   time.Duration
	heap  heap
	trace trace
	ctx   context.Context
	kinds *crdt.Kinds

	network *network
	nodes   []*node
	calls   uint64 // numbers given to calls

	content       map[string]*content
	sights        map[string]*sight  // by key and what was seen
	portions      map[string]portion // by key and bytes
	keys          []*ledger
	byKey         map[string]*ledger
	last          *ledger // what a client used last
	writes        []*write
	open          int // quorum operations that are not decided
	issued        map[issue]struct{}
	stamps        map[vclock.ReplicaID]vclock.Timestamp // the last of each replica
	generations   map[string]*generation
	epochs        []antientropy.Epoch
	ownersEmptied bool                // one that was a member all along lost its store, or its generation
	echoes        []map[string]lesson // by node
	serving       *message            // the request that a node answers now
	heritage      *heritage

	clients source
	faults  source
	sources source // of the nodes
	turns   source // of epochs and absences
	mishaps source // of disks
	slow    source // of reads while a key is deleted

	falling []*node // their disks have failed in what is happening
	names   int     // identities that stores took by themselves
	patchy  bool    // an owner has lost something that it had

	stopped   bool // the faults have stopped, no new operations
	calm      bool // all replicas are equal and nothing waits
	finished  bool
	counts    Counts
	violation *Violation
}

func newRun(seed uint64, opts Options) *run {
	p := newPlan(newSource(seed, streamPlan))
	p.extend(newSource(seed, streamTurns))
	p.mount(newSource(seed, streamMishaps))
	r := &run{
		seed:    seed,
		plan:    p,
		ctx:     context.Background(),
		kinds:   crdt.Standard(),
		network: newNetwork(p.nodes, newSource(seed, streamLinks)),
		content: make(map[string]*content),

		sights:   make(map[string]*sight),
		portions: make(map[string]portion),

		byKey:   make(map[string]*ledger),
		issued:  make(map[issue]struct{}),
		stamps:  make(map[vclock.ReplicaID]vclock.Timestamp),
		clients: newSource(seed, streamClients),
		faults:  newSource(seed, streamFaults),
		sources: newSource(seed, streamNodes),
		turns:   newSource(seed, streamTurns),
		slow:    newSource(seed, streamSlow),
		mishaps: newSource(seed, streamMishaps+1<<16),

		generations: map[string]*generation{genesis: {number: 1}},
	}
	r.counts.Did = make(map[string]int)
	r.heritage = newHeritage()
	r.trace.print = opts.Trace
	r.trace.hash = mix(seed, uint64(p.nodes))
	for i := range p.keys {
		if p.retires {
			break
		}
		l := newLedger(i)
		r.keys = append(r.keys, l)
		r.byKey[l.key] = l
	}
	for i := range p.nodes {
		r.nodes = append(r.nodes, r.newNode(i))
		r.echoes = append(r.echoes, make(map[string]lesson))
	}
	r.chooseOwners()
	return r
}

func (r *run) start() {
	r.trace.say(0, -1, "seed %d: %v", r.seed, r.plan)
	r.planFaults()
	r.planOperations()
	r.fill()
	r.planTurns()
	r.planMishaps()
	for _, n := range r.nodes {
		r.wake(n)
	}
	r.heap.push(event{at: r.plan.duration, node: nowhere, life: anyLife, kind: fault, run: r.stopFaults})
}

const (
	nowhere = -1
	anyLife = -1
)

// step lets one event happen.
func (r *run) step(e *event) {
	if e.node != nowhere && !r.ready(e) {
		return
	}
	payload := uint64(0)
	if e.msg != nil {
		payload = mix(e.msg.call, mix(digestString(e.msg.method), digest(e.msg.body)))
	}
	r.trace.note(e.at, e.node, e.kind, payload)
	switch e.kind {
	case deliver:
		r.serving = e.msg
		r.serve(r.nodes[e.node], e.msg)
		r.serving = nil
	case reply:
		r.answer(r.nodes[e.node], e.msg)
	default:
		e.run()
	}
	r.fall()
}

// ready reports whether the node of e can take it now. What happens at a node that
// is down is lost, at one that is paused it waits.
func (r *run) ready(e *event) bool {
	n := r.nodes[e.node]
	switch {
	case e.kind == fault:
		return true
	case !n.up, e.life != anyLife && e.life != n.life:
		return false
	case n.pausedUntil > r.now:
		e.at = n.pausedUntil
		r.heap.push(*e)
		return false
	}
	return true
}

// after has f run at a node some time from now, unless the node crashes before.
func (r *run) after(d time.Duration, n *node, k kind, f func()) {
	r.heap.push(event{at: r.now + d, node: n.index, life: n.life, kind: k, run: f})
}

func (r *run) result() (Result, error) {
	r.counts.Messages, r.counts.Lost, r.counts.Copied = r.network.sent, r.network.lost, r.network.copied
	r.counts.States = len(r.content)
	res := Result{
		Seed: r.seed, Hash: r.trace.hash, Events: r.trace.count, Virtual: r.now,
		Nodes: r.plan.nodes, Keys: r.plan.keys, Counts: r.counts,
	}
	if r.violation != nil {
		return res, r.violation
	}
	return res, nil
}

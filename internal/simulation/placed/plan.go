package placed

import (
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/quorum/session"
)

// A plan is what the seed decides before a run begins.
type plan struct {
	nodes, members int
	zones          []string // of the nodes
	partitions     int
	replicas       int
	keys           int
	volatile       int // which node loses all by a crash; -1: none
	lostDisks      int // how many disks may be lost besides

	end              time.Duration // of the faults and of the clients
	operations       time.Duration // mean time between two
	callTimeout      time.Duration
	operationTimeout time.Duration
	routine          time.Duration // mean time between two of a node's routines
	changes          time.Duration // mean time between two of the operator's decisions; 0: none
	aborts           float64
	faults           time.Duration // mean time between two
	dawdles          float64       // how often a replica takes its time
	slowness         time.Duration // and how long at most
	writes           float64       // of the operations, how many are

	gossip       float64 // how often a node asks any other for its ring
	harmony      float64 // how often it reconciles with one
	loss, copies float64
	hinted       float64 // how many writes keep hints
	sloppy       float64 // how many operations let others stand in
	limits       handoff.Limits
	intakeRate   int
	maxMessage   int
	buckets      []bucket

	renames    bool // a node that has lost its disk comes back under another name: that of the last node
	clients    int  // that have sessions
	guarantees session.Guarantees
	tokenKeys  int // the most in a token
	own        int // keys that they alone write
	registers  int
	ahead      bool
	raised     int           // keys that are raised
	promises   time.Duration // mean time between two calls of each of these kinds
	careless   bool          // most sessions write with one owner
	stumbles   float64       // how often an acceptor crashes right after it has answered, and comes back at once
	wide       time.Duration // mean of the random part of what links take; 0: that of good ones
	slow       bool          // replicas are, and changes quick
}

// A bucket is what operations of a run ask for, mostly: levels that go together.
type bucket struct{ read, write quorum.Level }

var pairs = []bucket{
	{quorum.Majority, quorum.Majority}, {quorum.Majority, quorum.Majority}, {quorum.Majority, quorum.Majority},
	{quorum.One, quorum.All}, {quorum.All, quorum.One}, {quorum.LocalMajority, quorum.EachMajority},
	{quorum.EachMajority, quorum.LocalMajority}, {quorum.One, quorum.One}, {quorum.Two, quorum.Two},
	{quorum.Majority, quorum.Any}, {quorum.LocalOne, quorum.LocalMajority}, {quorum.LocalMajority, quorum.LocalOne},
}

func newPlan(seed uint64) plan {
	s := newSource(seed, streamPlan)
	p := plan{
		nodes:            4 + s.IntN(6),
		partitions:       1 << (2 + s.IntN(3)),
		replicas:         one(s, 1, 2, 3, 3, 3, 3, 3, 4, 5, 5),
		keys:             3 + s.IntN(10),
		volatile:         -1,
		end:              s.between(4*time.Second, 10*time.Second),
		operations:       s.between(20*time.Millisecond, 80*time.Millisecond),
		callTimeout:      s.between(100*time.Millisecond, 400*time.Millisecond),
		operationTimeout: s.between(100*time.Millisecond, 600*time.Millisecond),
		routine:          s.between(100*time.Millisecond, 600*time.Millisecond),
		faults:           s.between(200*time.Millisecond, 2*time.Second),
		gossip:           one(s, 0.02, 0.1, 1),
		harmony:          one(s, 0.02, 0.1, 1),
		loss:             one(s, 0, 0, 0.02, 0.02, 0.1, 0.3),
		copies:           one(s, 0, 0.05),
		hinted:           one(s, 0, 0.5, 1, 1),
		sloppy:           one(s, 0, 0.3, 0.3, 0.8),
		intakeRate:       one(s, 0, 0, -1, 8<<10),
		maxMessage:       one(s, 0, 0, 1<<10),
	}
	p.members = 3 + s.IntN(p.nodes-2)
	zones := one(s, []string{""}, []string{"x", "y"}, []string{"x", "y", "z"}, []string{"x", "y", "z"})
	for i := range p.nodes {
		p.zones = append(p.zones, zones[i%len(zones)])
	}
	if s.chance(0.7) {
		p.changes, p.aborts = s.between(300*time.Millisecond, 2*time.Second), one(s, 0, 0.1, 0.4)
	}
	if s.chance(0.2) {
		p.volatile = s.IntN(p.nodes)
	} else if s.chance(0.2) {
		p.lostDisks = 1
	}
	p.dawdles, p.slowness = one(s, 0, 0.02, 0.2), one(s, 100*time.Millisecond, time.Second)
	p.limits = one(s, handoff.Limits{}, handoff.Limits{}, handoff.Limits{MaxTargetHints: 2},
		handoff.Limits{MaxBytes: 1500, MaxTargetBytes: 700}, handoff.Limits{MaxAge: 2 * time.Second})
	p.limits.MaxMessage = p.maxMessage
	p.hurry(s)
	p.writes = min(0.5, maxWrites*float64(p.keys)*float64(p.operations)/float64(p.end)) // so that they last
	for range 1 + s.IntN(3) {
		p.buckets = append(p.buckets, one(s, pairs...))
	}
	p.promise(newSource(seed, streamPromises))
	return p
}

// promise adds clients with sessions, registers, and keys that are raised. All those suppose that nodes keep what they
// have acknowledged, or do not come back under their names.
func (p *plan) promise(s source) {
	if p.volatile >= 0 || p.lostDisks > 0 && s.chance(0.5) {
		return
	}
	if p.lostDisks > 0 { // nobody is there to take over hints for who is gone
		p.renames, p.hinted, p.sloppy = true, 0, 0
		p.nodes, p.zones = p.nodes+1, append(p.zones, one(s, p.zones...))
	}
	p.promises = s.between(15*time.Millisecond, 60*time.Millisecond)
	sessions, registers := s.chance(0.6), s.chance(0.6)
	if p.slow { // replicas dawdle one at a time: these with registers, those without
		sessions, registers = false, s.chance(0.4)
	}
	if sessions {
		p.clients, p.own, p.tokenKeys = 2+s.IntN(4), 1+s.IntN(3), one(s, 0, 0, 1, 3)
		p.guarantees = one(s, session.Everything, session.Everything, session.Everything,
			session.ReadYourWrites, session.MonotonicReads, session.MonotonicWrites, session.WritesFollowReads)
		if p.careless = s.chance(0.3); p.careless {
			p.loss, p.harmony = one(s, 0.2, 0.4), 0.02
		}
	}
	if registers {
		p.registers, p.ahead = 1+s.IntN(2), s.chance(0.4)
		if s.chance(0.4) {
			p.stumbles, p.wide = one(s, 0.05, 0.1), s.between(2*time.Millisecond, 20*time.Millisecond)
			p.registers, p.loss, p.operationTimeout = 3, 0, max(p.operationTimeout, 400*time.Millisecond)
		}
	}
	if !p.slow && s.chance(0.4) {
		p.raised = 1 + s.IntN(2)
	}
}

// hurry makes some runs such as find what needs many things to happen at one time.
func (p *plan) hurry(s source) {
	if p.changes == 0 {
		return
	}
	crowded := s.chance(0.3)
	if p.slow = s.chance(0.25); p.slow { // replicas are slow, and changes quick
		p.routine, p.callTimeout, p.operationTimeout = s.between(10*time.Millisecond, 60*time.Millisecond), time.Second, time.Second
		p.dawdles, p.slowness, p.replicas = 0.3, 600*time.Millisecond, one(s, 1, 1, 1, 1, 2, 3)
		crowded = crowded || s.chance(0.8)
	}
	if crowded { // much becomes of few keys, for which the owners change all the time
		p.keys, p.partitions = 1+s.IntN(3), 1<<s.IntN(3)
		p.operations = s.between(5*time.Millisecond, 20*time.Millisecond)
		p.changes = s.between(100*time.Millisecond, 500*time.Millisecond)
		if !p.slow {
			p.replicas = one(s, 1, 2, 3, 3)
		}
	}
}

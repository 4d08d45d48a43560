package simulation

import (
	"errors"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
	"github.com/eventual-go/eventual/vclock"
)

// A keeping says where a node's store keeps what it holds.
type keeping uint8

const (
	inMemory keeping = iota // which is durable as a whole: what a node keeps that cannot lose anything
	synced                  // on a disk, and each call waits until that is durable
	unsynced                // on a disk that is synced whenever it likes
)

// A medium is what a store on disk lies on, and what the simulator knows of it.
type medium struct {
	disk    *disk.Disk // nil in memory
	kept    [][]held   // by ledger, see replica.keep
	tenure  uint32     // how often the store was emptied, which is part of where a value lies
	began   uint64     // writes before the call that is under way
	fallen  bool       // the disk has failed in a call
	pending pending
	closed  closing
	moved   bool // the disk is not where it was
	cuts    int  // crashes and damages
	tries   int  // how often it could not be opened since
	damaged map[string]bool
	unaware *snapshot // that was put back, and cannot be told from what was there
	turned  []store.Rotation
}

// closing is what was done to a store before it is opened.
type closing uint8

const (
	crashed closing = iota
	closed
	closedPerhaps
)

// errFallen is the answer of a replica whose disk has failed.
var errFallen = errors.New("simulation: the disk has failed, and the node with it")

// chooseKeeping draws where a node keeps its store.
func (r *run) chooseKeeping(n *node) {
	if !r.plan.disks {
		return
	}
	switch p := r.mishaps.Float64(); {
	case p < 0.45:
		n.keeping = synced
	case p < 0.9 && !r.plan.retires:
		n.keeping = unsynced
	}
	n.cache = [...]int64{1, 400, 1 << 20}[r.mishaps.IntN(3)]
	n.placeless = r.mishaps.chance(0.1)
}

// place is where a node's disk is next: nobody has been there.
func (r *run) place(n *node) string {
	if n.placeless {
		return ""
	}
	n.places++
	return fmt.Sprint(n.id, " place ", n.places)
}

// config is what a replica's store is made with.
func (p *replica) config() store.Config {
	cfg := store.Config{
		Replica:    p.named,
		Kinds:      p.run.kinds,
		Secret:     []byte("simulation"),
		Now:        p.now,
		MaxDrift:   maxDrift,
		Retain:     p.node.retain,
		Cache:      p.node.cache,
		NewReplica: p.rename,
		Events:     store.Events{Rotated: p.rotated, Damaged: p.hurt},
	}
	if p.node.keeping == unsynced {
		cfg.Sync = -1
	}
	return cfg
}

// rename makes an identity that nobody had.
func (p *replica) rename() vclock.ReplicaID {
	p.run.names++
	id := vclock.Named(fmt.Sprintf("%s+%d.%x", p.node.id, p.run.names, p.run.seed&0xffff))
	p.identities = append(p.identities, id)
	return id
}

// rotated takes note that the store is somebody else now.
func (p *replica) rotated(x store.Rotation) {
	p.turned = append(p.turned, x)
	switch {
	case x.Reason != store.Seen:
	case p.unaware == nil:
		p.run.fail(identityWrong, x.Key, "%s takes another identity although nobody else writes as %v", p.node.id, x.From)
	default:
		p.run.did("a restored store meets what it had written")
	}
	p.unaware = nil
}

// ready reports whether the store can be asked. It is asked before each call, and takes note of how far the disk was.
func (p *replica) ready() bool {
	if p.fallen || !p.node.up && p.disk != nil {
		return false
	}
	if p.disk != nil {
		p.began = p.disk.Writes()
	}
	return true
}

// fell reports whether an error says that the disk has failed. The node goes down with it, as soon as what is
// happening has happened.
func (p *replica) fell(err error) bool {
	if _, failed := errors.AsType[*store.FailedError](err); !failed {
		return errors.Is(err, errFallen)
	}
	if p.disk == nil || p.disk.Failed() == nil {
		p.run.fail(errorUnexplained, "", "%s: %v", p.node.id, err)
		return false
	}
	if !p.fallen {
		p.fallen = true
		p.run.falling = append(p.run.falling, p.node)
		if p.run.plan.retires {
			p.run.heritage.lost[p.node] = true // what it was doing may have happened
		}
	}
	return true
}

// isFall reports whether an error is one of a node that goes down.
func isFall(err error) bool {
	_, failed := errors.AsType[*store.FailedError](err)
	return failed || errors.Is(err, errFallen)
}

// cut takes the disk away from the store, with a part of what is not durable.
func (p *replica) cut() {
	if p.disk == nil {
		return
	}
	tail, keep := p.disk.Tail(), 0
	switch x := p.run.mishaps.Float64(); {
	case x < 0.25:
		keep = tail + 1
	case x < 0.75:
		keep = p.run.mishaps.IntN(tail + 1)
	}
	if keep < tail {
		p.run.did("a crash that loses writes")
	}
	p.cuts++
	p.rollBack(p.disk.Crash(keep))
	p.closed = crashed
}

// shut closes the store.
func (p *replica) shut() {
	if p.disk == nil {
		return
	}
	if err := p.store.Close(); err != nil {
		if p.disk.Failed() == nil {
			p.run.fail(errorUnexplained, "", "%s: close: %v", p.node.id, err)
		}
		p.cut()
		p.closed = closedPerhaps
		return
	}
	p.rollBack(p.disk.Writes())
	p.closed = closed
}

// open opens the store again, and reports whether that went well. A crash in the middle is the end of it for now.
func (p *replica) open() bool {
	if p.disk == nil {
		return true
	}
	before, b := p.store.Replica(), p.disk.Mount()
	if r := p.run; !r.stopped && r.mishaps.chance(0.15) {
		r.strike(p.disk, 6)
	}
	p.turned = nil
	var unread []string
	for _, l := range p.run.keys {
		if p.disk.Damaged(p.where(l)) {
			unread = append(unread, l.key)
		}
	}
	s, err := store.Open(p.config(), b)
	if err != nil {
		if p.disk.Failed() == nil {
			p.run.fail(errorUnexplained, "", "%s: open: %v", p.node.id, err)
			return false
		}
		p.run.did("a crash while a store is opened")
		p.tries++
		for _, key := range unread {
			p.harm(key) // it may have come upon that
		}
		p.cut()
		return false
	}
	p.store, p.fallen = s, false
	p.checkIdentity(before)
	p.disk.Mend()
	p.node.up = true // so that it can be asked
	p.recovered()
	p.pending, p.closed, p.moved, p.tries = pending{}, crashed, false, 0
	return true
}

// checkIdentity checks that a store which was opened goes on under its name only if it can be sure of it.
func (p *replica) checkIdentity(before vclock.ReplicaID) {
	sure := p.closed == closed && !p.moved && !p.node.placeless
	unsure := p.closed == crashed || p.closed == closed && !sure
	id := p.store.Replica()
	switch {
	case p.tries == 0 && sure && (len(p.turned) > 0 || p.unaware == nil && id != before):
		p.run.fail(identityWrong, "", "%s was closed, and is %v after %v: %v", p.node.id, id, before, p.turned)
	case p.tries == 0 && unsure && (len(p.turned) != 1 || p.turned[0].To != id):
		p.run.fail(identityWrong, "", "%s cannot be sure that it knows all that it did, and is %v after %v: %v", p.node.id, id, before, p.turned)
	}
	for _, x := range p.turned {
		p.run.did("an identity changed: " + x.Reason.String())
	}
	if sure && p.tries == 0 {
		p.run.did("an identity kept")
	}
	if len(p.turned) > 0 && p.node.owner {
		p.identities = slices.DeleteFunc(p.identities, func(o vclock.ReplicaID) bool { return o == id })
		p.run.depart(p.node) // all that it was before
		p.identities = nil
	}
	if !slices.Contains(p.identities, id) {
		p.identities = append(p.identities, id)
	}
}

package simulation

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/eventual-go/eventual/internal/disk"
)

// This file is what happens to disks.

// A snapshot is a copy of a disk, and of what the model knows of it.
type snapshot struct {
	disk    *disk.Disk
	place   string
	shadows []shadow
	damaged map[string]bool
	stands  string
	tenure  uint32
	closed  bool // the store was closed
	cuts    int  // crashes and damages until then
	writes  int  // how many there had been, of all
	until   int  // and when it was put back

	unaware *snapshot // that had been put back before, see medium
}

// missing yields the writes of a node that were lost when copies were put back, as far as it cannot tell.
func (r *run) missing(n *node) iter.Seq[*write] {
	return func(yield func(*write) bool) {
		for s := n.replica.unaware; s != nil; s = s.unaware {
			for _, w := range r.writes[s.writes:s.until] {
				if w.node == n.index && !yield(w) {
					return
				}
			}
		}
	}
}

// mishap is one kind of them. It is given a node that has a disk and is up.
type mishap func(r *run, n *node)

var mishaps = []mishap{orderly, orderly, powerCut, powerCut, ioError, ioError, ioError, ioError, copyDisk, copyClosed, copyClosed, cloneDisk, damage}

func (r *run) planMishaps() {
	for range r.plan.mishaps {
		at := r.mishaps.between(0, r.plan.duration)
		r.heap.push(event{at: at, node: nowhere, life: anyLife, kind: fault, run: r.mishap})
	}
}

func (r *run) mishap() {
	n := r.nodes[r.mishaps.IntN(len(r.nodes))]
	what := mishaps[r.mishaps.IntN(len(mishaps))]
	if !r.stopped && n.up && n.replica.disk != nil {
		what(r, n)
	}
}

const downtime = time.Second

// orderly stops a node and starts it again.
func orderly(r *run, n *node) {
	r.stop(n)
	r.restartLater(n, downtime)
}

func powerCut(r *run, n *node) {
	r.crash(n)
	r.restartLater(n, downtime)
}

// ioError has the disk fail in one of the next calls.
func ioError(r *run, n *node) {
	r.strike(n.replica.disk, 12)
	r.trace.say(r.now, n.index, "its disk shall fail")
}

// tempt has the disk fail, now and then, in a call that writes more than once.
func (p *replica) tempt(chance float64) {
	if r := p.run; p.disk != nil && r.plan.mishaps > 0 && r.now > 0 && !r.stopped && r.mishaps.chance(chance) {
		r.strike(p.disk, 6)
	}
}

// strike has one of the next so many writes fail, or one of the waits for them.
func (r *run) strike(d *disk.Disk, most int) {
	with := [...]error{disk.ErrFailed, disk.ErrFull, disk.ErrPulled}[r.mishaps.IntN(3)]
	if n := 1 + r.mishaps.IntN(most); r.mishaps.chance(0.3) {
		d.FailSync(n, with)
	} else {
		d.Fail(n, with)
	}
}

// fall has nodes crash whose disks have failed.
func (r *run) fall() {
	for _, n := range r.falling {
		if n.up {
			r.did("a disk that failed")
			r.crash(n)
			r.restartLater(n, downtime)
		}
	}
	r.falling = r.falling[:0]
}

// mend has a disk fail no more.
func (p *replica) mend() {
	if p.disk != nil {
		p.disk.Mend()
	}
}

// snapshot is a copy of what is on a disk now.
func (p *replica) snapshot() *snapshot {
	return &snapshot{
		disk: p.disk.Copy(""), place: p.disk.Place(), shadows: slices.Clone(p.shadows), damaged: maps.Clone(p.damaged),
		stands: p.stands, tenure: p.tenure, closed: p.closed == closed && !p.node.up, cuts: p.cuts, writes: len(p.run.writes), unaware: p.unaware,
	}
}

// copyDisk makes a copy that is put back later, while the store is open.
func copyDisk(r *run, n *node) {
	r.did("a copy of a disk in use")
	r.trace.say(r.now, n.index, "its disk is copied")
	r.putBackLater(n, n.replica.snapshot(), putBack)
}

// copyClosed makes one after the store was closed.
func copyClosed(r *run, n *node) {
	r.stop(n)
	if n.replica.closed == closed {
		r.did("a copy of a closed disk")
		r.trace.say(r.now, n.index, "its disk is copied")
		how := putBack
		if !n.placeless && !r.plan.collects && r.mishaps.chance(0.7) {
			how = putBackUnnoticed
		}
		r.putBackLater(n, n.replica.snapshot(), how)
	}
	r.restartLater(n, downtime)
}

// putBackLater puts a copy back unless the node has lost its disk by then, or is down.
func (r *run) putBackLater(n *node, s *snapshot, how func(*run, *node, *snapshot)) {
	incarnation := n.incarnation
	r.later(r.mishaps.between(100*time.Millisecond, 2*time.Second), func() {
		if n.up && n.incarnation == incarnation {
			how(r, n, s)
			r.restartLater(n, downtime)
		}
	})
}

// putBack puts a copy in place of what there is, which the store can tell: it was open, or the copy is elsewhere.
func putBack(r *run, n *node, s *snapshot) {
	place := s.place
	if s.closed || r.mishaps.chance(0.5) {
		place = r.place(n)
	}
	r.crash(n)
	r.did("a copy put back")
	n.replica.revert(s, place)
}

// putBackUnnoticed puts a copy back in a way that no store can tell, so that it would number events once more. That is
// found out as soon as it meets one of them, and not before: so it is restored to meet others, and writes when it knows
// all that it had written.
func putBackUnnoticed(r *run, n *node, s *snapshot) {
	r.stop(n)
	if n.replica.closed == closed && s.cuts == n.replica.cuts {
		r.did("a copy put back that nobody can tell")
		n.replica.revert(s, s.place)
		s.until = len(r.writes)
		n.replica.unaware = s
	}
}

// cloneDisk has a node lose its disk, and begin again with a copy of another's.
func cloneDisk(r *run, n *node) {
	o := r.nodes[r.mishaps.IntN(len(r.nodes))]
	if o == n || o.gone || o.replica.disk == nil || o.replica.fallen || n.keeping != o.keeping && r.plan.retires {
		return
	}
	r.crash(n)
	r.did("a disk cloned")
	n.replica.revert(o.replica.snapshot(), r.place(n))
	r.restartLater(n, downtime)
}

// damage makes a key or two unreadable. A store that cannot tell that it was restored is left alone: of a key that was
// damaged it would never have to.
func damage(r *run, n *node) {
	if r.plan.retires || n.replica.unaware != nil {
		return
	}
	r.stop(n)
	p := n.replica
	p.cuts++ // what is damaged is written to under another name
	values := p.disk.Keys(string(p.where(&ledger{})))
	for range min(len(values), 1+r.mishaps.IntN(2)) {
		at := values[r.mishaps.IntN(len(values))]
		r.did("a key damaged")
		p.disk.Damage([]byte(at))
		p.damaged[at[len(p.where(&ledger{})):]] = true
	}
	r.emptied(n)
	r.restartLater(n, downtime)
}

// revert has a node's disk be a copy, at a place.
func (p *replica) revert(to *snapshot, place string) {
	r := p.run
	r.trace.say(r.now, p.node.index, "its disk is a copy, which was %v (closed: %v), at %q", to.place, to.closed, place)
	before := p.allKnown()
	p.disk, p.shadows, p.damaged = to.disk.Copy(place), slices.Clone(to.shadows), maps.Clone(to.damaged)
	p.stands, p.tenure = to.stands, to.tenure
	p.medium.pending, p.unaware = pending{}, nil
	p.moved = place == "" || place != to.place
	if p.closed = crashed; to.closed {
		p.closed = closed
	}
	p.begin()
	p.forgot(before)
	r.emptied(p.node)
	if r.plan.retires {
		r.heritage.lost[p.node] = true
	}
}

// emptied takes note that a node may have lost what it had agreed to forget.
func (r *run) emptied(n *node) { r.ownersEmptied = r.ownersEmptied || n.owner && r.plan.collects }

// checkGuard checks that a store which cannot tell that it was restored can as soon as it is told of an event that it
// had numbered since. eventful are the types that have any.
func (p *replica) checkGuard(l *ledger, part shadow) {
	if p.unaware == nil {
		return
	}
	var numbered bitset
	for _, c := range []component{bounded, mv, log, orset, rwset, ewflag, dwflag, ormap} {
		numbered = numbered.union(l.of[c])
	}
	for w := range p.run.missing(p.node) {
		if w.ledger != l {
			continue
		}
		own := w.effect.live().intersect(numbered)
		if seen := own.intersect(part.seen); len(seen) > 0 {
			p.run.fail(identityWrong, l.key, "%s was restored, has met %v that it had written, and is who it was", p.node.id, seen)
		}
	}
}

// mute reports whether clients do not write here: the store does not know that it was restored.
func (p *replica) mute() bool {
	for w := range p.run.missing(p.node) {
		if !p.has(w.ledger, w.effect) {
			return true
		}
	}
	return false
}

package pbs

// A Live is what a coordinator measures of one replica, or of several that are alike: round trips, from
// the moment at which it asked. The zero Live is ready, and must not be copied; its
// histograms are safe for concurrent use.
//
// What never answered is not in it. A round trip that was measured until it timed out should be
// recorded as that: without it the tail is too short, and the prediction too good.
type Live struct {
	Writes, Reads Histogram // W+A and R+S
}

// A Split says how a round trip is divided into the way there and the way back, which a
// single clock cannot tell. It decides on consistency, much: see the package. Latencies hardly depend on
// it, since the sums are as they were measured.
type Split uint8

const (
	// Alike takes both ways of a read to be independent and distributed alike, and an
	// acknowledgement to take as long as an answer; what writes take beyond that, on a disk say, is
	// before the replica has them. Where that contradicts what was measured, because writes are
	// quicker than reads, they are divided as by Stalest.
	Alike Split = iota
	// Halves has both ways of one round trip take equally long: so it is where a
	// link is slow for a while, and not a message.
	Halves
	// Stalest has a write be under way for all of its round trip, and a read look at
	// once. No split of the same round trips is less consistent, where those of reads and of writes are independent:
	// a bound. It is none where a replica that is slow to write is quick to read for a while.
	Stalest
	// Freshest has a write arrive at once, and a read look just before it is answered: the
	// bound on the other side, likewise.
	Freshest
)

// Legs returns what was measured so far, divided. It costs some microseconds, and by Alike up to 0.1 s and
// 4 MB. How sure that is says [Live.Redrawn].
//
// With two clocks that agree, record one-way times in four histograms instead, and use
// these for the [Legs].
func (l *Live) Legs(s Split) Legs {
	w, r := l.observed()
	return divide(w, r, s)
}

// observed is what was counted so far: by a nil one nothing.
func (l *Live) observed() (writes, reads *Observed) {
	if l == nil {
		return nil, nil
	}
	return l.Writes.Observed(), l.Reads.Observed()
}

func divide(w, r *Observed, s Split) Legs {
	switch s {
	case Halves:
		return Legs{Write: Scaled{w, 0.5}, Read: Scaled{r, 0.5}}
	case Stalest:
		return Legs{Write: w, Ack: Constant(0), Read: Constant(0), Response: r}
	case Freshest:
		return Legs{Write: Constant(0), Ack: w, Read: r, Response: Constant(0)}
	}
	return alike(w, r)
}

func alike(w, r *Observed) Legs {
	if w.Count() == 0 || r.Count() == 0 {
		return Legs{Write: w, Read: r} // which a Model refuses
	}
	legs := Legs{Write: w, Ack: Constant(0), Read: Constant(0), Response: r}
	back, ok := r.less(nil)
	if !ok {
		return legs
	}
	legs.Read, legs.Response = back, back
	if out, ok := w.less(back); ok {
		legs.Write, legs.Ack = out, back
	}
	return legs
}

// Rotate rotates both histograms.
func (l *Live) Rotate() {
	l.Writes.Rotate()
	l.Reads.Rotate()
}

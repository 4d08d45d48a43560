package caspaxos

// A pledge is what an acceptor knows of promises. Each was made to a ballot by somebody who held some proposal then, and
// has told its proposer of that. Think of the set of all such pairs that the acceptor has heard of, and of the greatest
// proposal that it knows to be held by anybody: both only grow, so they are a lattice. A pledge is what matters of them,
// and as much of the union is found from those of two sets, so it is one, too:
//
//   - of two that know of the same proposal the greater blind is that of the union;
//   - who knows of an earlier one knows of no promise by anybody who held the later one, so all of its promises are
//     blind to that, and it is the greatest that counts.
type pledge struct {
	promised Ballot // the greatest promise, no less than known
	known    Ballot // the greatest proposal that somebody held when he promised or accepted
	blind    Ballot // the greatest promise after known by who held an earlier proposal, or none; zero if there is none
}

// join returns what matters of both.
func (p pledge) join(o pledge) pledge {
	if c := p.known.Compare(o.known); c < 0 {
		p.known, p.blind = o.known, latest(p.promised, o.blind)
	} else if c > 0 {
		p.blind = latest(p.blind, o.promised)
	} else {
		p.blind = latest(p.blind, o.blind)
	}
	p.promised = latest(p.promised, o.promised)
	if !p.known.before(p.blind) {
		p.blind = Ballot{}
	}
	return p
}

// wrong reports whether no acceptor has ever known just this.
func (p pledge) wrong() bool {
	return p.promised.before(p.known) || p.promised.before(p.blind) || !p.blind.IsZero() && !p.known.before(p.blind)
}

package ring

import (
	"cmp"
	"slices"
)

// Change returns the ring of the next epoch, by which the members are to be others, or
// the replicas more or fewer (0: as many as now). Until that is over each partition whose owners
// change is held by those of before and by the next ones; everything else stays as it is.
//
// It keeps what it can. A member that comes moves to it what it is to have, and no more,
// as long as the zones' shares stay what they are. A member that comes while another one of the same zone
// and weight goes takes its place: it gets exactly its partitions. The receiver stays as
// it is.
//
// Equal rings give equal rings. The error is [ErrChanging], or is or joins [*ConfigError]s. The time is
// in proportion to partitions times members.
func (r *Ring) Change(members []Member, replicas int) (*Ring, error) {
	switch {
	case r.empty():
		return nil, errEmpty
	case r.changing:
		return nil, ErrChanging
	}
	now, err := newGroup(len(r.parts), members, cmp.Or(replicas, r.now.replicas))
	if err != nil {
		return nil, err
	}
	next := &Ring{epoch: r.epoch + 1, now: now, before: r.now, changing: true, parts: make([]part, len(r.parts))}
	if err := next.unite(); err != nil {
		return nil, err
	}
	old, wanted := next.indices(r.nodes), next.indices(now.members)
	for p, owners := range assign(&now, r.inherit(&now)) {
		n := &next.parts[p]
		n.owners, n.version = mapped(r.parts[p].owners, old), r.parts[p].version
		if owners = mapped(owners, wanted); !slices.Equal(owners, n.owners) {
			n.next, n.version = owners, next.epoch
		}
	}
	return next.finish(), nil
}

// unite sets the nodes of a ring that changes.
func (r *Ring) unite() error {
	r.nodes = slices.Clone(r.now.members)
	for _, m := range r.before.members {
		if _, stays := r.now.find(m.ID); !stays {
			r.nodes = append(r.nodes, m)
		}
	}
	slices.SortFunc(r.nodes, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	if len(r.nodes) > min(maxMembers, maxRanks/len(r.parts)) {
		return &ConfigError{Reason: "too many members, of before and after, for so many partitions"}
	}
	return nil
}

// indices says which nodes of the ring members are.
func (r *Ring) indices(members []Member) []uint16 {
	out := make([]uint16, len(members))
	for i, m := range members {
		out[i], _ = r.node(m.ID)
	}
	return out
}

func mapped(nodes, to []uint16) []uint16 {
	out := make([]uint16, len(nodes))
	for i, n := range nodes {
		out[i] = to[n]
	}
	return out
}

// inherit returns who has each partition of those there will be, where a member that comes
// has what the one had whose place it takes.
func (r *Ring) inherit(now *group) [][]uint16 {
	heir := r.heirs(now)
	out := make([][]uint16, len(r.parts))
	for p := range r.parts {
		for _, n := range r.parts[p].owners {
			if h := heir[n]; h >= 0 {
				out[p] = append(out[p], uint16(h))
			}
		}
		slices.Sort(out[p])
	}
	return out
}

// heirs says, for each node, which member goes on with its partitions: itself, or one that
// comes, or none.
func (r *Ring) heirs(now *group) []int {
	heir := make([]int, len(r.nodes))
	taken := make([]bool, len(now.members))
	for n, m := range r.nodes {
		i, ok := slices.BinarySearchFunc(now.members, m.ID, byID)
		heir[n] = -1
		if ok {
			heir[n], taken[i] = i, true
		}
	}
	for n, m := range r.nodes {
		if heir[n] >= 0 {
			continue
		}
		i := slices.IndexFunc(now.members, func(c Member) bool {
			i, _ := slices.BinarySearchFunc(now.members, c.ID, byID)
			_, was := r.now.find(c.ID)
			return !taken[i] && !was && c.Zone == m.Zone && c.Weight == m.Weight
		})
		if i >= 0 {
			heir[n], taken[i] = i, true
		}
	}
	return heir
}

// Settle returns the settled ring of the next epoch that a change leads to: the next owners are
// the owners. It is for [Transition], which knows when everything is where it has to be. Whoever
// settles before loses writes. The error is [ErrSettled].
func (r *Ring) Settle() (*Ring, error) {
	if r.empty() || !r.changing {
		return nil, ErrSettled
	}
	return r.end(r.now, func(p *part) []uint16 { return p.next }), nil
}

// Abort returns the settled ring of the next epoch in which everything is as it was before the
// change. The error is [ErrSettled].
func (r *Ring) Abort() (*Ring, error) {
	if r.empty() || !r.changing {
		return nil, ErrSettled
	}
	return r.end(r.before, func(p *part) []uint16 { return p.owners }), nil
}

// end ends a change. A partition that was changing gets the owners given, all others have
// them already.
func (r *Ring) end(g group, owners func(*part) []uint16) *Ring {
	s := &Ring{epoch: r.epoch + 1, now: g, nodes: g.members, parts: make([]part, len(r.parts))}
	to := s.indices(r.nodes)
	for i := range r.parts {
		p := &r.parts[i]
		if len(p.next) == 0 {
			s.parts[i] = part{owners: mapped(p.owners, to), version: p.version}
			continue
		}
		s.parts[i] = part{owners: mapped(owners(p), to), version: s.epoch}
	}
	return s.finish()
}

// follows reports whether r is what comes after another ring: a change of it, or the end of
// the change that it is in.
func (r *Ring) follows(before *Ring) bool {
	switch {
	case r.epoch != before.epoch+1 || r.changing == before.changing || len(r.parts) != len(before.parts):
		return false
	case before.changing:
		s, _ := before.Settle()
		a, _ := before.Abort()
		return r.print == s.print || r.print == a.print
	}
	for p := range r.parts {
		if !r.sameOwners(before, p) {
			return false
		}
	}
	return true
}

// sameOwners reports whether a partition has the owners that it has in another ring, and a
// version that follows from there.
func (r *Ring) sameOwners(before *Ring, p int) bool {
	a, b := &r.parts[p], &before.parts[p]
	if len(a.owners) != len(b.owners) || len(a.next) == 0 && a.version != b.version {
		return false
	}
	for i := range a.owners { // ascending by ID in both
		if r.nodes[a.owners[i]].ID != before.nodes[b.owners[i]].ID {
			return false
		}
	}
	return true
}

package ring

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A Ring says which members hold which keys. It is immutable, and safe for concurrent use.
//
// The positions of keys are divided into partitions of equal size, each of them held by as
// many members as there are replicas. A ring is settled, or changing: then some partitions will
// be held by others once the change is over, and until then by both.
//
// The zero Ring has no partitions, and nobody holds anything by it. It is no ring to adopt or
// to change.
type Ring struct {
	epoch    uint64
	now      group    // the members, or those there will be
	before   group    // those there were, while the ring changes
	nodes    []Member // all of them, by ID
	parts    []part
	changing bool

	places  []quorum.Placement // by partition
	encoded []byte
	print   Fingerprint
}

// A part is one partition: indices into nodes, ascending.
type part struct {
	owners, next []uint16 // next is empty unless it differs from owners
	version      uint64
}

// final is who will hold the partition.
func (p *part) final() []uint16 {
	if len(p.next) > 0 {
		return p.next
	}
	return p.owners
}

func (p *part) has(node uint16) bool {
	return slices.Contains(p.owners, node) || slices.Contains(p.next, node)
}

// New returns the first ring of a cluster, of epoch 1. Equal configurations give equal rings,
// on all platforms. It takes time in proportion to partitions times members. The error is, or
// joins, [*ConfigError]s.
func New(c Config) (*Ring, error) {
	partitions := cmp.Or(c.Partitions, 256)
	if err := checkPartitions(partitions); err != nil {
		return nil, err
	}
	now, err := newGroup(partitions, c.Members, c.Replicas)
	if err != nil {
		return nil, err
	}
	r := &Ring{epoch: 1, now: now, nodes: now.members, parts: make([]part, partitions)}
	for p, owners := range assign(&now, make([][]uint16, partitions)) {
		r.parts[p] = part{owners: owners, version: 1}
	}
	return r.finish(), nil
}

// finish computes what follows from the rest.
func (r *Ring) finish() *Ring {
	r.place()
	r.encoded = r.encode(nil)
	r.print = printOf(r.encoded)
	return r
}

// Epoch is the number of the ring: 1 for the first, 2 more for each change that is over.
func (r *Ring) Epoch() uint64 { return r.epoch }

// Changing reports whether a change is under way.
func (r *Ring) Changing() bool { return r.changing }

// Members returns the members, by ID; while the ring changes, those that go and those that
// come as well.
func (r *Ring) Members() []Member { return slices.Clone(r.nodes) }

// Partitions is how many there are, a power of two.
func (r *Ring) Partitions() int { return len(r.parts) }

// Replicas is how many members are to hold a key, now or once the change is over. Where there
// are fewer members, all do.
func (r *Ring) Replicas() int { return r.now.replicas }

// Partition returns the partition of a position, 0 of the zero Ring.
func (r *Ring) Partition(pos merkle.Position) int {
	return int(uint64(pos) >> 1 >> (63 - r.bits()))
}

// bits is how many of a position say which partition it is in.
func (r *Ring) bits() int { return bits.Len(uint(len(r.parts)) >> 1) }

// empty reports whether this is no ring.
func (r *Ring) empty() bool { return r == nil || len(r.parts) == 0 }

// Range returns the positions of a partition; if there is no such partition, a range that contains
// none.
func (r *Ring) Range(partition int) merkle.Range {
	if uint(partition) >= uint(len(r.parts)) {
		return merkle.Range{From: 1, To: 0}
	}
	return r.span(partition, partition)
}

// span is the positions of neighbouring partitions, the last included.
func (r *Ring) span(from, to int) merkle.Range {
	shift := 63 - r.bits()
	first := uint64(from) << 1 << shift
	last := uint64(to)<<1<<shift | (uint64(1)<<shift<<1 - 1)
	return merkle.Range{From: merkle.Position(first), To: merkle.Position(last)}
}

// Place returns who holds the key of a position. It allocates nothing; what it returns is
// shared and must not be changed.
func (r *Ring) Place(pos merkle.Position) quorum.Placement { return r.At(r.Partition(pos)) }

// At returns who holds a partition, as Place does; nobody, if there is no such partition. Its Version
// is the epoch of the ring in which its Owners or Next, in whatever order, were others than before.
func (r *Ring) At(partition int) quorum.Placement {
	if uint(partition) >= uint(len(r.places)) {
		return quorum.Placement{}
	}
	return r.places[partition]
}

// node returns the index of a node.
func (r *Ring) node(id transport.NodeID) (uint16, bool) {
	i, ok := slices.BinarySearchFunc(r.nodes, id, byID)
	return uint16(i), ok
}

// Owns reports whether a node holds a partition, or will when the change is over.
func (r *Ring) Owns(node transport.NodeID, partition int) bool {
	n, ok := r.node(node)
	return ok && uint(partition) < uint(len(r.parts)) && r.parts[partition].has(n)
}

// Ranges returns the positions of all partitions that a node holds or will hold, ascending;
// those that meet are one.
func (r *Ring) Ranges(node transport.NodeID) []merkle.Range { return r.Shared(node, node) }

// Shared returns the positions of all partitions that two nodes both hold or will hold,
// ascending; those that meet are one.
func (r *Ring) Shared(a, b transport.NodeID) []merkle.Range {
	i, ok := r.node(a)
	j, also := r.node(b)
	if !ok || !also {
		return nil
	}
	return r.ranges(func(p int) bool { return r.parts[p].has(i) && r.parts[p].has(j) })
}

// ranges returns the positions of some partitions.
func (r *Ring) ranges(of func(partition int) bool) []merkle.Range {
	var out []merkle.Range
	for p := 0; p < len(r.parts); p++ {
		if !of(p) {
			continue
		}
		first := p
		for p+1 < len(r.parts) && of(p+1) {
			p++
		}
		out = append(out, r.span(first, p))
	}
	return out
}

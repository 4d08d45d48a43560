package ring

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/transport"
)

// A ring is [version, epoch, group, group or nil, parts]; a group is [replicas, members], a
// member [id, zone, weight], a part [version, owners, next]. Owners are given by
// their places in the list of all nodes by ID.
const formatVersion = 1

// maxEpoch is above any that changes lead to, and leaves those that follow below the version by which a node
// has no ring: see [Keeper.Place].
const maxEpoch = 1 << 63

// ErrVersion says that bytes are of a newer format than this program knows. They are not
// damaged: keep them.
var ErrVersion = errors.New("ring: encoded in a newer format")

// A CorruptError says that bytes are no ring, no saved state or no message of this package.
type CorruptError struct {
	What   string // "ring", "saved state", "request" or "response"
	Offset int    // bytes from the start of the input to where it was noticed
	Reason string // lower case, no trailing full stop
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("ring: corrupt %s: %s at offset %d", e.What, e.Reason, e.Offset)
}

// A Fingerprint is a hash of all that is in a ring: rings of one fingerprint are equal.
type Fingerprint [16]byte

// String returns the fingerprint in hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

func printOf(b []byte) Fingerprint {
	sum := sha256.Sum256(b)
	return Fingerprint(sum[:])
}

// Fingerprint returns the first half of the SHA-256 of the ring's encoding.
func (r *Ring) Fingerprint() Fingerprint { return r.print }

// AppendBinary appends the ring's encoding to b. Equal rings have equal bytes, on all platforms.
// The error is always nil.
func (r *Ring) AppendBinary(b []byte) ([]byte, error) { return append(b, r.encoded...), nil }

func (r *Ring) encode(b []byte) []byte {
	w := wire.NewWriter(b)
	w.Array(5)
	w.Uint(formatVersion)
	w.Uint(r.epoch)
	r.now.encode(w)
	if r.changing {
		r.before.encode(w)
	} else {
		w.Nil()
	}
	w.Array(len(r.parts))
	for i := range r.parts {
		p := &r.parts[i]
		w.Array(3)
		w.Uint(p.version)
		encodeNodes(w, p.owners)
		encodeNodes(w, p.next)
	}
	return w.Done()
}

func (g *group) encode(w *wire.Writer) {
	w.Array(2)
	w.Uint(uint64(g.replicas))
	w.Array(len(g.members))
	for _, m := range g.members {
		w.Array(3)
		w.String(string(m.ID))
		w.String(m.Zone)
		w.Float(m.Weight)
	}
}

func encodeNodes(w *wire.Writer, nodes []uint16) {
	w.Array(len(nodes))
	for _, n := range nodes {
		w.Uint(uint64(n))
	}
}

// Decode returns the ring that [Ring.AppendBinary] encoded, and takes no other bytes. It keeps
// no reference to them. What it takes is in proportion to partitions times members, as for [New],
// of which there are at most 2^25. The error is a [*CorruptError], or is [ErrVersion].
func Decode(data []byte) (*Ring, error) {
	r := new(Ring)
	if err := r.decode(data); err != nil {
		return nil, corrupt("ring", err)
	}
	return r.finish(), nil
}

func corrupt(what string, err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &CorruptError{What: what, Offset: e.Offset, Reason: e.Reason}
	}
	return err
}

// open reads the head of an encoding with so many fields, of which the version is the first.
func open(data []byte, version uint64, fields int) (*wire.Reader, error) {
	d, err := wire.NewReader(data)
	if err != nil {
		return nil, err
	}
	n := d.Array()
	v := d.Uint()
	switch {
	case d.Err() != nil:
	case v > version:
		return nil, ErrVersion
	case v != version || n != fields:
		d.Fail("not of this version")
	}
	return d, d.Err()
}

func (r *Ring) decode(data []byte) error {
	d, err := open(data, formatVersion, 5)
	if err != nil {
		return err
	}
	r.epoch = d.Uint()
	r.now = decodeGroup(d)
	if r.changing = !d.IsNil(); r.changing {
		r.before = decodeGroup(d)
	}
	r.parts = make([]part, d.Array())
	if err := r.checkHead(d); err != nil {
		return err
	}
	owners, next := r.now.owners(), 0
	if r.changing {
		owners, next = r.before.owners(), r.now.owners()
	}
	for i := range r.parts {
		r.parts[i] = r.decodePart(d, owners, next)
		if d.Err() != nil {
			return d.Err()
		}
	}
	return d.Close()
}

func decodeGroup(d *wire.Reader) (g group) {
	d.ArrayOf(2)
	g.replicas = int(min(d.Uint(), MaxReplicas+1))
	g.members = make([]Member, d.Array())
	for i := range g.members {
		d.ArrayOf(3)
		g.members[i] = Member{transport.NodeID(d.String()), d.String(), d.Float()}
		if i > 0 && g.members[i-1].ID >= g.members[i].ID {
			d.Fail("members out of order")
		}
		if d.Err() != nil {
			return group{}
		}
	}
	return g
}

// checkHead checks everything but the partitions, and sets the nodes.
func (r *Ring) checkHead(d *wire.Reader) error {
	if err := d.Err(); err != nil {
		return err
	}
	check := func(err error) {
		if err != nil {
			d.Fail(err.Error())
		}
	}
	if err := checkPartitions(len(r.parts)); err != nil {
		check(err)
		return d.Err()
	}
	check(r.now.check(len(r.parts)))
	r.nodes = r.now.members
	if r.changing {
		check(r.before.check(len(r.parts)))
		check(r.unite())
	}
	if r.epoch == 0 || r.epoch > maxEpoch || r.changing != (r.epoch%2 == 0) {
		d.Fail("epoch does not fit")
	}
	return d.Err()
}

func (r *Ring) decodePart(d *wire.Reader, owners, next int) (p part) {
	d.ArrayOf(3)
	p.version = d.Uint()
	of := &r.now
	if r.changing {
		of = &r.before
	}
	p.owners = r.decodeNodes(d, of)
	p.next = r.decodeNodes(d, &r.now)
	switch changes := len(p.next) > 0; {
	case p.version == 0 || p.version > r.epoch || changes && p.version != r.epoch:
		d.Fail("version does not fit the epoch")
	case len(p.owners) != owners || changes && len(p.next) != next || changes && !r.changing:
		d.Fail("more or fewer owners than there must be")
	case slices.Equal(p.owners, p.next):
		d.Fail("next owners are no others")
	case r.changing && !changes && !r.stay(p.owners, next):
		d.Fail("owners go and nobody follows")
	}
	return p
}

// stay reports whether owners can be those of after the change.
func (r *Ring) stay(owners []uint16, next int) bool {
	for _, n := range owners {
		if _, ok := r.now.find(r.nodes[n].ID); !ok {
			return false
		}
	}
	return len(owners) == next
}

func (r *Ring) decodeNodes(d *wire.Reader, of *group) []uint16 {
	out := make([]uint16, d.Array())
	for i := range out {
		n := d.Uint()
		if d.Err() != nil {
			return nil
		}
		if n >= uint64(len(r.nodes)) || i > 0 && uint16(n) <= out[i-1] {
			d.Fail("owners out of order")
			return nil
		}
		if _, ok := of.find(r.nodes[n].ID); !ok {
			d.Fail("owner is no member")
			return nil
		}
		out[i] = uint16(n)
	}
	return out
}

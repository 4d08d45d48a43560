package crdt

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/eventual-go/eventual/internal/large"
)

// Fingerprint returns a fingerprint of 128 bits: values are equal if and only if their fingerprints are, unless
// hashes collide. It is the sum, modulo 2^128, of the hashes of all parts of all components (see [Decomposable]; a
// component that is none is one part, its encoding; WIRE.md has the bytes). So hash should be keyed and hard to tell from random: then who
// does not know the key cannot construct values with one fingerprint (Bellare, Micciancio, "A New Paradigm for
// Collision-Free Hashing", 1997, section 5; the key makes 128 bits enough).
//
// A component of many parts is hashed whole once, and from then on its sum is kept up to date by what changes, also
// when it is changed by itself. So all calls for one value must be given one hash, which may not touch the value and
// must not keep its argument; and to call it counts as changing the value, for whoever reads it at the same time.
// The empty value has the fingerprint 0.
//
// It fails if something in the value cannot be encoded.
func (v *Value) Fingerprint(hash func(part []byte) (hi, lo uint64)) (hi, lo uint64, err error) {
	var total sum
	for _, c := range v.list() {
		part, err := c.sum(hash)
		if err != nil {
			return 0, 0, err
		}
		total.add(part.hi, part.lo, 1)
	}
	return total.hi, total.lo, nil
}

// sum is a sum of hashes.
type sum struct {
	hi, lo uint64
	told   int // how many parts were told, those that went included
	parts  int // how many there are, about: of a context one for each replica
}

// add adds a hash n times, or takes it away if n is negative.
func (s *sum) add(hi, lo uint64, n int) {
	s.told++
	s.parts += n
	for ; n > 0; n-- {
		var carry uint64
		s.lo, carry = bits.Add64(s.lo, lo, 0)
		s.hi += hi + carry
	}
	for ; n < 0; n++ {
		var borrow uint64
		s.lo, borrow = bits.Sub64(s.lo, lo, 0)
		s.hi -= hi + borrow
	}
}

// partsVersion comes first in what is hashed: it changes when parts do.
const partsVersion = 1

// sum returns the sum of the hashes of the parts, each under the tag of the kind.
func (c *boxed[P]) sum(hash func([]byte) (hi, lo uint64)) (sum, error) {
	d, ok := any(c.state).(Decomposable[P])
	if !ok {
		return c.sumWhole(hash)
	}
	if c.tracker != nil && c.tracker.Lost() == nil && d.TrackedBy(c.tracker) {
		return *c.kept, nil
	}
	c.kept, c.tracker = nil, nil
	kept := new(sum)
	report := kept.under(c.def.tag, hash)
	if err := d.Decompose(report); err != nil {
		return sum{}, err
	}
	if kept.told >= large.Parts {
		c.kept, c.tracker = kept, NewTracker[P](report)
		d.Track(c.tracker)
	}
	return *kept, nil
}

// sumWhole takes the encoding of a state that is no Decomposable for its one part.
func (c *boxed[P]) sumWhole(hash func([]byte) (hi, lo uint64)) (s sum, err error) {
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	b := appendPartHead((*buf)[:0], c.def.tag)
	head := len(b)
	b, err = c.state.AppendBinary(b)
	if err != nil {
		return s, err
	}
	if cap(b) <= roomyScratch {
		*buf = b
	}
	if !bytes.Equal(b[head:], c.def.bottom) {
		hi, lo := hash(b)
		s.add(hi, lo, 1)
	}
	return s, nil
}

// scratch is for what is written only to be hashed. Of that no more is kept than small states need.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

const roomyScratch = 1 << 12

// appendPartHead appends what comes before a part where it is hashed.
func appendPartHead(b []byte, tag uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, partsVersion), tag)
}

// under returns a function that adds the hash of a part under a tag.
func (s *sum) under(tag uint64, hash func([]byte) (hi, lo uint64)) func(part []byte, n int) {
	buf := appendPartHead(make([]byte, 0, 128), tag)
	head := len(buf)
	return func(part []byte, n int) {
		buf = append(buf[:head], part...)
		hi, lo := hash(buf)
		s.add(hi, lo, n)
	}
}

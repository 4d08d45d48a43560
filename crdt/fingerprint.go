package crdt

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Fingerprint returns a fingerprint of 128 bits: values are equal if and only if their fingerprints are, unless
// hashes collide. It is the sum, modulo 2^128, of the hashes of all parts of all components (see [Decomposable]; a
// component that is none is one part, its encoding). So hash should be keyed and hard to tell from random: then who
// does not know the key cannot construct values with one fingerprint (Bellare, Micciancio, "A New Paradigm for
// Collision-Free Hashing", 1997, section 5; the key makes 128 bits enough).
//
// A component of many parts is hashed whole once, and from then on its sum is kept up to date by what changes, also
// when it is changed by itself. So all calls for one value must be given one hash. It may not touch the value, and
// must not keep its argument. The empty value has the fingerprint 0.
//
// It fails if a component that is no Decomposable cannot be encoded.
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

// sum is a sum of hashes, and how many parts there are in it.
type sum struct {
	hi, lo uint64
	parts  int
}

// add adds a hash n times, or takes it away if n is negative.
func (s *sum) add(hi, lo uint64, n int) {
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

// manyParts is from how many parts on a component keeps its sum: hashing few costs less than following each change.
const manyParts = 64

// sum returns the sum of the hashes of the parts, each under the tag of the kind.
func (c *boxed[P]) sum(hash func([]byte) (hi, lo uint64)) (sum, error) {
	if c.kept != nil {
		return *c.kept, nil
	}
	kept := new(sum)
	report := kept.under(c.def.tag, hash)
	d, ok := any(c.state).(Decomposable)
	if !ok {
		b, err := c.state.AppendBinary(nil)
		if err == nil && !bytes.Equal(b, c.def.bottom) {
			report(b, 1)
		}
		return *kept, err
	}
	d.Decompose(report)
	if kept.parts >= manyParts {
		d.Track(report)
		c.kept = kept
	}
	return *kept, nil
}

// under returns a function that adds the hash of a part under a tag.
func (s *sum) under(tag uint64, hash func([]byte) (hi, lo uint64)) func(part []byte, n int) {
	buf := binary.BigEndian.AppendUint64(nil, tag)
	return func(part []byte, n int) {
		buf = append(buf[:8], part...)
		hi, lo := hash(buf)
		s.add(hi, lo, n)
	}
}

package merkle

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// Fingerprint is a 128-bit keyed hash, or a sum of such hashes.
//
// Fingerprints form the additive group of the integers modulo 2^128: the
// fingerprint of a set is the sum of its elements' fingerprints, so an element
// is added or taken away at constant cost, in any order. The zero Fingerprint
// is the sum of nothing. Fingerprints compare with ==.
type Fingerprint struct{ Hi, Lo uint64 }

// Add returns f + g.
func (f Fingerprint) Add(g Fingerprint) Fingerprint {
	lo, carry := bits.Add64(f.Lo, g.Lo, 0)
	hi, _ := bits.Add64(f.Hi, g.Hi, carry)
	return Fingerprint{Hi: hi, Lo: lo}
}

// Sub returns f − g: what is left of the sum f when g is taken out of it.
func (f Fingerprint) Sub(g Fingerprint) Fingerprint {
	lo, borrow := bits.Sub64(f.Lo, g.Lo, 0)
	hi, _ := bits.Sub64(f.Hi, g.Hi, borrow)
	return Fingerprint{Hi: hi, Lo: lo}
}

// IsZero reports whether f is the sum of nothing.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// Bytes returns the 16 bytes of f, most significant first.
func (f Fingerprint) Bytes() [16]byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], f.Hi)
	binary.BigEndian.PutUint64(b[8:], f.Lo)
	return b
}

// String returns f as 32 hexadecimal digits.
func (f Fingerprint) String() string {
	b := f.Bytes()
	return hex.EncodeToString(b[:])
}

// fingerprintOf reads the first 16 bytes of b.
func fingerprintOf(b []byte) Fingerprint {
	return Fingerprint{Hi: binary.BigEndian.Uint64(b), Lo: binary.BigEndian.Uint64(b[8:])}
}

// A short fingerprint is the last few bytes of a whole one. Cutting off high
// bytes keeps the group's addition, so a short sum is a sum of short ones.
type short [16]byte

// short returns the last width bytes of f, left-padded with zeros, so that
// values of one width compare as values and in numeric order.
func (f Fingerprint) short(width int) short {
	s := short(f.Bytes())
	clear(s[:len(s)-width])
	return s
}

func (s short) append(dst []byte, width int) []byte {
	return append(dst, s[len(s)-width:]...)
}

func shortOf(b []byte) (s short) {
	copy(s[len(s)-len(b):], b)
	return s
}

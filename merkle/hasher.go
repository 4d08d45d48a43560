package merkle

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Hasher computes positions and fingerprints under a secret. Trees can be
// compared only if their hashers have the same secret. A Hasher is immutable
// and safe for concurrent use.
//
// Each of its functions is SipHash-2-4 under a 128-bit key of its own, with 64
// bits of output for positions and 128 for fingerprints. The three keys are
// derived from the secret by SHA-256. See the package documentation for what
// that protects.
type Hasher struct {
	position hashKey
	element  hashKey
	sum      hashKey
	id       uint32   // names the secret; does not reveal it
	mask     Position // which bits of a position count: all but in tests
	idMask   uint64   // which bits of an id count: all but in tests
}

type hashKey struct{ k0, k1 uint64 }

// NewHasher returns the Hasher of a secret of any length; nothing keeps the
// slice. Use at least 16 random bytes, the same on all replicas. A nil or
// known secret gives a Hasher that works and protects against nobody.
func NewHasher(secret []byte) *Hasher {
	return &Hasher{
		position: derive(secret, "position"),
		element:  derive(secret, "element"),
		sum:      derive(secret, "sum"),
		id:       uint32(derive(secret, "id").k0),
		mask:     Full.To,
		idMask:   1<<64 - 1,
	}
}

func derive(secret []byte, purpose string) hashKey {
	label := append([]byte("eventual/merkle/2/"+purpose), 0)
	sum := sha256.Sum256(append(label, secret...))
	return hashKey{binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}
}

// hash is SipHash-2-4-128 of b; its first half becomes the high one.
func (k hashKey) hash(b []byte) Fingerprint {
	hi, lo := siphash.Hash128(k.k0, k.k1, b)
	return Fingerprint{Hi: hi, Lo: lo}
}

// Position returns where key stands in a tree.
func (h *Hasher) Position(key string) Position {
	var room [128]byte
	k := h.position
	return Position(siphash.Hash(k.k0, k.k1, append(room[:0], key...))) & h.mask
}

// Sum returns the fingerprint of b, for those who have no better fingerprint
// of a state than a hash of its bytes. It does not keep b.
func (h *Hasher) Sum(b []byte) Fingerprint { return h.sum.hash(b) }

// Element returns the fingerprint of key being in a state: what a [Tree] holds
// for the key after Set(key, state). It binds the two together: states swapped
// between two keys do not cancel.
func (h *Hasher) Element(key string, state Fingerprint) Fingerprint {
	var room [128]byte
	b := binary.BigEndian.AppendUint64(room[:0], state.Hi)
	b = binary.BigEndian.AppendUint64(b, state.Lo)
	return h.element.hash(append(b, key...))
}

// sketchID is the 64-bit name under which a [Tree]'s sketch knows an element: the
// first half of its position, which leads back to it, and the last quarter of its
// fingerprint, which adds up as the sums of ranges do.
func (h *Hasher) sketchID(pos Position, element Fingerprint) uint64 {
	return (uint64(blockOf(pos).From) | uint64(uint32(element.Lo))) & h.idMask
}

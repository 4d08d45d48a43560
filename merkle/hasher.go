package merkle

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hasher computes positions and fingerprints under a secret. Trees can be
// compared only if their hashers have the same secret. A Hasher is immutable
// and safe for concurrent use.
//
// Each of its functions is SHA-256 over a 16-byte key followed by the input,
// cut to 64 or 128 bits. The three keys are derived from the secret, one for
// each function. See the package documentation for what that protects.
type Hasher struct {
	position hashKey
	element  hashKey
	sum      hashKey
	id       uint32   // names the secret; does not reveal it
	mask     Position // which bits of a position count: all but in tests
}

type hashKey [16]byte

// NewHasher returns the Hasher of a secret of any length; nothing keeps the
// slice. Use at least 16 random bytes, the same on all replicas. A nil or
// known secret gives a Hasher that works and protects against nobody.
func NewHasher(secret []byte) *Hasher {
	id := derive(secret, "id")
	return &Hasher{
		position: derive(secret, "position"),
		element:  derive(secret, "element"),
		sum:      derive(secret, "sum"),
		id:       binary.BigEndian.Uint32(id[:]),
		mask:     Full.To,
	}
}

func derive(secret []byte, purpose string) hashKey {
	label := append([]byte("eventual/merkle/1/"+purpose), 0)
	sum := sha256.Sum256(append(label, secret...))
	return hashKey(sum[:16])
}

// Position returns where key stands in a tree.
func (h *Hasher) Position(key string) Position {
	var room [128]byte
	sum := sha256.Sum256(append(append(room[:0], h.position[:]...), key...))
	return Position(binary.BigEndian.Uint64(sum[:])) & h.mask
}

// Sum returns the fingerprint of b, for those who have no better fingerprint
// of a state than a hash of its bytes. It does not keep b.
func (h *Hasher) Sum(b []byte) Fingerprint {
	if len(b) > sha256.BlockSize {
		d := sha256.New()
		d.Write(h.sum[:])
		d.Write(b)
		return fingerprintOf(d.Sum(nil))
	}
	var room [16 + sha256.BlockSize]byte
	sum := sha256.Sum256(append(append(room[:0], h.sum[:]...), b...))
	return fingerprintOf(sum[:])
}

// Element returns the fingerprint of key being in a state: what a [Tree] holds
// for the key after Set(key, state). It binds the two together: states swapped
// between two keys do not cancel.
func (h *Hasher) Element(key string, state Fingerprint) Fingerprint {
	var room [128]byte
	b := append(room[:0], h.element[:]...)
	b = binary.BigEndian.AppendUint64(b, state.Hi)
	b = binary.BigEndian.AppendUint64(b, state.Lo)
	sum := sha256.Sum256(append(b, key...))
	return fingerprintOf(sum[:])
}

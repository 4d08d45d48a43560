package vclock

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// ReplicaID names one writer incarnation for all time: whoever mints dots under an id is the only one who
// ever does. A writer that cannot prove that it still knows every dot it minted (a lost disk, a restored
// backup, a cloned folder) takes a new id.
//
// It is a comparable, pointer-free value of 16 bytes. The zero ReplicaID names nobody: it mints nothing,
// and clocks and contexts ignore it.
//
// Every id has one text, by which it prints and parses (see [ReplicaID.String]).
type ReplicaID struct{ hi, lo uint64 }

// Layout of an id: either the bytes of a name, padded with zero bytes; or a readable prefix, padded to
// prefixSize, and an opaque part; or, without a prefix, an opaque part alone. The first opaque byte is
// 0b10xxxxxx. A name is valid UTF-8 without a zero byte, where such a byte never follows whole characters
// or a zero byte, so no opaque id is ever the id of a name.
const (
	idSize     = 16
	prefixSize = 6
)

// Named is the id of a stable name, for tests and for writers whose identity is kept by other means: equal
// names give equal ids. A name of at most 16 bytes is kept as it is; a longer one, or one that is not text
// (invalid UTF-8, or with a zero byte), keeps a readable prefix of at most 6 bytes beside 78 bits of its
// SHA-256 (126 bits where no prefix is readable). Named("") is the zero ReplicaID.
func Named(name string) ReplicaID {
	var b [idSize]byte
	if len(name) <= idSize && isName(name) {
		copy(b[:], name)
		return ReplicaIDFrom(b)
	}
	sum := sha256.Sum256([]byte(name))
	return opaque(name, sum[:])
}

// NewReplicaID returns an id that nobody has had before: the readable prefix, of which at most the first 6
// bytes are kept, and 78 random bits; without a readable prefix, 126 random bits. Make one for each new
// incarnation of a writer and keep it as long as the state that it writes.
func NewReplicaID(prefix string) ReplicaID {
	var b [idSize]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return opaque(prefix, b[:])
}

// ReplicaIDFrom is the id of these 16 bytes, as [ReplicaID.Bytes] gives them.
func ReplicaIDFrom(b [16]byte) ReplicaID {
	return ReplicaID{hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:])}
}

// Bytes returns the id's 16 bytes. Their lexicographic order is the order of [ReplicaID.Compare].
func (r ReplicaID) Bytes() [16]byte {
	var b [idSize]byte
	binary.BigEndian.PutUint64(b[:8], r.hi)
	binary.BigEndian.PutUint64(b[8:], r.lo)
	return b
}

// Compare orders ids by their bytes: -1, 0 or +1. Names so come in the order of their text.
func (r ReplicaID) Compare(other ReplicaID) int {
	if c := cmp.Compare(r.hi, other.hi); c != 0 {
		return c
	}
	return cmp.Compare(r.lo, other.lo)
}

// IsZero reports whether the id is the zero ReplicaID, which names nobody.
func (r ReplicaID) IsZero() bool { return r == ReplicaID{} }

func (r ReplicaID) less(other ReplicaID) bool {
	return r.hi < other.hi || r.hi == other.hi && r.lo < other.lo
}

// opaque lays out a readable prefix of name and then as much of the entropy as fits.
func opaque(name string, entropy []byte) ReplicaID {
	var b [idSize]byte
	at := 0
	if copy(b[:prefixSize], readablePrefix(name)) > 0 {
		at = prefixSize
	}
	copy(b[at:], entropy)
	b[at] = b[at]&0b0011_1111 | 0b1000_0000
	return ReplicaIDFrom(b)
}

// readablePrefix is the longest start of name of whole readable characters in at most prefixSize bytes,
// without separators at its end.
func readablePrefix(name string) string {
	end := 0
	for end < len(name) {
		r, size := utf8.DecodeRuneInString(name[end:])
		if end+size > prefixSize || !isReadable(r, size) {
			break
		}
		end += size
	}
	return strings.TrimRight(name[:end], "-._:/")
}

// isName reports whether a string of at most 16 bytes can be kept as the bytes of an id.
func isName(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

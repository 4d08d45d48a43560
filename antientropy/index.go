package antientropy

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// This file is all that is used of package merkle.

const fingerprintSize = 16

// keysAt are the keys in one range with the fingerprints of their states, in
// ascending order of position. Nearly always there is at most one.
func keysAt(t *merkle.Tree, at merkle.Range) iter.Seq2[string, merkle.Fingerprint] {
	return t.Range(at)
}

// A hold is a key of our own, as a question about a range tells of it.
type hold struct {
	key  string // not sent
	sum  uint64 // the last half of its fingerprint
	seen []byte // if a part will do: sent apart
}

// heldAt is what to tell of a range: nothing if there is too much.
func heldAt(t *merkle.Tree, at merkle.Range) (own []hold) {
	for key, sum := range keysAt(t, at) {
		own = append(own, hold{key: key, sum: sum.Lo})
	}
	if len(own) > maxHeld {
		return nil
	}
	return own
}

// place is the same for all ranges that are told by the same 32 bits.
func place(at merkle.Range) uint32 { return uint32(at.From >> 32) }

// blockAt is the range that 32 bits tell.
func blockAt(place uint32) merkle.Range {
	from := merkle.Position(place) << 32
	return merkle.Range{From: from, To: from | (1<<32 - 1)}
}

func byPosition(a, b merkle.Range) int { return cmp.Compare(a.From, b.From) }

// initiate compares all if there are no ranges, nil or not.
func initiate(t *merkle.Tree, ranges []merkle.Range, maxMessage int) *merkle.Session {
	if len(ranges) == 0 {
		ranges = nil
	}
	return merkle.NewSession(t, merkle.SessionConfig{Ranges: ranges, MaxMessage: maxMessage})
}

// answer lets a fresh responder take one message: a message of a session says all
// that its answer needs.
func answer(t *merkle.Tree, maxMessage int, msg []byte) ([]byte, error) {
	return merkle.NewResponder(t, merkle.SessionConfig{MaxMessage: maxMessage}).Step(msg)
}

// take returns the ranges of the differences found since the last call, ascending.
func take(s *merkle.Session) []merkle.Range {
	found := s.Take()
	at := make([]merkle.Range, len(found))
	for i, d := range found {
		at[i] = d.Range
	}
	slices.SortFunc(at, byPosition)
	return at
}

func appendFingerprint(dst []byte, f merkle.Fingerprint) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, f.Hi), f.Lo)
}

func fingerprintFrom(b []byte) merkle.Fingerprint {
	return merkle.Fingerprint{Hi: binary.BigEndian.Uint64(b), Lo: binary.BigEndian.Uint64(b[8:])}
}

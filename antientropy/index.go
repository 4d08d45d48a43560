package antientropy

import (
	"encoding/binary"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// This file is all that is used of package merkle.

const fingerprintSize = 16

// keysAt are the keys at one position with the fingerprints of their states, in
// ascending order of the keys. Nearly always there is at most one.
func keysAt(t *merkle.Tree, p merkle.Position) iter.Seq2[string, merkle.Fingerprint] {
	return t.Range(merkle.Range{From: p, To: p})
}

// sumAt is the combined fingerprint of one position, keys and states.
func sumAt(t *merkle.Tree, p merkle.Position) merkle.Fingerprint {
	sum, _ := t.Sum(merkle.Range{From: p, To: p})
	return sum
}

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

// take returns the positions of the differences found since the last call,
// ascending.
func take(s *merkle.Session) []merkle.Position {
	found := s.Take()
	at := make([]merkle.Position, len(found))
	for i, d := range found {
		at[i] = d.Position
	}
	slices.Sort(at)
	return slices.Compact(at)
}

func appendFingerprint(dst []byte, f merkle.Fingerprint) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, f.Hi), f.Lo)
}

func fingerprintFrom(b []byte) merkle.Fingerprint {
	return merkle.Fingerprint{Hi: binary.BigEndian.Uint64(b), Lo: binary.BigEndian.Uint64(b[8:])}
}

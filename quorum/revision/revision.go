package revision

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// A Revision names what a key holds. Equal contents have equal revisions; two different ones share one with a probability
// of 2^-128, and somebody who computes 2^64 hashes can make two that do: see the package. The zero Revision is that of a
// key that holds nothing. It is comparable.
type Revision [16]byte

// of returns the revision of a content.
func of(content []byte) (r Revision) {
	if len(content) > 0 {
		sum := sha256.Sum256(content)
		copy(r[:], sum[:])
	}
	return r
}

// IsZero reports whether r is that of a key that holds nothing.
func (r Revision) IsZero() bool { return r == Revision{} }

var text = base64.RawURLEncoding.Strict()

// String returns 22 letters, digits, - and _, for [Parse]. In quotes it is a strong entity tag (RFC 9110, section 8.8.3).
func (r Revision) String() string { return text.EncodeToString(r[:]) }

// Parse returns the revision of a text as String makes it. The error is a [*SyntaxError].
func Parse(s string) (r Revision, err error) {
	if len(s) != text.EncodedLen(len(r)) {
		return r, &SyntaxError{Text: cut(s)}
	}
	b, err := text.DecodeString(s)
	if err != nil || len(b) != len(r) { // it passes over line breaks
		return r, &SyntaxError{Text: s}
	}
	return Revision(b), nil
}

// A SyntaxError says that a text is no revision.
type SyntaxError struct {
	Text string // its first 64 bytes
}

// Error says which text.
func (e *SyntaxError) Error() string { return fmt.Sprintf("revision: %q is none", e.Text) }

func cut(s string) string { return s[:min(len(s), 64)] }

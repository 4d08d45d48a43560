package vclock

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"unicode"
	"unicode/utf8"
)

const (
	rawDigits    = 2 * idSize
	opaqueDigits = 2 * (idSize - prefixSize)
)

// String returns the id's text. Every id has its own, and [ReplicaID.UnmarshalText] reads it back:
//
//	paris                        a name of up to 16 bytes
//	paris-9f3ac0e1d27b5a4c8e61   a prefix and an opaque part: 20 hexadecimal digits
//	8f1e…                        anything else: 32 hexadecimal digits
//	                             the zero id: the empty string
//
// The three forms differ in length, so a name never reads as another form.
func (r ReplicaID) String() string {
	var buf [rawDigits]byte
	return string(r.appendText(buf[:0]))
}

// AppendText appends the text of [ReplicaID.String] to b. The error is always nil.
func (r ReplicaID) AppendText(b []byte) ([]byte, error) { return r.appendText(b), nil }

// MarshalText returns the text of [ReplicaID.String], so that an id can be a value or a map key in JSON.
// The error is always nil.
func (r ReplicaID) MarshalText() ([]byte, error) { return r.appendText(nil), nil }

// UnmarshalText reads the text of any id. Where an id has several spellings (upper-case digits, or a name
// in digits) it takes them all. After an error the receiver is as it was.
func (r *ReplicaID) UnmarshalText(text []byte) error {
	b, ok := parseReplica(text)
	if !ok {
		return fmt.Errorf("vclock: %q is not the text of a replica id", text)
	}
	*r = ReplicaIDFrom(b)
	return nil
}

func (r ReplicaID) appendText(dst []byte) []byte {
	id := r.Bytes()
	if name := trimZeros(id[:]); areReadable(name) {
		return append(dst, name...)
	}
	if prefix := trimZeros(id[:prefixSize]); len(prefix) > 0 && areReadable(prefix) {
		dst = append(append(dst, prefix...), '-')
		return hex.AppendEncode(dst, id[prefixSize:])
	}
	return hex.AppendEncode(dst, id[:])
}

func parseReplica(text []byte) (id [idSize]byte, ok bool) {
	if len(text) <= idSize {
		copy(id[:], text)
		return id, isName(string(text))
	}
	if len(text) == rawDigits {
		_, err := hex.Decode(id[:], text)
		return id, err == nil
	}
	dash := len(text) - opaqueDigits - 1
	if dash < 1 || dash > prefixSize || text[dash] != '-' {
		return id, false
	}
	copy(id[:], text[:dash])
	_, err := hex.Decode(id[prefixSize:], text[dash+1:])
	return id, err == nil && isName(string(text[:dash]))
}

func trimZeros(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

// areReadable reports whether b is whole characters that print, without white space.
func areReadable(b []byte) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if !isReadable(r, size) {
			return false
		}
		b = b[size:]
	}
	return true
}

func isReadable(r rune, size int) bool {
	invalid := r == utf8.RuneError && size <= 1
	return !invalid && r != ' ' && unicode.IsPrint(r)
}

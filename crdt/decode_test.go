package crdt_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// id is an identity on the wire.
func id(r vclock.ReplicaID) []byte {
	b := r.Bytes()
	return append([]byte{0xc4, 16}, b[:]...)
}

func raw(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case rune:
			b = append(b, byte(p))
		case int:
			b = append(b, byte(p))
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// What is well-formed and yet no state is refused, each for its own reason.
func TestDecodersCheckTheMeaning(t *testing.T) {
	a, b, zero := id(idA), id(idB), id(vclock.ReplicaID{})
	most := []byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}
	for _, c := range []struct {
		decoder, reason string
		input           []byte
	}{
		{"GCounter", "entry without a count", raw(0x93, 1, 1, 0x93, a, 0, 0)},
		{"GCounter", "more reset than counted", raw(0x93, 1, 1, 0x93, a, 2, 3)},
		{"GCounter", "replicas out of order", raw(0x93, 1, 1, 0x96, b, 2, 0, a, 1, 0)},
		{"GCounter", "replicas out of order", raw(0x93, 1, 1, 0x93, zero, 2, 0)},
		{"GCounter", "replica identity must have 16 bytes", raw(0x93, 1, 1, 0x93, 0xc4, 1, 7, 2, 0)},
		{"GCounter", "incomplete record", raw(0x93, 1, 1, 0x92, a, 2)},
		{"GCounter", "format version 0", raw(0x93, 1, 0, 0x90)},
		{"GCounter", "wrong number of fields", raw(0x94, 1, 1, 0x90, 0x90)},
		{"PNCounter", "entry without a count", raw(0x93, 2, 1, 0x95, a, 0, 0, 0, 0)},
		{"PNCounter", "more reset than counted", raw(0x93, 2, 1, 0x95, a, 1, 0, 0, 1)},
		{"GSet", "elements out of order", raw(0x93, 3, 1, 0x92, 0xa1, 'b', 0xa1, 'a')},
		{"GSet", "elements out of order", raw(0x93, 3, 1, 0x92, 0xa1, 'a', 0xa1, 'a')},
		{"GSetInt", "integer out of range", raw(0x93, 3, 1, 0x91, 0xce, 0, 1, 0, 0)},
		{"ORSet", "incomplete run of events", raw(0x94, 4, 1, 0x91, 0x91, a, 0x90)},
		{"ORSet", "runs of events overlap", raw(0x94, 4, 1, 0x91, 0x95, a, 0, 0, 0, 0, 0x90)},
		{"ORSet", "runs of events overlap", raw(0x94, 4, 1, 0x91, 0x93, a, most, 0, 0x90)},
		{"ORSet", "runs of events overlap", raw(0x94, 4, 1, 0x91, 0x93, a, 1, most, 0x90)},
		{"ORSet", "element without dots", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x91, 0xa1, 'x')},
		{"ORSet", "no such replica", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x93, 0xa1, 'x', 1, 1)},
		{"ORSet", "dot outside of the context", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x93, 0xa1, 'x', 0, 2)},
		{"ORSet", "dot outside of the context", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x93, 0xa1, 'x', 0, 0)},
		{"ORSet", "dots out of order", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 1, 0x91, 0x95, 0xa1, 'x', 0, 2, 0, 1)},
		{"ORSet", "dot lives twice", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x92, 0x93, 0xa1, 'x', 0, 1, 0x93, 0xa1, 'y', 0, 1)},
		{"ORSet", "elements out of order", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 1, 0x92, 0x93, 0xa1, 'y', 0, 1, 0x93, 0xa1, 'x', 0, 2)},
		{"ORSetArray", "binary of another length", raw(0x94, 4, 1, 0x91, 0x93, a, 0, 0, 0x91, 0x93, 0xc4, 1, 'x', 0, 1)},
		{"LWWRegister", "wrong number of fields", raw(0x93, 5, 1, 0)},
		{"LWWRegister", "integer out of range", raw(0x95, 5, 1, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, a)},
		{"MVRegister", "dots out of order", raw(0x94, 6, 1, 0x91, 0x93, a, 0, 0, 0x96, 0, 1, 0xcb, make([]byte, 8), 0, 1, 0xcb, make([]byte, 8))},
		{"Value", "no states", raw(0x90)},
		{"Value", "incomplete record", raw(0x91, 1)},
		{"Value", "kinds out of order", raw(0x94, 1, bin(raw(0x93, 1, 1, 0x93, a, 1, 0)), 1, bin(raw(0x93, 1, 1, 0x93, a, 1, 0)))},
		{"Value", "empty state", raw(0x92, 1, bin(raw(0x93, 1, 1, 0x90)))},
	} {
		err := decoders()[c.decoder](c.input)
		var corrupt *crdt.CorruptError
		if assert.ErrorAs(t, err, &corrupt, "%s: %s", c.decoder, c.reason) {
			assert.Equal(t, c.reason, corrupt.Reason, c.decoder)
		}
	}
}

func bin(b []byte) []byte { return slices.Concat([]byte{0xc4, byte(len(b))}, b) }

func TestValueNoveltyIsThatOfItsStates(t *testing.T) {
	kinds := crdt.Standard()
	var v, w crdt.Value
	s, err := crdt.Ensure[*set](kinds, &v)
	require.NoError(t, err)
	s.Add(idA, "old")
	w.Merge(&v)
	s.Add(idA, "new")
	novel, changed := w.MergeNovel(&v)
	assert.True(t, changed)
	part, ok := crdt.Component[*set](kinds, novel)
	require.True(t, ok)
	assert.Equal(t, []string{"new"}, sorted(part))
}

package crdt_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// unwritable is a type that can be encoded, of which no value can.
type unwritable struct{}

func (unwritable) MarshalBinary() ([]byte, error)     { return nil, errors.New("no") }
func (*unwritable) UnmarshalBinary(data []byte) error { return nil }

// What cannot be written is reported, and what was appended to stays as it was.
func TestUnwritableValues(t *testing.T) {
	var high crdt.MaxRegister[unwritable]
	var low crdt.MinRegister[unwritable]
	var two crdt.TwoPhaseSet[unwritable]
	high.Set(unwritable{})
	low.Set(unwritable{})
	two.Remove(unwritable{})
	for _, s := range []encoding.BinaryAppender{
		&high, &low, &two,
		new(crdt.RWSet[unwritable]).Remove(idA, unwritable{}),
		new(crdt.LWWSet[unwritable]).Add(vclock.Timestamp{}, unwritable{}),
	} {
		b, err := s.AppendBinary([]byte("prefix"))
		assert.ErrorAs(t, err, new(*crdt.TypeError), "%T", s)
		assert.Equal(t, "prefix", string(b), "%T", s)
	}
}

func TestFlatTypesAsText(t *testing.T) {
	var s timed
	s.Add(vclock.Timestamp{Wall: 1}, "b", "a", "c")
	s.Remove(vclock.Timestamp{Wall: 1}, "c")
	for text, state := range map[string]json.Marshaler{
		`["a","b"]`: &s,
		`7`:         new(crdt.MaxRegister[int8]).Set(7),
		`"low"`:     new(crdt.MinRegister[string]).Set("low"),
		`null`:      new(crdt.MinRegister[string]),
	} {
		got, err := state.MarshalJSON()
		assert.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
}

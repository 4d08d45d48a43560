package crdttest

import (
	"encoding/json"
	"fmt"
)

// speaks checks that a state says of itself what it says after a journey: what it keeps in memory beside what it
// writes, such as a count, must be what a reader would make of the bytes.
func (c *checker[P]) speaks(what string, s P) {
	c.Helper()
	b := c.bytes(s)
	if got, want := sayings(s), sayings(c.decode(b)); got != want {
		c.Fatalf("%s says %s, and decoded says %s: %x", what, got, want, b)
	}
}

// sayings is what a state says of itself, by those of the usual methods that it has.
func sayings(s any) (said string) {
	if s, ok := s.(interface{ Empty() bool }); ok {
		said += fmt.Sprintf("Empty %v; ", s.Empty())
	}
	if s, ok := s.(interface{ Len() int }); ok {
		said += fmt.Sprintf("Len %d; ", s.Len())
	}
	if s, ok := s.(json.Marshaler); ok {
		b, err := s.MarshalJSON()
		said += fmt.Sprintf("JSON %s, %v", b, err)
	}
	return said
}

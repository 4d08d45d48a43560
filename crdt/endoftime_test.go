package crdt_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// The delta says what was written, also where nothing can be written any more.
func TestNoWriteToAMapAfterTheEndOfTime(t *testing.T) {
	end := vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32, Replica: idB}
	late := vclock.Timestamp{Wall: 1, Replica: idA}
	var m crdt.LWWMap[string, string]
	m.Set(end, "k", "last")
	before := encoded(t, &m)
	nothing := encoded(t, new(crdt.LWWMap[string, string]))
	for what, delta := range map[string]*crdt.LWWMap[string, string]{
		"set":             m.Set(late, "k", "too late"),
		"set to more":     m.Set(end, "k", "more"),
		"remove":          m.Remove(late, "k"),
		"remove at once":  m.Remove(end, "k"),
		"remove it twice": m.Remove(late, "k", "k"),
	} {
		assert.Equal(t, nothing, encoded(t, delta), what)
		assert.Zero(t, delta.Len(), what)
	}
	assert.Equal(t, before, encoded(t, &m))
	delta := m.Remove(late, "k", "other")
	assert.True(t, delta.Timestamp("k").IsZero())
	assert.Equal(t, late, delta.Timestamp("other"))
	v, _ := m.Value("k")
	assert.Equal(t, "last", v)
}

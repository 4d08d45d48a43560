package placed

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Histories of a text, to which writes append. An unknown one has no end.
func TestLinearizable(t *testing.T) {
	write := func(mark string, called, returned moment) *act {
		return &act{adds: mark, called: called, returned: returned, maybe: returned == never,
			step: func(text string) (string, bool) { return text + mark, true }}
	}
	read := func(out string, called, returned moment) *act {
		return &act{out: out, called: called, returned: returned,
			step: func(text string) (string, bool) { return text, text == out }}
	}
	for _, c := range []struct {
		name string
		past []*act
		want bool
	}{
		{"nothing", nil, true},
		{"one after the other", []*act{write("a", 1, 2), read("a", 3, 4), write("b", 5, 6), read("ab", 7, 8)}, true},
		{"at the same time", []*act{write("a", 1, 9), read("a", 2, 3), read("", 2, 3)}, true},
		{"missed", []*act{write("a", 1, 2), read("", 3, 4)}, false},
		{"back", []*act{write("a", 1, 9), read("a", 2, 3), read("", 4, 5)}, false},
		{"from the future", []*act{read("a", 1, 2), write("a", 3, 4)}, false},
		{"in another order", []*act{write("a", 1, 4), write("b", 1, 4), read("ab", 5, 6), read("ba", 7, 8)}, false},
		{"not known, and seen late", []*act{write("a", 1, never), read("", 5, 6), read("a", 7, 8)}, true},
		{"not known, and undone", []*act{write("a", 1, never), read("a", 5, 6), read("", 7, 8)}, false},
		{"not known, and never seen", []*act{write("a", 1, never), write("b", 1, 2), read("b", 5, 6)}, true},
		{"made twice", []*act{write("a", 1, never), read("aa", 5, 6)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, linearizable("", c.past, func(*act) bool { return true }))
		})
	}
}

// What nobody has seen of calls that may have been made does not cost.
func TestLinearizableWithManyUnknown(t *testing.T) {
	var past []*act
	for range maxActs - 1 {
		past = append(past, &act{called: 1, returned: never, maybe: true,
			step: func(text string) (string, bool) { return text + "x", true }})
	}
	past = append(past, &act{called: 5, returned: 6, step: func(text string) (string, bool) { return text, text == "" }})
	require.True(t, linearizable("", past, func(*act) bool { return false }))
}

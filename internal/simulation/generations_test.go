package simulation

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// One record after genesis forgets mark 0, which was removed, of a key with two.
func forgetting(l *ledger) (before, after *generation) {
	before = &generation{number: 1, forgotten: map[*ledger]shadow{}}
	r := removal(bit(0))
	return before, &generation{before: before, number: 2, residues: map[*ledger]shadow{l: r}, forgotten: map[*ledger]shadow{l: r}}
}

func twoMarks() *ledger {
	l := newLedger(0)
	l.add(mark{component: orset, text: "a"})
	l.add(mark{component: orset, text: "b"})
	return l
}

func TestARecordIsSettledExactly(t *testing.T) {
	l := twoMarks()
	_, g := forgetting(l)
	require.True(t, g.settle(l, removal(bit(0))).empty(), "all there is")
	require.True(t, g.settle(l, only(0)).empty(), "the removal was not seen")
	require.True(t, g.settle(l, shadow{}).empty())
	more := g.settle(l, only(1))
	require.Equal(t, removal(bit(0)).union(only(1)).word(), more.word(), "what has more is kept, with the residue")
	require.Equal(t, only(1).word(), g.settle(twoMarks(), only(1)).word(), "another key")
}

func TestWhatIsForgottenIsKnown(t *testing.T) {
	l := twoMarks()
	before, g := forgetting(l)
	require.True(t, l.covers(g.knows(l, shadow{}), removal(bit(0))))
	require.False(t, l.covers(before.knows(l, shadow{}), removal(bit(0))))
	require.True(t, (*generation)(nil).knows(l, shadow{}).empty())
}

func TestGenerationsThatLeadToOneAnother(t *testing.T) {
	before, g := forgetting(twoMarks())
	later, ok := g.since(before)
	require.True(t, ok)
	require.Equal(t, []*generation{g}, later)
	_, ok = before.since(g)
	require.False(t, ok)
}

func TestStatesAreReadWithOrWithoutStamp(t *testing.T) {
	at, value := unseal([]byte{0x92, 1, 2})
	require.Equal(t, genesis, at)
	require.Equal(t, []byte{0x92, 1, 2}, value)
	at, value = unseal([]byte{0x93, 2, 7, 0xc4, 1, 9})
	require.Equal(t, generationText(2, 7), at)
	require.Equal(t, []byte{9}, value)
}

package simulation

import (
	"encoding/binary"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// A mark is one effect that an operation has on a key: an increment, an element, a
// value. Marks are numbered by key in the order of virtual time. They are the
// model's events: it knows nothing of dots, contexts and encodings.
type mark struct {
	component component
	place     string         // the element of a set that decides by rank, the key in a map, the path of a field
	field     crdt.FieldKind // what kind of field
	text      string         // the element, or the register's value
	removal   bool           // it speaks against its element or flag
	amount    int64          // of an increment; the value of an extreme
	stamp     vclock.Timestamp
	made      *generation // of the store at which it was made

	cell    int    // of those that displace one another, see ledger.rank
	earlier bitset // what a state that has this mark has too, see ledger.chain
	deed           // of a bounded counter
}

// A shadow says what one state of one key consists of: the marks that it has seen
// and, among them, those that have been removed or overwritten since. It is the
// specification's state: plain sets, merged by union.
type shadow struct {
	seen, gone bitset
}

// String lists the marks, "seen [1 2] gone [1]".
func (s shadow) String() string { return fmt.Sprintf("seen %v gone %v", s.seen, s.gone) }

func (s shadow) live() bitset { return s.seen.without(s.gone) }

func (s shadow) empty() bool { return len(s.seen) == 0 }

func (s shadow) includes(o shadow) bool { return s.seen.contains(o.seen) && s.gone.contains(o.gone) }

func (s shadow) equal(o shadow) bool { return s.includes(o) && o.includes(s) }

func (s shadow) union(o shadow) shadow { return shadow{s.seen.union(o.seen), s.gone.union(o.gone)} }

func (s shadow) without(marks bitset) shadow {
	return shadow{s.seen.without(marks), s.gone.without(marks)}
}

// removal is the effect of taking marks away.
func removal(marks bitset) shadow { return shadow{seen: marks, gone: marks} }

// word is a comparable form of s.
func (s shadow) word() string {
	b := make([]byte, 0, 8*(len(s.seen)+len(s.gone)+1))
	for _, w := range s.seen {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	b = append(b, '|')
	for _, w := range s.gone {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return string(b)
}

package linearizability

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// A kind of call on a register, whose value is a text.
type kind uint8

const (
	reads    kind = iota // returns the text
	compares             // appends a mark if the text is as expected
	creates              // writes a mark if there is no text
	changes              // appends a mark
	deletes              // leaves no text
	kinds
)

// An input is what a client asked for.
type input struct {
	kind     kind
	key      string
	mark     string
	expected string
}

// An output is what it was told.
type output struct {
	text     string // that the register then held
	conflict bool   // nothing was written
	unknown  bool   // nothing is known
}

// may reports whether a call writes, in a register that holds text.
func (in input) may(text string) bool {
	switch in.kind {
	case compares:
		return text == in.expected
	case creates:
		return text == ""
	}
	return in.kind == changes
}

// register is the specification.
var register = porcupine.NondeterministicModel{
	Init: func() []any { return []any{""} },
	Step: func(state, in, out any) []any {
		text, i, o := state.(string), in.(input), out.(output)
		if i.kind == deletes {
			switch {
			case o.unknown:
				return []any{text, ""}
			case o.text == "":
				return []any{""}
			}
			return nil
		}
		after := text
		if i.may(text) {
			after += i.mark
		}
		switch {
		case o.unknown && after != text:
			return []any{text, after}
		case o.unknown, i.kind == reads && o.text == text, o.conflict && after == text && o.text == text:
			return []any{text}
		case !o.conflict && after != text && o.text == after:
			return []any{after}
		}
		return nil
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

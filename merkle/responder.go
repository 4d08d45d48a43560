package merkle

import (
	"encoding/binary"
	"slices"
)

const (
	listMax   = 32 // so many elements are listed rather than summed up in parts
	maxWidth  = 16
	stateSize = 8
)

// Responder answers the messages of [Session]s. It keeps nothing between two
// messages: any message of a session may be answered by another Responder, of
// the tree as it is then. It is safe for concurrent use.
type Responder struct {
	tree *Tree
	cfg  SessionConfig
	head head
}

// NewResponder returns a Responder of a snapshot of t as it is now. Of cfg, it
// uses Ranges (what it is willing to compare), MaxMessage and Epoch.
func NewResponder(t *Tree, cfg SessionConfig) *Responder {
	cfg = cfg.withDefaults()
	return &Responder{tree: t.Snapshot(), cfg: cfg, head: headOf(t, cfg)}
}

// Step answers one message. The answer is at most MaxMessage bytes and is the
// caller's; msg is not kept. The cost is O(len(msg) log n) plus that of the
// answer, whatever the message says. A message that is not one of a session's
// is a [*MessageError]. Where the two sides are not comparable, the answer says
// so and makes the session fail with an [*IncomparableError].
func (r *Responder) Step(msg []byte) (reply []byte, err error) {
	asked, items, differ, err := r.head.readRequest(msg)
	if err != nil {
		return nil, err
	}
	if differ != nil || !r.serves(items) {
		return r.head.refusal(), nil
	}
	for i := range items {
		if reason := items[i].invalid(asked.width); reason != "" {
			return nil, &MessageError{Offset: len(msg), Reason: reason}
		}
	}
	out := replier{tree: r.tree, width: asked.width, room: min(asked.limit, r.cfg.MaxMessage) - headSize}
	return out.answer(asked.round, items).encode(), nil
}

func (r *Responder) serves(items []item) bool {
	for i := range items {
		if !slices.ContainsFunc(r.cfg.Ranges, func(s Range) bool { return s.covers(items[i].r) }) {
			return false
		}
	}
	return true
}

// invalid says what is wrong with an item of a request, if anything is.
func (it *item) invalid(width int) string {
	ok := false
	switch it.op {
	case opSum:
		ok = len(it.data) == width || len(it.data) == maxWidth
	case opParts:
		parts := len(it.r.parts())
		ok = parts > 0 && len(it.data) == parts*width
	case opList:
		ok = len(it.data) == 0
	case opRest:
		ok = len(it.data)%8 == 0 && ascending(it.r, it.data)
	}
	if !ok {
		return "item does not fit its range"
	}
	return ""
}

// ascending reports whether data is ascending positions in r.
func ascending(r Range, data []byte) bool {
	for i := 0; i < len(data); i += 8 {
		p := binary.BigEndian.Uint64(data[i:])
		if !r.Contains(Position(p)) || i > 0 && p <= binary.BigEndian.Uint64(data[i-8:]) {
			return false
		}
	}
	return true
}

// replier builds one answer, in two passes: the first names all pieces that
// differ, the second says more of them in their order while there is room. So
// what does not fit is asked again at the price of its name only.
type replier struct {
	tree  *Tree
	width int
	room  int // bytes for items

	named    []item // opParts without data, but for checks
	nameSize int
	answered int
}

func (o *replier) answer(round uint64, items []item) *answer {
	for i := range items {
		if !o.name(&items[i]) {
			break
		}
	}
	a := &answer{round: round, answered: o.answered, items: o.named}
	if len(a.items) > 0 {
		a.state = binary.BigEndian.AppendUint64(nil, o.tree.Root().Lo)
		o.describeAll()
	}
	return a
}

// share is the part of the room that the first pass leaves to the second, so
// that it can say something of one piece at least.
func (o *replier) share() int { return o.room * 3 / 4 }

// name names the pieces of one item that differ. It reports false where there
// is no room for that.
func (o *replier) name(it *item) bool {
	switch it.op {
	case opSum:
		sum, _ := o.tree.Sum(it.r)
		return o.piece(it.r, sum.short(len(it.data)) == shortOf(it.data))
	case opParts:
		return o.parts(it)
	case opList:
		return o.piece(it.r, false)
	default:
		left := rest(o.tree, it.r, it.data).short(maxWidth)
		return o.add(item{op: opSum, r: it.r, data: left[:]})
	}
}

func (o *replier) parts(it *item) bool {
	mine := o.tree.partSums(it.r)
	for i, part := range it.r.parts() {
		theirs := shortOf(it.data[i*o.width : (i+1)*o.width])
		if !o.piece(part, mine[i].short(o.width) == theirs) {
			return false
		}
	}
	return true
}

func (o *replier) piece(r Range, equal bool) bool {
	if equal {
		o.answered++
		return true
	}
	return o.add(item{op: opParts, r: r})
}

func (o *replier) add(it item) bool {
	if o.nameSize+it.size() > o.room-o.share() {
		return false
	}
	o.nameSize += it.size()
	o.named = append(o.named, it)
	o.answered++
	return true
}

// describeAll replaces names by more, as far as there is room.
func (o *replier) describeAll() {
	size := o.nameSize
	for i := range o.named {
		it := &o.named[i]
		if it.op != opParts {
			continue
		}
		full := o.describe(it.r)
		if size += len(full.data); size > o.room {
			return
		}
		*it = full
	}
}

// describe says what there is in r: a list where it is short, and otherwise
// the sums of its parts. What it returns fits into the share.
func (o *replier) describe(r Range) item {
	_, count := o.tree.Sum(r)
	fits := sizeOf(r, count*(suffixSize(r)+o.width)) <= o.share()
	point := r.From == r.To
	switch {
	case fits && (count <= listMax || point):
		return item{op: opList, r: r, data: list(o.tree, r, o.width)}
	case point:
		return item{op: opRest, r: r}
	default:
		return item{op: opParts, r: r, data: sums(o.tree, r, o.width)}
	}
}

// rest sums up what lies in r, but for the given positions.
func rest(t *Tree, r Range, positions []byte) Fingerprint {
	sum, _ := t.Sum(r)
	for ; len(positions) > 0; positions = positions[8:] {
		p := Position(binary.BigEndian.Uint64(positions))
		at, _ := t.Sum(Range{p, p})
		sum = sum.Sub(at)
	}
	return sum
}

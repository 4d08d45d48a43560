package merkle

import "slices"

const (
	listMax   = 32 // so many elements are listed rather than summed up in parts
	maxWidth  = 16
	stateSize = 4
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
// caller's; msg is not kept. The cost is O(len(msg) log n) plus that of the answer and
// of one pass over the keys of the ranges asked about, or the sketch, whatever the
// message says. A message that is not one of a session's
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
	if reason := invalid(items, asked.width); reason != "" {
		return nil, &MessageError{Offset: len(msg), Reason: reason}
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

// invalid says what is wrong with the items of a request, if anything is. Keys may have
// to be read for those about tables, so these ascend and do not overlap.
func invalid(items []item, width int) string {
	var last *item
	for i := range items {
		it := &items[i]
		if !it.valid(width) {
			return "item does not fit its range"
		}
		if it.op != opSketch && it.op != opCells {
			continue
		}
		if last != nil && it.r.From <= last.r.To {
			return "tables of ranges out of order"
		}
		last = it
	}
	return ""
}

// valid reports whether an item of a request is one.
func (it *item) valid(width int) (ok bool) {
	switch it.op {
	case opSum:
		ok = len(it.data) == width || len(it.data) == maxWidth
	case opParts:
		parts := len(it.r.parts())
		ok = parts > 0 && len(it.data) == parts*width
	case opList:
		ok = len(it.data) == 0
	case opRest:
		_, ok = readBlocks(it.r, it.data)
	case opSketch:
		ok = len(it.data) == maxWidth && it.r == Full || len(it.data) == maxWidth+1 && it.data[maxWidth] <= idDepth
	case opCells:
		_, ok = readWish(it.data)
	case opDoubt:
		ok = len(it.data) == 0
	}
	return ok
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
	all := true
	for i := range items {
		if all = o.name(&items[i]); !all {
			break
		}
	}
	a := &answer{round: round, answered: o.answered, items: o.named}
	if a.all = all && len(a.items) == 0; !a.all && len(a.items) > 0 {
		a.state = stateOf(o.tree, Full)
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
		return o.add(item{op: opParts, r: it.r, list: true})
	case opSketch:
		return o.sketch(it)
	case opCells:
		return o.cells(it)
	case opDoubt:
		o.tree.doubt()
		return o.piece(it.r, true)
	default:
		blocks, _ := readBlocks(it.r, it.data)
		left := rest(o.tree, it.r, blocks).short(maxWidth)
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
		full := o.describe(it)
		if size += len(full.data); size > o.room {
			return
		}
		*it = full
	}
}

// describe says what there is in a range: a list where it is short or was asked
// for, and otherwise the sums of its parts. What it returns fits into the share.
func (o *replier) describe(named *item) item {
	r := named.r
	_, count := o.tree.Sum(r)
	fits := sizeOf(r, count*listedSize(r, o.width)) <= o.share()
	point := r.From == r.To
	switch {
	case fits && (count <= listMax || named.list || point):
		return item{op: opList, r: r, data: list(o.tree, r, o.width)}
	case point:
		return item{op: opRest, r: r}
	default:
		return item{op: opParts, r: r, data: sums(o.tree, r, o.width)}
	}
}

// rest sums up what lies in r, but for the given blocks.
func rest(t *Tree, r Range, blocks []Range) Fingerprint {
	sum, _ := t.Sum(r)
	for _, b := range blocks {
		in, _ := t.Sum(b.clip(r))
		sum = sum.Sub(in)
	}
	return sum
}

// appendBlock writes the depth and the position of a block.
func appendBlock(dst []byte, r Range) []byte {
	depth := idDepth
	if r.From == r.To {
		depth = maxDepth
	}
	dst = append(dst, byte(depth))
	for shift := 56; shift >= 64-4*depth; shift -= 8 {
		dst = append(dst, byte(r.From>>shift))
	}
	return dst
}

// readBlocks reads blocks, and reports whether they ascend, do not overlap and have
// something in r.
func readBlocks(r Range, data []byte) (out []Range, ok bool) {
	out = make([]Range, 0, len(data)/(1+idDepth/2))
	for len(data) > 0 {
		depth := int(data[0])
		if depth != idDepth && depth != maxDepth || len(data) < 1+depth/2 {
			return nil, false
		}
		var pos Position
		for i, b := range data[1 : 1+depth/2] {
			pos |= Position(b) << (56 - 8*i)
		}
		b := block(pos, depth)
		if n := len(out); b.clip(r).isEmpty() || n > 0 && b.From <= out[n-1].To {
			return nil, false
		}
		out, data = append(out, b), data[1+depth/2:]
	}
	return out, true
}

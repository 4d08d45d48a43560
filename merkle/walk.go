package merkle

import (
	"bytes"
	"cmp"
	"slices"
)

// send makes the next message of as many pending tasks as fit.
func (s *Session) send() {
	s.head.round++
	s.flight = nil
	var items []item
	room := s.cfg.MaxMessage - headSize
	for n := len(s.pending); n > 0; n-- {
		t := s.pending[n-1]
		it := s.ask(t)
		if it.size() > room {
			break
		}
		room -= it.size()
		items = append(items, it)
		s.pending = s.pending[:n-1]
		s.flight = append(s.flight, pieces(t, it.op)...)
	}
	s.message = s.head.request(items)
}

// ask makes a task the question about it.
func (s *Session) ask(t task) item {
	sum, count := s.tree.Sum(t.r)
	switch t.kind {
	case taskSketch:
		return item{op: opSketch, r: t.r, data: t.climb.first(sum)}
	case taskCells:
		return t.climb.ask(t.r, sum)
	case taskDoubt:
		return item{op: opDoubt, r: t.r}
	case taskList:
		return item{op: opList, r: t.r}
	case taskRoot:
		return item{op: opSum, r: t.r, data: sum.short(maxWidth).append(nil, maxWidth)}
	case taskSum:
		return item{op: opSum, r: t.r, data: sum.short(s.head.width).append(nil, s.head.width)}
	case taskCheck, taskRecheck:
		return item{op: opRest, r: t.r, data: blocks(s.knownIn(t.r))}
	}
	if t.r.From != t.r.To && count > listMax {
		return item{op: opParts, r: t.r, data: sums(s.tree, t.r, s.head.width)}
	}
	return item{op: opList, r: t.r}
}

// pieces splits a task into what is answered piece by piece, each as the task
// that it becomes again where the answer does not get to it.
func pieces(t task, asked op) []task {
	if asked != opParts {
		return []task{t}
	}
	parts := t.r.parts()
	out := make([]task, len(parts))
	for i, part := range parts {
		out[i] = task{r: part, kind: taskSum}
	}
	return out
}

// result is a piece of the message under way, with what was answered to it.
type result struct {
	task
	equal bool // nothing was answered: the piece does not differ
	item  item
	list  []listed // of an opList
}

// match pairs the pieces that a answers with its items, or says what is wrong
// with it. It changes nothing.
func (s *Session) match(a *answer) (results []result, reason string) {
	if a.round != s.head.round {
		return nil, "answer to another message"
	}
	if a.all {
		a.answered = len(s.flight)
	}
	if a.answered < 1 || a.answered > len(s.flight) {
		return nil, "answer to more or less than was asked"
	}
	items, more := a.items, len(a.items) == 0
	results = make([]result, 0, a.answered)
	for _, t := range s.flight[:a.answered] {
		res := result{task: t, equal: true}
		if len(items) > 0 && items[0].r == t.r && t.kind != taskDoubt {
			res.item, res.equal = items[0], false
			items = items[1:]
		}
		if !s.valid(&res) {
			return nil, "answer does not fit its range"
		}
		more = more || !res.isName()
		results = append(results, res)
	}
	if len(items) > 0 {
		return nil, "answer to what was not asked"
	}
	if !more {
		return nil, "answer that says nothing"
	}
	return results, ""
}

// isName reports whether the answer says no more than that the piece differs.
func (res *result) isName() bool {
	return !res.equal && res.item.op == opParts && len(res.item.data) == 0
}

// valid checks the answer to one piece, and reads its list where it is one.
func (s *Session) valid(res *result) bool {
	it := &res.item
	switch res.kind {
	case taskSketch:
		if !res.equal && it.op == opSketch {
			return len(it.data) == sketchSize && 1<<it.data[0] >= cellsFor(minSketched) && 1<<it.data[0] <= maxCells
		}
	case taskCells:
		if !res.equal && it.op == opCells {
			return res.climb.valid(it.data)
		}
		if !res.climb.unseen() {
			return false
		}
	case taskCheck, taskRecheck:
		return !res.equal && it.op == opSum && len(it.data) == maxWidth
	}
	if res.equal {
		return res.kind <= taskSum
	}
	return res.validRange(s.head.width)
}

func (res *result) validRange(width int) bool {
	it, ok := &res.item, res.isName()
	switch it.op {
	case opParts:
		parts := len(it.r.parts())
		ok = ok || parts > 0 && len(it.data) == parts*width
	case opList:
		res.list, ok = readList(it.r, width, it.data)
	case opRest:
		ok = it.r.From == it.r.To && len(it.data) == 0
	}
	return ok
}

// apply takes in an answer that matched.
func (s *Session) apply(a *answer, results []result) {
	s.watch(a.state)
	var next []task
	for i := range results {
		if res := &results[i]; !res.equal {
			next = append(next, s.learn(res)...)
		}
	}
	next = append(next, s.flight[a.answered:]...)
	slices.Reverse(next)
	s.pending = append(s.pending, next...)
}

// watch notes whether the responder's tree changed since its first answer.
func (s *Session) watch(state []byte) {
	if len(state) == 0 {
		return
	}
	if s.state == nil {
		s.state = bytes.Clone(state)
	}
	s.last = bytes.Clone(state)
	s.moved = s.moved || !bytes.Equal(s.state, state)
}

// learn draws from one answer what is now known, and what is to be asked next.
func (s *Session) learn(res *result) []task {
	if res.kind <= taskRoot && res.item.op != opSketch && res.item.op != opCells {
		s.checks = append(s.checks, res.r)
	}
	switch res.item.op {
	case opSketch:
		return s.sketched(res)
	case opCells:
		return s.fetched(res)
	case opSum:
		return s.check(res)
	case opParts:
		if res.isName() {
			return []task{{r: res.r, kind: max(res.kind, taskDiffers)}}
		}
		return s.unequal(res)
	case opList:
		s.report(compare(res.r, elements(s.tree, res.r, s.head.width), res.list))
	case opRest:
		d := Difference{Range: res.r, Theirs: true}
		for e := range s.tree.entries(res.r) {
			d.mine(e.key)
		}
		s.report([]Difference{d})
	}
	return nil
}

// unequal returns the parts that the peer sums up differently.
func (s *Session) unequal(res *result) (next []task) {
	width, mine := s.head.width, s.tree.partSums(res.r)
	for i, part := range res.r.parts() {
		if mine[i].short(width) != shortOf(res.item.data[i*width:(i+1)*width]) {
			next = append(next, task{r: part, kind: taskDiffers})
		}
	}
	return next
}

// report adds differences, except where some were known before.
func (s *Session) report(found []Difference) {
	for _, d := range found {
		if s.checking && len(within(s.known[:s.sorted], d.Range)) > 0 {
			continue
		}
		s.found = append(s.found, d)
		s.known = append(s.known, d.Range)
		s.count++
	}
}

// plan makes the final checks, in pieces that fit a message, of all ranges that
// were not equal at first.
func (s *Session) plan() {
	kind := taskCheck
	if s.checking {
		kind = taskRecheck
	}
	slices.SortFunc(s.known, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	s.sorted, s.checking = len(s.known), true
	const blockSize = 1 + maxDepth/2
	most := (s.cfg.MaxMessage - headSize - sizeOf(Range{1, 2}, 0)) / blockSize
	var next []task
	for _, r := range s.checks {
		for in := within(s.known, r); len(in) > most; in = in[most:] {
			upTo := min(in[most-1].To, in[most].From-1)
			next = append(next, task{r: Range{r.From, upTo}, kind: kind})
			r.From = upTo + 1
		}
		next = append(next, task{r: r, kind: kind})
	}
	s.checks = nil
	slices.Reverse(next)
	s.pending = append(s.pending, next...)
}

// within returns those of ascending ranges that have something in r.
func within(ranges []Range, r Range) []Range {
	from, _ := slices.BinarySearchFunc(ranges, r.From, func(k Range, p Position) int { return cmp.Compare(k.To, p) })
	to, found := slices.BinarySearchFunc(ranges, r.To, func(k Range, p Position) int { return cmp.Compare(k.From, p) })
	if found {
		to++
	}
	return ranges[from:max(from, to)]
}

// knownIn are the blocks of the differences in r that were known when checking was
// planned.
func (s *Session) knownIn(r Range) []Range { return within(s.known[:s.sorted], r) }

func blocks(ranges []Range) (out []byte) {
	for _, r := range ranges {
		out = appendBlock(out, r)
	}
	return out
}

// check compares what is left of a range without its differences. What does not
// add up although the responder stood still was hidden by short fingerprints,
// and is looked for once more with whole ones.
func (s *Session) check(res *result) []task {
	if rest(s.tree, res.r, s.knownIn(res.r)) == fingerprintOf(res.item.data) {
		return nil
	}
	if s.moved || res.kind == taskRecheck {
		s.failed = true
		return nil
	}
	s.head.width = maxWidth
	s.checks = append(s.checks, res.r)
	return []task{{r: res.r, kind: taskDiffers}}
}

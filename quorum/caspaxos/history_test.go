package caspaxos

import "fmt"

// An event is one call as its client saw it. The value of a key is a text, to which each change adds a mark of its own.
type event struct {
	kind       kind
	mark       string // what it adds
	expected   string // of a compare
	out        string // what it returned: the text it then held, or what was there instead
	call, done int
	maybe      bool // not known whether it was made
	conflict   bool // known that it was not
}

type kind uint8

const (
	reads kind = iota
	compares
	creates
	changes
	deletes
	kindsOfCalls
)

func (e *event) String() string {
	name := [...]string{reads: "read", compares: "compare", creates: "create", changes: "change", deletes: "delete"}[e.kind]
	return fmt.Sprintf("[%d,%d] %s +%s if %q → %q maybe=%v conflict=%v", e.call, e.done, name, e.mark, e.expected, e.out, e.maybe, e.conflict)
}

// step is the register: the text after an event, and whether the event may happen in this text.
func (e *event) step(text string) (after string, ok bool) {
	if e.kind == deletes && !e.conflict {
		return "", e.maybe || e.out == ""
	}
	switch may := e.kind == changes || e.kind == compares && text == e.expected || e.kind == creates && text == ""; {
	case e.kind == reads || e.conflict:
		return text, e.out == text && (e.kind == reads || !may)
	case !may:
		return text, e.maybe // then nothing was made of it
	}
	return text + e.mark, e.maybe || e.out == text+e.mark
}

// linearizable searches for an order of all events that are known to have been made, and any of the others, in which
// each is what a register does, and none comes before one that was over when it began (Wing, Gong: Testing and
// Verifying Concurrent Objects, 1993).
func linearizable(all []*event) bool {
	type point struct {
		made uint64
		text string
	}
	seen := make(map[point]bool)
	var search func(p point) bool
	search = func(p point) bool {
		if seen[p] {
			return false
		}
		seen[p] = true
		first, left := 1<<62, false
		for i, e := range all {
			if p.made>>i&1 == 0 && !e.maybe {
				first, left = min(first, e.done), true
			}
		}
		if !left {
			return true
		}
		for i, e := range all {
			if p.made>>i&1 == 1 || e.call > first {
				continue
			}
			if after, ok := e.step(p.text); ok && search(point{p.made | 1<<i, after}) {
				return true
			}
		}
		return false
	}
	return search(point{})
}

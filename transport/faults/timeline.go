package faults

import (
	"cmp"
	"container/heap"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eventual-go/eventual/transport"
)

// A timeline is what a drawing shows of a trace.
type timeline struct {
	from, to time.Duration
	nodes    []transport.NodeID // by name
	arrows   []arrow            // by the time at which they begin
	bands    []band             // by the time at which they begin
	failed   []Event            // calls
	sent     int                // messages, each once however often it came
	lost     int                // copies
	twice    int                // messages
	dropped  uint64
	column   time.Duration // what arrows were gathered by; zero: each is one message
}

// What an arrow ends in.
type end uint8

const (
	arrived  end = iota
	repeated     // the second copy arrived
	lost         // on its way, or at once
	underway     // when the trace ends
)

// An arrow is one copy of a message, or several of them that are alike.
type arrow struct {
	Event               // that sent it
	ends  time.Duration // when
	end   end
	why   string
	count int
}

// A band is a fault, for as long as it lasts.
type band struct {
	from, to time.Duration
	step     Step
}

// latest is when the last copy of a message arrives that is sent at the last moment.
const latest = 2 * far

// look makes a timeline of what a trace has between two times. To is the end of the
// trace if zero.
func look(t *Trace, from, to time.Duration) *timeline {
	events := t.Events()
	v := &timeline{from: min(max(from, 0), latest), to: min(max(to, 0), latest), dropped: t.Dropped()}
	if len(events) > 0 {
		v.from = max(v.from, events[0].At)
		if v.to == 0 {
			v.to = events[len(events)-1].At
		}
	}
	v.to = max(v.to, v.from+1)
	v.collect(events)
	v.bands = bands(events, v.to)
	v.clip()
	return v
}

// collect makes arrows of the events of messages, and finds the nodes.
func (v *timeline) collect(events []Event) {
	nodes := make(map[transport.NodeID]bool)
	open := make(map[recorded]*flight)
	var flights []*flight
	for _, e := range events {
		on := recorded{pair{e.From, e.To}, e.Kind, e.N}
		switch e.What {
		case "send":
			f := &flight{Event: e}
			open[on] = f
			flights = append(flights, f)
			nodes[e.From], nodes[e.To] = true, true
		case "arrive", "lose":
			if f := open[on]; f != nil {
				f.ends = append(f.ends, e)
			}
		case "call":
			nodes[e.From], nodes[e.To] = true, true
			if e.Why != "" {
				v.failed = append(v.failed, e)
			}
		case "step":
			for _, id := range mentioned(e.Step) {
				nodes[id] = true
			}
		}
	}
	v.nodes = slices.Sorted(maps.Keys(nodes))
	for _, f := range flights {
		v.arrows = append(v.arrows, f.arrows(v.to)...)
	}
}

// A flight is a message with what became of its copies.
type flight struct {
	Event
	ends []Event
}

func (f *flight) arrows(until time.Duration) (all []arrow) {
	came := 0
	for _, e := range f.ends {
		a := arrow{Event: f.Event, ends: e.At, count: 1, end: lost, why: e.Why}
		if e.What == "arrive" {
			a.end = min(end(came), repeated)
			came++
		}
		all = append(all, a)
	}
	for _, d := range f.Delays[min(len(f.ends), len(f.Delays)):] {
		if len(f.ends) == 0 || f.ends[0].What == "arrive" {
			all = append(all, arrow{Event: f.Event, ends: max(until, f.At+d), count: 1, end: underway})
		}
	}
	return all
}

// mentioned returns the nodes that a step is about.
func mentioned(text string) (ids []transport.NodeID) {
	s, err := parseAction(text)
	if err != nil {
		return nil
	}
	ids = slices.Concat(s.Groups...)
	for _, id := range []transport.NodeID{s.From, s.To} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// bands makes a band of each fault: it ends with the step that undoes or replaces it.
func bands(events []Event, until time.Duration) []band {
	f := faulty{open: make(map[string]band), cuts: make(map[string]bool)}
	for _, e := range events {
		if e.What != "step" {
			continue
		}
		if s, err := parseAction(e.Step); err == nil {
			f.step(s, e.At)
		}
	}
	for key := range f.open {
		f.end(key, until)
	}
	slices.SortStableFunc(f.over, func(a, b band) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), strings.Compare(a.step.action(), b.step.action()))
	})
	return f.over
}

// A faulty is what is wrong at some time, by key, and what was.
type faulty struct {
	open map[string]band
	cuts map[string]bool // keys of open
	over []band
}

// step does a step: each costs what it ends, and not what there is.
func (f *faulty) step(s Step, at time.Duration) {
	key := s.key()
	if b, ok := f.open[key]; ok && b.step.action() == s.action() {
		return // it goes on
	}
	f.end(key, at)
	if s.Do == "heal" {
		for key := range f.cuts {
			f.end(key, at)
		}
	}
	if s.isFault() {
		f.open[key] = band{from: at, step: s}
		if s.Do == "cut" {
			f.cuts[key] = true
		}
	}
}

func (f *faulty) end(key string, at time.Duration) {
	if b, ok := f.open[key]; ok {
		b.to = at
		f.over = append(f.over, b)
		delete(f.open, key)
		delete(f.cuts, key)
	}
}

// key says which fault a step is about.
func (s Step) key() string {
	on := " " + name(s.From) + " " + name(s.To)
	switch s.Do {
	case "cut", "restore":
		return "cut" + on
	case "link", "unlink":
		return "link" + on
	case "partition", "heal":
		return "partition"
	case "freeze", "thaw":
		return "freeze" + on
	case "down", "up":
		return "down" + on
	}
	return s.Do + on
}

// isFault says whether a step begins a fault, rather than ending one.
func (s Step) isFault() bool {
	switch s.Do {
	case "cut", "partition", "freeze", "down":
		return true
	case "slow":
		return s.By > 0
	case "link", "links":
		return s.Link != Link{} || s.Delay != ""
	}
	return false
}

// clip leaves out what lies outside of the time that is shown, and counts the rest.
func (v *timeline) clip() {
	out := func(from, to time.Duration) bool { return to < v.from || from > v.to }
	v.arrows = slices.DeleteFunc(v.arrows, func(a arrow) bool { return out(a.At, a.ends) })
	v.bands = slices.DeleteFunc(v.bands, func(b band) bool { return out(b.from, b.to) })
	v.failed = slices.DeleteFunc(v.failed, func(e Event) bool { return out(e.At, e.At) })
	for _, a := range v.arrows {
		switch {
		case a.end == repeated:
			v.twice++
			continue
		case a.end == lost:
			v.lost++
		}
		v.sent++
	}
}

// gather puts arrows together that begin in the same column of time, and are alike in
// their nodes, kind and end, until there are no more than most; the columns are at
// most a fiftieth of what is shown.
func (v *timeline) gather(most int) {
	all := v.arrows
	for columns := 400; len(v.arrows) > most && columns >= 50; columns /= 2 {
		v.arrows = v.gathered(all, columns)
	}
}

func (v *timeline) gathered(all []arrow, columns int) (fewer []arrow) {
	type group struct {
		pair
		kind   Kind
		end    end
		column time.Duration
	}
	v.column = max((v.to-v.from)/time.Duration(columns), 1)
	groups := make(map[group][]arrow)
	for _, a := range all {
		g := group{pair{a.From, a.To}, a.Kind, a.end, (a.At - v.from) / v.column}
		groups[g] = append(groups[g], a)
	}
	for _, alike := range groups {
		fewer = append(fewer, mean(alike))
	}
	slices.SortFunc(fewer, func(a, b arrow) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.end, b.end), cmp.Compare(a.ends, b.ends))
	})
	return fewer
}

// mean is the arrow that stands for some that are alike.
func mean(alike []arrow) arrow {
	a := alike[0]
	var began, ended float64
	for _, b := range alike {
		began += float64(b.At)
		ended += float64(b.ends)
	}
	a.count = len(alike)
	a.At = time.Duration(math.Round(began / float64(a.count)))
	a.ends = time.Duration(math.Round(ended / float64(a.count)))
	return a
}

// layers puts bands into as few rows as there can be so that none overlap, each into
// the first that is free, where a letter of a label takes so much time.
func (v *timeline) layers(letter time.Duration) (row []int, n int) {
	var busy, idle agenda // rows, by when they are free; and those that are, by number
	for _, b := range v.bands {
		for len(busy) > 0 && busy[0].at <= max(b.from, v.from) {
			heap.Push(&idle, turn{line: heap.Pop(&busy).(turn).line})
		}
		if len(idle) == 0 {
			heap.Push(&idle, turn{line: n})
			n++
		}
		first := heap.Pop(&idle).(turn).line
		heap.Push(&busy, turn{v.taken(b, letter), first})
		row = append(row, first)
	}
	return row, n
}

// taken is until when a band and its label take their row.
func (v *timeline) taken(b band, letter time.Duration) time.Duration {
	from := max(b.from, v.from)
	most := max(v.to-from, 0)/max(letter, 1) + 1 // letters up to the edge
	return max(b.to, from+letter*min(time.Duration(2+utf8.RuneCountInString(label(b.step))), most))
}

// label is what a band says.
func label(s Step) string {
	switch s.Do {
	case "cut":
		return "cut " + string(s.From) + " → " + string(s.To)
	case "link":
		return string(s.From) + " → " + string(s.To) + ": " + s.settings()
	case "links":
		return "all links: " + s.settings()
	}
	return s.action()
}

package faults

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Script is what is done to a network over time. [Parse] reads one, [Random] makes
// one up; two are put together with append.
type Script []Step

// Run does each step to a target when its time has come, counted from now, and
// returns when the last is done: nil, or the error of ctx, or that of a step that
// the target refused, which ends the script. Steps of the same time are done in the
// order of the script. It blocks, and starts no goroutine; what it did is not undone
// when it ends. In a testing/synctest bubble it goes by the bubble's clock.
func (s Script) Run(ctx context.Context, on Target) error {
	for _, step := range s {
		if err := step.check(); err != nil {
			return fmt.Errorf("%w in %q", err, step)
		}
	}
	began := time.Now()
	for at, step := range s.All() {
		if err := sleep(ctx, time.Until(began.Add(at))); err != nil {
			return err
		}
		if err := on.Apply(step); err != nil {
			return fmt.Errorf("%w in %q", err, step)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// All returns the steps in the order in which they are done, with the time of each;
// those with Every again and again, if need be for ever. A step that Run would refuse
// is left out.
func (s Script) All() iter.Seq2[time.Duration, Step] {
	return func(yield func(time.Duration, Step) bool) {
		var due agenda
		for i, step := range s {
			if step.check() == nil {
				due = append(due, turn{step.At, i})
			}
		}
		heap.Init(&due)
		for len(due) > 0 {
			next := &due[0]
			at, step := next.at, s[next.line]
			if next.at += step.Every; step.Every == 0 || !within(next.at) || step.Until > 0 && next.at > step.Until {
				heap.Pop(&due)
			} else {
				heap.Fix(&due, 0)
			}
			if !yield(at, step) {
				return
			}
		}
	}
}

// An agenda is a heap of what is due, the first thing first.
type agenda []turn

type turn struct {
	at   time.Duration
	line int
}

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(a[i].at, a[j].at), cmp.Compare(a[i].line, a[j].line)) < 0
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(turn)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// String returns the script as [Parse] reads it, a step a line, in its order.
func (s Script) String() string {
	var b strings.Builder
	for _, step := range s {
		b.WriteString(step.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String returns the step as a line of a script: always the same for equal steps.
func (s Step) String() string {
	text := s.At.String()
	if s.Every != 0 {
		text += " every " + s.Every.String()
	}
	if s.Until != 0 {
		text += " until " + s.Until.String()
	}
	return text + " " + s.action()
}

// action is the step without its times.
func (s Step) action() string {
	switch s.Do {
	case "cut", "restore", "unlink":
		return join(s.Do, name(s.From), name(s.To))
	case "link":
		return join(s.Do, name(s.From), name(s.To), s.settings())
	case "links":
		return join(s.Do, s.settings())
	case "partition":
		return join(s.Do, s.sides())
	case "freeze", "thaw", "down", "up":
		return join(s.Do, name(s.From))
	case "slow":
		return join(s.Do, name(s.From), s.By.String())
	}
	return s.Do
}

func (s Step) sides() string {
	groups := slices.DeleteFunc(slices.Clone(s.Groups), func(g []transport.NodeID) bool { return len(g) == 0 })
	sides := make([]string, len(groups))
	for i, group := range groups {
		sides[i] = join(each(group, name)...)
	}
	return strings.Join(sides, " | ")
}

func (s Step) settings() string {
	l := s.Link
	return join(
		setting("latency", l.Latency, l.Latency.String()),
		setting("jitter", l.Jitter, l.Jitter.String()),
		setting("delay", s.Delay, name(transport.NodeID(s.Delay))),
		setting("loss", l.Loss, fraction(l.Loss)),
		setting("duplicate", l.Duplicate, fraction(l.Duplicate)),
		setting("reorder", l.Reorder, fraction(l.Reorder)),
		setting("bandwidth", l.Bandwidth, size(l.Bandwidth)+"/s"),
		setting("burst", l.Burst, size(l.Burst)),
	)
}

func setting[T comparable](key string, value T, text string) string {
	if value == *new(T) {
		return ""
	}
	return key + "=" + text
}

func fraction(p float64) string { return strconv.FormatFloat(p, 'g', -1, 64) }

func size(bytes int) string {
	for _, u := range units {
		if bytes%u.size == 0 {
			return strconv.Itoa(bytes/u.size) + u.name
		}
	}
	return ""
}

func name(id transport.NodeID) string {
	if isBare(string(id)) {
		return string(id)
	}
	return strconv.Quote(string(id))
}

func join(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

func each[A, B any](list []A, f func(A) B) []B {
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = f(a)
	}
	return out
}

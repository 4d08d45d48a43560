package caspaxos

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/quorum"
)

// lines has the changes of one key that a node is asked for wait for one another, and be made together. It remembers a
// key for as long as somebody is there.
type lines struct {
	mu    sync.Mutex
	byKey map[string]*line
}

// A line is those who wait while others are served.
type line struct{ waiting []*member }

// join reports whether m is to be served at once; otherwise it waits.
func (l *lines) join(key string, m *member) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.byKey[key]; at != nil {
		at.waiting = append(at.waiting, m)
		return false
	}
	if l.byKey == nil {
		l.byKey = make(map[string]*line)
	}
	l.byKey[key] = new(line)
	return true
}

// next returns who is to be served now, after others were.
func (l *lines) next(key string) (members []*member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.byKey[key]
	n := min(len(at.waiting), maxFold)
	members = slices.Clone(at.waiting[:n])
	if at.waiting = slices.Delete(at.waiting, 0, n); n == 0 {
		delete(l.byKey, key)
	}
	return members
}

// quit has m wait no more.
func (l *lines) quit(key string, m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.byKey[key]; at != nil {
		at.waiting = slices.DeleteFunc(at.waiting, func(o *member) bool { return o == m })
	}
}

// change makes one change: alone, if nobody else at this node changes the key just now, or together with others.
func (r *Registers) change(parent context.Context, key string, w wish) (Value, error) {
	if err := r.ready(parent); err != nil {
		return Value{}, err
	}
	ctx, cancel := context.WithTimeout(parent, r.timeout())
	defer cancel()
	m := &member{wish: w, parent: parent, done: make(chan struct{})}
	if r.lines.join(key, m) {
		var c *call
		defer func() { r.serveNext(key, c) }()
		c = r.newCall(ctx, parent, key, w)
		c.o.fold = &fold{[]*member{m}}
		v, err := c.run()
		if res := c.o.results; c.o.outcome == decided && err == nil {
			return res[0].answer()
		}
		return v, err
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		r.lines.quit(key, m)
		if versions, over := m.leave(); !over {
			return Value{}, unknownOf(key, versions, r.late(parent, key))
		}
	}
	return m.result.answer()
}

// answer is the result as a caller gets it.
func (r *result) answer() (Value, error) {
	if r.panicked != nil {
		panic(r.panicked)
	}
	if r.err != nil {
		return Value{}, r.err
	}
	return r.value, nil
}

// late is the error of a call whose time is over while it waits for others.
func (r *Registers) late(parent context.Context, key string) error {
	if err := parent.Err(); err != nil {
		return err
	}
	tally, err := quorum.NewTally(r.Ring.Place(Prefix+key), r.Self, quorum.Demand{Level: quorum.Majority})
	if err != nil {
		return err
	}
	return tally.Timeout("turn", key)
}

// serveNext has those served who wait behind a call, by a goroutine of its own, since none of them is to wait for
// another's context. After a rival was in the way it is given a little time: else those who are many here would leave
// nothing to those who are few elsewhere.
func (r *Registers) serveNext(key string, after *call) {
	members := r.lines.next(key)
	if len(members) == 0 {
		return
	}
	go func() {
		if after != nil && after.rivals {
			time.Sleep(after.wait(pause * after.took))
		}
		r.serveAll(key, members)
	}()
}

// serveAll makes changes together.
func (r *Registers) serveAll(key string, members []*member) {
	var c *call
	for len(members) > 0 {
		parent := context.WithoutCancel(members[0].parent)
		ctx, cancel := context.WithTimeout(parent, r.timeout())
		c = r.newCall(ctx, parent, key, members[0].wish)
		c.o.fold = &fold{members}
		if len(members) > 1 {
			c.when = condition{what: whenHeld}
		}
		_, err := c.run()
		cancel()
		var again []*member
		for i, m := range members {
			switch {
			case c.o.outcome == decided && c.o.results[i].later:
				again = append(again, m)
			case c.o.outcome != decided && !m.fail(key, err):
				again = append(again, m)
			case c.o.outcome != decided:
			default:
				m.finish(c.o.results[i])
			}
		}
		members = again
	}
	r.serveNext(key, c)
}

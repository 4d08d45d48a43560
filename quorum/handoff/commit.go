package handoff

import (
	"context"
	"errors"
	"slices"
	"time"
)

// What changes the buffer is queued, and carried out by whoever of those that wait gets
// the turn: all that is queued then, one after the other, with one write of the Log. So
// the Log gets rows in the order of the changes, many wait for one write of the disk, no
// lock is held meanwhile, and it takes no goroutine of its own (flat combining: Hendler,
// Incze, Shavit, Tzafrir, SPAA 2010).

// A task is a change that waits to be carried out.
type task struct {
	run     func() // by who has the turn
	durable bool   // it fails if the Log does
	err     error  // final with ran if not durable, else with done

	begun, gone bool          // guarded by mu: somebody runs it; nobody waits for it
	ran         chan struct{} // closed when run has returned, or never will
	done        chan struct{} // closed when what it changed is in the Log, or never will be
}

// do has run carried out, and waits until what it changed is in the Log. With durable it
// fails with a *LogError unless it is, and run is not called once the Log has failed.
//
// ctx bounds how long it waits for the work of others, and for the Log if another writes
// it. Whoever gets the turn carries it out to the end. A run that has begun is waited
// for, so nothing of the caller's is used after do has returned; one that has not begun
// when do returns never does. Without durable, an error says that run was not called, or
// did not return.
func (h *Handoff) do(ctx context.Context, durable bool, run func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.setup()
	t := &task{run: run, durable: durable, err: errPanicked, ran: make(chan struct{}), done: make(chan struct{})}
	h.mu.Lock()
	h.queue = append(h.queue, t)
	h.mu.Unlock()
	select {
	case h.turn <- struct{}{}:
		defer h.withdraw(t) // if the Log panics before it is begun
		h.lead()()
		<-t.done // by this goroutine, or by the one that had the turn before
	case <-t.done:
	case <-ctx.Done():
		return h.leave(ctx, t)
	}
	return t.err
}

// leave is the end of a task whose ctx has ended.
func (h *Handoff) leave(ctx context.Context, t *task) error {
	if h.withdraw(t) {
		return ctx.Err()
	}
	<-t.ran
	if t.durable {
		return ctx.Err()
	}
	return t.err
}

// errPanicked is what those get whose turn was that of a Join, or a Log, that panicked.
var errPanicked = errors.New("handoff: what was called panicked")

// lead does all that is queued, gives the turn back, and returns what tells of it.
func (h *Handoff) lead() (tell func()) {
	defer func() { <-h.turn }()
	return h.carryOut()
}

// withdraw sees to it that a task is not run, unless somebody has begun it.
func (h *Handoff) withdraw(t *task) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = slices.DeleteFunc(h.queue, func(q *task) bool { return q == t })
	t.gone = !t.begun
	return t.gone
}

// begin reports whether anybody still waits for a task. From then on it is run.
func (h *Handoff) begin(t *task) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.begun = !t.gone
	return t.begun
}

// carryOut does all that is queued, and returns what tells of it. The turn is held.
func (h *Handoff) carryOut() (tell func()) {
	lost := h.read()
	h.mu.Lock()
	tasks := h.queue
	h.queue = nil
	failed := h.failed
	h.mu.Unlock()
	defer func() {
		for _, t := range tasks {
			close(t.done)
		}
	}()
	h.runAll(tasks, failed != nil)
	changes := h.changes()
	if failed == nil {
		failed = h.write(changes.Rows)
		lost = lost || failed != nil
	}
	for _, t := range tasks {
		if t.durable {
			t.err = failed
		}
	}
	return func() {
		if lost {
			h.Events.failed(failed)
		}
		h.Events.dropped(changes.Dropped)
	}
}

// runAll runs those of the tasks that somebody waits for, and that do not need a Log
// that has failed. The turn is held.
func (h *Handoff) runAll(tasks []*task, failed bool) {
	next := 0
	defer func() { // those behind one that has panicked are not run either
		for _, t := range tasks[next:] {
			close(t.ran)
		}
	}()
	for ; next < len(tasks); next++ {
		t := tasks[next]
		if !(t.durable && failed) && h.begin(t) {
			t.run()
		}
		if !t.durable {
			t.err = nil
		}
		close(t.ran)
	}
}

// read puts what the Log has into the buffer, the first time. It reports whether the Log
// failed. The turn is held.
func (h *Handoff) read() (lost bool) {
	if h.loaded.Load() {
		return false
	}
	defer h.loaded.Store(true)
	if h.Log == nil {
		return false
	}
	b, err := h.empty(), errPanicked
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if lost = err != nil; lost {
			h.failed = &LogError{Err: err}
			h.unread = h.failed
			return
		}
		h.buffer = b
	}()
	b.advance(time.Now())
	err = b.Load(h.Log.All())
	return lost
}

// changes takes what has changed in the buffer.
func (h *Handoff) changes() Changes {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.buffer.Changes()
}

// write makes rows durable. The turn is held.
func (h *Handoff) write(rows []Row) (failed error) {
	if h.Log == nil || len(rows) == 0 {
		return nil
	}
	err := errPanicked // a Log that panics has failed as well: nobody knows what it has
	defer func() {
		if err == nil {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.failed = &LogError{Err: err}
		failed = h.failed
	}()
	err = h.Log.Apply(rows)
	return nil
}

// change changes the buffer. The turn is held.
func (h *Handoff) change(f func(b *Buffer)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer.advance(time.Now())
	known := len(h.buffer.targets)
	f(&h.buffer)
	if len(h.buffer.targets) > known {
		h.look()
	}
}

// load waits until what the Log has is in the buffer.
func (h *Handoff) load(ctx context.Context) error {
	if !h.loaded.Load() {
		if err := h.do(ctx, false, func() {}); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unread
}

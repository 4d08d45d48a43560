package quorum

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// DefaultMaxMessage is the MaxMessage of a [Coordinator] that has none.
const DefaultMaxMessage = 256 << 10

// A merger is a [Replica] that merges several states at once, and waits for its disk
// once. What comes in one message is merged so.
type merger interface {
	MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error)
}

// Handler serves the calls of other coordinators from the Local replica, and from
// Hints. It decodes at most what it was sent, and refuses with a [*MessageError], or
// [ErrVersion]. It needs no other field than Local; with Ring it refuses what comes
// from a coordinator with an older one.
func (c *Coordinator) Handler() transport.Handler {
	return transport.HandlerFunc(c.serve)
}

func (c *Coordinator) serve(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
	switch {
	case method != Method:
		return nil, fmt.Errorf("%w %q", transport.ErrUnknownMethod, method)
	case c.Local == nil:
		return nil, errNoReplica
	}
	all, err := parseRequest(req)
	if err != nil {
		return nil, err
	}
	s := &serving{c: c, tasks: all, done: make([]served, len(all)), limit: cmp.Or(c.MaxMessage, DefaultMaxMessage)}
	s.run(ctx)
	return s.respond(), nil
}

// A serving is the work on one request.
type serving struct {
	c     *Coordinator
	tasks []task
	done  []served
	limit int
	size  int
}

type served struct {
	status uint8
	body   []byte
}

// run does all tasks: what is merged is merged together, after what is loaded.
func (s *serving) run(ctx context.Context) {
	merges := 0
	for i := range s.tasks {
		if s.tasks[i].kind == taskMerge {
			merges++
			continue
		}
		s.one(ctx, i)
	}
	m, ok := s.c.Local.(merger)
	if ok && merges > 1 {
		s.mergeAll(ctx, m, merges)
		return
	}
	for i := range s.tasks {
		if s.tasks[i].kind == taskMerge {
			s.one(ctx, i)
		}
	}
}

func (s *serving) one(ctx context.Context, i int) {
	if i > 0 && s.size >= s.limit {
		s.done[i].status = statusAgain
		return
	}
	a, err := s.c.perform(ctx, &s.tasks[i])
	s.put(i, &a, err)
}

func (s *serving) put(i int, a *answer, err error) {
	d := &s.done[i]
	d.status = a.kind
	switch {
	case err != nil:
		d.status, d.body = statusFailed, []byte(cut(err.Error()))
	case a.kind == statusMoved:
		d.body = binary.BigEndian.AppendUint64(nil, a.version)
	case a.kind == statusDigest:
		d.body = append(d.body, a.digest[:]...)
	case a.kind == statusNothing:
		d.body = []byte(a.generation)
	case len(s.tasks) > 1 && s.size > 0 && s.size+len(a.state) > s.limit:
		d.status = statusAgain
		return
	default:
		d.body = a.state
	}
	s.size += len(d.body) + 8
}

func cut(s string) string {
	if len(s) > transport.MaxErrorText {
		return s[:transport.MaxErrorText]
	}
	return s
}

// mergeAll merges all that is to be merged in one go.
func (s *serving) mergeAll(ctx context.Context, m merger, n int) {
	keys, states, at := make([]string, 0, n), make([][]byte, 0, n), make([]int, 0, n)
	for i := range s.tasks {
		t := &s.tasks[i]
		if t.kind != taskMerge {
			continue
		}
		if moved, a := s.c.moved(t); moved {
			s.put(i, &a, nil)
			continue
		}
		keys, states, at = append(keys, t.key), append(states, t.state), append(at, i)
	}
	_, errs := m.MergeAll(ctx, keys, states)
	for k, i := range at {
		done := s.c.merged(&s.tasks[i])
		s.put(i, &done, errs[k])
	}
}

func (s *serving) respond() []byte {
	w := newResponse(len(s.done), s.size+16*len(s.done))
	for i := range s.done {
		w.add(s.done[i].status, s.done[i].body)
	}
	return w.w.Done()
}

// moved reports whether a task was made by an older ring than that of this node.
func (c *Coordinator) moved(t *task) (bool, answer) {
	if c.Ring == nil || t.kind == taskHint || planted.Bug == planted.VersionIgnored {
		return false, answer{}
	}
	mine := c.Ring.Place(t.key).Version
	return mine > t.version, answer{kind: statusMoved, version: mine}
}

// merged is the answer of this node once it has merged. A ring that has come meanwhile refuses: its owners may have
// taken over what was here before the merge.
func (c *Coordinator) merged(t *task) answer {
	if moved, a := c.moved(t); moved && planted.Bug != planted.VersionOnce {
		return a
	}
	if durableOf(c.Local) {
		return answer{kind: statusDurable}
	}
	return answer{kind: statusDone}
}

// perform does one task at this node. A load is refused by a ring that came meanwhile, since what was here may be
// elsewhere by now; a merge before and after, so that nothing comes here in vain.
func (c *Coordinator) perform(ctx context.Context, t *task) (a answer, err error) {
	if t.kind == taskHint {
		return c.keep(ctx, t)
	}
	if c.Local == nil {
		return a, errNoLocal
	}
	if t.kind == taskMerge {
		if moved, a := c.moved(t); moved {
			return a, nil
		}
		_, err := c.Local.Merge(ctx, t.key, t.state)
		return c.merged(t), err
	}
	a.state, err = c.load(ctx, t)
	if moved, a := c.moved(t); moved {
		return a, nil
	}
	if err == nil && len(a.state) == 0 {
		if g := c.forgotten(); g != "" {
			return answer{kind: statusNothing, generation: g}, nil
		}
	}
	switch {
	case err != nil:
		return a, err
	case t.kind == taskDigest:
		return answer{kind: statusDigest, digest: digestOf(a.state)}, nil
	case t.kind == taskUnless && digestOf(a.state) == digest(t.state):
		return answer{kind: statusSame}, nil
	}
	return a, nil
}

// load returns what this node has of a key. Where it stands in for an owner that is
// what it keeps for others, too.
func (c *Coordinator) load(ctx context.Context, t *task) ([]byte, error) {
	state, err := c.Local.Load(ctx, t.key)
	if err != nil || t.target == "" || c.Hints == nil || c.Join == nil {
		return state, err
	}
	held, err := c.Hints.Held(ctx, t.key)
	if g := c.forgets(); g != nil && err == nil && len(held) > 0 {
		held, err = g.Lift(t.key, held) // it may be from before something was forgotten
	}
	if err != nil || len(held) == 0 {
		return state, err
	}
	return c.Join(state, held)
}

func (c *Coordinator) keep(ctx context.Context, t *task) (a answer, err error) {
	if c.Hints == nil {
		return a, errNoHints
	}
	if err := c.Hints.Keep(ctx, t.target, t.key, t.state); err != nil {
		return a, err
	}
	if durableOf(c.Hints) {
		a.kind = statusDurable
	}
	return a, nil
}

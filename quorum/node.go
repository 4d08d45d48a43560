package quorum

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

type nodeID = transport.NodeID

const (
	maxTasks  = 512                    // of one message
	flights   = 2                      // messages to a node that may be under way, however quickly they follow
	gap       = 200 * time.Microsecond // after the last one, from when on one more may be
	probeGap  = 100 * time.Millisecond // between tasks for a node that is suspected
	maxAlways = 64                     // messages to a node that may be under way at all
)

// A node is one of the other nodes, as this one knows it. What is to be loaded and
// what is to be merged there goes in messages of their own: one may be quick while
// the other waits for a disk.
type node struct {
	c     *Coordinator
	id    nodeID
	lanes [2]lane // loads, and the rest
	pulse pulse
}

// node returns what is known of another node.
func (c *Coordinator) node(id nodeID) *node {
	if n, ok := c.nodes.Load(id); ok {
		return n.(*node)
	}
	n := &node{c: c, id: id}
	for i := range n.lanes {
		n.lanes[i].node = n
	}
	actual, _ := c.nodes.LoadOrStore(id, n)
	return actual.(*node)
}

// put queues a task.
func (n *node) put(x *call, s *Send) {
	l := &n.lanes[0]
	if s.task.kind == taskMerge || s.task.kind == taskHint {
		l = &n.lanes[1]
	}
	l.put(job{x, s, n.c.Events.now()})
}

// A lane gathers tasks for a node into messages: while some are under way, those that
// come meanwhile wait, for a moment at most, and go together.
type lane struct {
	node *node

	mu     sync.Mutex
	queue  []job
	flying int
	last   time.Time // when the last message began
	armed  bool      // a timer will look at the queue
}

// A job is one task of a call.
type job struct {
	call  *call
	send  *Send
	asked time.Time // if Events are told of answers
}

func (l *lane) put(j job) {
	l.mu.Lock()
	l.queue = append(l.queue, j)
	fly := l.may()
	l.mu.Unlock()
	if fly {
		go l.fly()
	}
}

// may reports whether one more message may go, which is then counted. Else there
// will be another look in time. It needs l.mu.
func (l *lane) may() bool {
	if len(l.queue) == 0 || l.flying >= maxAlways {
		return false
	}
	if l.flying >= flights && time.Since(l.last) < gap {
		if !l.armed {
			l.armed = true
			time.AfterFunc(gap, l.look)
		}
		return false
	}
	l.flying++
	return true
}

// look sends what has waited long enough.
func (l *lane) look() {
	l.mu.Lock()
	l.armed = false
	fly := l.may()
	l.mu.Unlock()
	if fly {
		l.fly()
	}
}

// fly sends messages until nothing waits.
func (l *lane) fly() {
	var room []job
	for {
		runtime.Gosched() // who has something to send too is to come first: one message for all
		l.mu.Lock()
		jobs := l.take(room)
		if len(jobs) == 0 {
			l.flying--
			l.mu.Unlock()
			return
		}
		began := time.Now()
		l.last = began
		l.mu.Unlock()
		l.send(jobs, began)
		clear(jobs)
		room = jobs[:0]
	}
}

// take takes the jobs of one message off the queue. It needs l.mu.
func (l *lane) take(room []job) []job {
	limit := cmp.Or(l.node.c.MaxMessage, DefaultMaxMessage)
	n, size := 0, 0
	for n < len(l.queue) && n < maxTasks {
		if size += l.queue[n].send.task.size(); n > 0 && size > limit {
			break
		}
		n++
	}
	jobs := append(room, l.queue[:n]...)
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	return jobs
}

var requests = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// send makes one message of jobs, and tells each what came of it.
func (l *lane) send(jobs []job, began time.Time) {
	n := l.node
	if n.c.Caller == nil {
		l.fail(jobs, errNoCaller)
		return
	}
	ctx := n.c.terms.context(cmp.Or(n.c.Timeout, DefaultTimeout))
	if n.c.Carry != nil {
		ctx = n.c.Carry(ctx, contexts(jobs))
	}
	buf := requests.Get().(*[]byte)
	req := appendRequest((*buf)[:0], len(jobs), func(i int) *task { return &jobs[i].send.task })
	n.pulse.begin(began)
	resp, err := n.c.Caller.Call(ctx, n.id, Method, req)
	n.pulse.end(began, time.Now(), errors.Is(err, transport.ErrUnreachable), err == nil)
	if cap(req) <= 64<<10 {
		*buf = req
		requests.Put(buf)
	}
	if err == nil {
		err = parseResponse(resp, len(jobs), func(i int, a answer, failure error) { l.answer(jobs[i], i, a, failure) })
	} else if ctx.Err() != nil {
		err = errLate{err}
	}
	if err != nil {
		l.fail(jobs, err)
	}
}

// contexts are those of the calls that jobs are of.
func contexts(jobs []job) []context.Context {
	all := make([]context.Context, len(jobs))
	for i := range jobs {
		all[i] = jobs[i].call.ctx
	}
	return all
}

// answer tells what came of the i-th task of a message. For another message is put off what
// found no room in the answer. The first always does, so that a queue comes to its end.
func (l *lane) answer(j job, i int, a answer, err error) {
	if err == nil && a.kind == statusAgain && i > 0 {
		l.put(j)
		return
	}
	if err == nil {
		err = j.send.verify(&a)
	}
	j.tell(a, err)
}

func (j *job) tell(a answer, err error) {
	j.call.tell(j.send, a, err)
	j.call.c.answered(j.send, j.asked, err)
}

func (l *lane) fail(jobs []job, err error) {
	for _, j := range jobs {
		j.tell(answer{}, err)
	}
}

// errLate says that the time for a message was over: that is no answer of its node.
type errLate struct{ error }

func (e errLate) Unwrap() error { return e.error }

func isLate(err error) bool {
	_, ok := err.(errLate)
	return ok
}

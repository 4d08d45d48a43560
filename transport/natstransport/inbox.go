package natstransport

import (
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/eventual-go/eventual/transport"
)

// An inbox is where answers to the calls of one node arrive: one subscription, with a
// subject for each call. What comes late, twice or uncalled is dropped. The zero value
// is ready.
type inbox struct {
	mu      sync.Mutex
	sub     *nats.Subscription // nil before the first call
	prefix  string
	next    uint64
	waiting map[string]*waiting // by subject
}

// A waiting call is told what it waits for, and signs of life.
type waiting struct {
	subject string
	method  string
	to      transport.NodeID
	accepts int
	answer  chan answer   // holds one
	alive   chan struct{} // holds one
}

// enter gives a call its subject.
func (i *inbox) enter(conn *nats.Conn, w *waiting) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.sub == nil {
		prefix := conn.NewInbox()
		sub, err := conn.Subscribe(prefix+".*", i.receive)
		if err != nil {
			return err
		}
		i.sub, i.prefix, i.waiting = sub, prefix+".", make(map[string]*waiting)
	}
	i.next++
	w.subject = i.prefix + strconv.FormatUint(i.next, 36)
	w.answer, w.alive = make(chan answer, 1), make(chan struct{}, 1)
	i.waiting[w.subject] = w
	return nil
}

// take ends the wait of a call. It returns nil if it was ended before.
func (i *inbox) take(subject string) *waiting {
	i.mu.Lock()
	defer i.mu.Unlock()
	w := i.waiting[subject]
	delete(i.waiting, subject)
	return w
}

func (i *inbox) find(subject string) *waiting {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.waiting[subject]
}

// receive is called with each message, one after the other: so a sign of life, or
// that there is no such call, never overtakes an answer that was sent before.
func (i *inbox) receive(m *nats.Msg) {
	w := i.find(m.Subject)
	if w == nil {
		return
	}
	a, final := w.read(m)
	if !final {
		select {
		case w.alive <- struct{}{}:
		default:
		}
		return
	}
	if i.take(m.Subject) != nil {
		w.answer <- a
	}
}

// close follows the last call.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.sub != nil {
		_ = i.sub.Unsubscribe() // if Conn is closed, it is gone already
		i.sub = nil
	}
}

package tcp

import "fmt"

// A backlog is what a server holds, besides requests, for a peer that reads more slowly
// than it calls. While a good deal of it waits, requests that arrive are held and not run, which
// costs honest peers nothing: they would wait for what is before them anyway. What
// the handlers that were running then return is bounded too, by failing their calls. It
// is guarded by its owner's mutex.
type backlog struct {
	most  int       // bytes; calls are held from a quarter of it on
	bytes int       // of responses that wait for the writer, and of what waits with them
	held  []*served // taken, and not run yet
}

const waitingCost = 4 << 10 // of a goroutine that waits with a response

func newBacklog(own limits) backlog {
	return backlog{most: 16*own.message + 2*waitingCost*own.calls}
}

// full says whether calls are held.
func (b *backlog) full() bool { return b.bytes >= b.most/4 }

// add counts a response, unless there is no room for it. A response that is alone
// always has room.
func (b *backlog) add(bytes int) bool {
	if b.bytes > 0 && b.bytes+bytes > b.most {
		return false
	}
	b.bytes += bytes
	return true
}

// remove takes a response off that was counted.
func (b *backlog) remove(bytes int) { b.bytes -= bytes }

// hold has a call run later.
func (b *backlog) hold(k *served) { b.held = append(b.held, k) }

// next returns calls that are to be run now: two at most for each answer that was
// taken, so that they do not all return at once what nobody reads.
func (b *backlog) next() []*served {
	if b.full() {
		return nil
	}
	n := min(len(b.held), 2)
	run := b.held[:n:n]
	if b.held = b.held[n:]; len(b.held) == 0 {
		b.held = nil
	}
	return run
}

// answerLater answers a call when there is room, if the answer may wait for that. Until
// then the call is one of those that the peer may have under way, so the requests behind
// answers are bounded as all others are. It returns the next call to be run.
func (s *server) answerLater(k *served, f *frame, space <-chan struct{}) (next *served) {
	n := len(f.payload) + waitingCost
	if !s.wait(n) {
		text := fmt.Sprintf("tcp: response of %d bytes dropped: too many wait for the caller to read", len(f.payload))
		f, n = &frame{kind: kindResponse, id: f.id, status: statusFailed, payload: []byte(text)}, 0
		s.stats.dropped.Add(1)
	}
	for space != nil {
		select {
		case <-space:
			next, space = s.answer(k, f, n)
		case <-s.dead:
			s.forget(k)
			return nil
		}
	}
	return next
}

// forget takes a call off the list that cannot be answered any more.
func (s *server) forget(k *served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls.delete(k.id)
}

// wait says whether a response may wait for the writer.
func (s *server) wait(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog.add(bytes)
}

// resume has calls run that were held, after one was answered. It needs s.mu.
func (s *server) resume() {
	for _, k := range s.backlog.next() {
		s.start(k)
	}
}

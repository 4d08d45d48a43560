package caspaxos

import (
	"bytes"
	"context"
	"sync"
)

// maxFold is how many changes of one key are made at once, at most.
const maxFold = 64

// A member is a change of one caller, which may be made together with others that wait at the same node.
type member struct {
	wish
	parent context.Context
	done   chan struct{} // closed when result is there

	mu       sync.Mutex
	left     bool     // its caller waits no more
	versions []Ballot // by which it was proposed
	result   result
}

// A result is what came of a member.
type result struct {
	value    Value
	err      error
	panicked any
	later    bool // there was no version for it
}

// A fold is changes that are proposed as one: each sees what those before it have made.
type fold struct {
	members []*member
}

// decide makes the changes, and returns what came of each. It is asked once without a ballot whether there is one to be
// made at all.
func (f *fold) decide(current Value, by Ballot) verdict {
	d := verdict{results: make([]result, len(f.members)), version: current.Version}
	now := current
	var writers []int
	for i, m := range f.members {
		next, ok := f.version(now.Version, by, d.write)
		if !ok {
			d.results[i].later = true
			continue
		}
		var wrote bool
		if d.results[i], wrote = m.make(now, next); !wrote {
			continue
		}
		now, d.write = d.results[i].value, true
		if by.IsZero() {
			return d
		}
		writers = append(writers, i)
	}
	d.data, d.version = now.Data, now.Version
	for _, i := range writers {
		f.members[i].propose(d.results[i].value.Version, d.version)
	}
	return d
}

// version returns that of the change after one, if there is one left: the ballot, or one before it that the call has
// kept free. Each is greater than the last.
func (f *fold) version(last, by Ballot, written bool) (next Ballot, ok bool) {
	var from uint64
	if n := uint64(len(f.members)); by.Counter > n {
		from = by.Counter - n
	}
	next = Ballot{max(from, last.Counter) + 1, by.Proposer}
	if next.Counter <= by.Counter || by.IsZero() {
		return next, true
	}
	return by, !written
}

// make makes the change of m, if its caller still waits.
func (m *member) make(now Value, next Ballot) (r result, wrote bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		return r, false
	}
	defer func() {
		if p := recover(); p != nil { // of the caller's function: it is for the caller's goroutine
			r, wrote = result{panicked: p}, false
		}
	}()
	data, wrote, err := m.wish.decide(now.clone())
	if !wrote {
		return result{value: now.clone(), err: err}, false
	}
	return result{value: Value{Data: bytes.Clone(data), Found: data != nil, Version: next}}, true
}

// propose notes the versions by which a change shows, if it is made: its own, and that of the last one.
func (m *member) propose(own, last Ballot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.versions = append(m.versions, own); own != last {
		m.versions = append(m.versions, last)
	}
}

// leave ends the wait for a result, unless it is there by now. Otherwise it returns by which versions it was proposed.
func (m *member) leave() (versions []Ballot, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.done:
		return nil, true
	default:
		m.left = true
		return m.versions, false
	}
}

// finish says what came of m.
func (m *member) finish(r result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.result = r
	close(m.done)
}

// fail finishes m where that is not known, or where nothing was proposed. Without an error the reason is that nobody
// remembers what became of others; then m, if it is none of them, may go on.
func (m *member) fail(key string, err error) (finished bool) {
	m.mu.Lock()
	versions := m.versions
	m.mu.Unlock()
	if err == nil && len(versions) == 0 {
		return false
	}
	m.finish(result{err: unknownOf(key, versions, err)})
	return true
}

// unknownOf is the error of a call that was not decided, after it was proposed by some versions, or by none.
func unknownOf(key string, versions []Ballot, err error) error {
	if len(versions) == 0 {
		return err
	}
	return &UnknownError{Key: key, Versions: versions, Err: err}
}

func (v Value) clone() Value {
	v.Data = bytes.Clone(v.Data)
	return v
}

package quorum

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/transport"
)

// Method is what a [Coordinator] calls and its Handler serves. A [transport.Mux]
// takes it by the prefix "quorum/".
const Method = "quorum/do"

// version is the version of all messages. A request is [version, kind, key,
// placement, target, state, ...], with five values for each task; a response is
// [version, status, body, ...], with two for each. What says nothing is empty.
const version = 2

// What a task asks for.
const (
	taskLoad   = 0 // the state of key
	taskUnless = 1 // likewise, unless its digest is the state of this task
	taskDigest = 2 // the digest of the state of key
	taskMerge  = 3 // merge state into key
	taskHint   = 4 // keep state for target, which is away
	tasks      = 5
)

// What came of a task.
const (
	statusDone    = 0 // the body is the state that was asked for, or empty
	statusDurable = 1 // merged or kept, and on disk
	statusSame    = 2 // the digest is that of the request
	statusDigest  = 3 // the body is a digest
	statusFailed  = 4 // the body says why
	statusMoved   = 5 // the body is the version of the placement here
	statusAgain   = 6 // not done, since there was no room for the answer: ask alone
	statusNothing = 7 // the state is empty; the body is how much has been forgotten here
	statuses      = 8
)

const (
	taskFields   = 5
	answerFields = 2
)

// maxGeneration is how many bytes a generation has at most.
const maxGeneration = 64

// A digest stands for a state: equal states have equal ones, and nobody finds two
// states that share one. That of no state is zero.
type digest [16]byte

func digestOf(state []byte) (d digest) {
	if len(state) == 0 {
		return digest{}
	}
	sum := sha256.Sum256(state)
	copy(d[:], sum[:])
	return d
}

// A task is one thing that one node is asked for.
type task struct {
	kind    uint8
	key     string
	version uint64 // of the placement
	target  transport.NodeID
	state   []byte
}

// size is at most what a task takes of a request.
func (t *task) size() int { return 32 + len(t.key) + len(t.target) + len(t.state) }

// An answer is what came of a task.
type answer struct {
	state   []byte // or nothing; it aliases what it was decoded from
	digest  digest
	kind    uint8 // a status
	version uint64

	generation string // of statusNothing
}

func appendRequest(dst []byte, n int, at func(i int) *task) []byte {
	w := wire.NewWriter(dst)
	w.Array(1 + n*taskFields)
	w.Uint(version)
	for i := range n {
		t := at(i)
		w.Uint(uint64(t.kind))
		w.Bytes([]byte(t.key))
		w.Uint(t.version)
		w.Bytes([]byte(t.target))
		w.Bytes(t.state)
	}
	return w.Done()
}

// parseRequest calls each with the tasks of a request, whose states alias b, after
// it has found all of them to be well formed.
func parseRequest(b []byte) (all []task, err error) {
	r, n, err := open(b, taskFields)
	if err != nil {
		return nil, refused(err)
	}
	all = make([]task, n)
	for i := range all {
		t := &all[i]
		kind := r.Uint()
		if r.Err() == nil && kind >= tasks {
			r.Fail("no such task")
		}
		t.kind, t.key, t.version = uint8(kind), string(r.Bytes()), r.Uint()
		t.target, t.state = transport.NodeID(r.Bytes()), r.Bytes()
		if r.Err() == nil && t.kind == taskUnless && len(t.state) != len(digest{}) {
			r.Fail("not a digest")
		}
	}
	if err := r.Close(); err != nil {
		return nil, refused(err)
	}
	return all, nil
}

// A responseWriter makes a response, answer by answer.
type responseWriter struct {
	w    *wire.Writer
	size int
}

func newResponse(n, size int) *responseWriter {
	w := wire.NewWriter(make([]byte, 0, 16+size))
	w.Array(1 + n*answerFields)
	w.Uint(version)
	return &responseWriter{w: w}
}

func (w *responseWriter) add(status uint8, body []byte) {
	w.w.Uint(uint64(status))
	w.w.Bytes(body)
	w.size += len(body) + 8
}

// parseResponse calls each with the answers to n tasks, whose states alias b.
func parseResponse(b []byte, n int, each func(i int, a answer, err error)) error {
	r, got, err := open(b, answerFields)
	if err != nil {
		return refused(err)
	}
	if got != n {
		r.Fail("not an answer to each task")
		return refused(r.Close())
	}
	all := make([]answer, n)
	failures := make([]error, n)
	for i := range all {
		status, body := r.Uint(), r.Bytes()
		if r.Err() == nil {
			all[i], failures[i] = answerFrom(r, status, body)
		}
	}
	if err := r.Close(); err != nil {
		return refused(err)
	}
	for i := range all {
		each(i, all[i], failures[i])
	}
	return nil
}

func answerFrom(r *wire.Reader, status uint64, body []byte) (a answer, err error) {
	if status >= statuses {
		r.Fail("no such status")
		return a, nil
	}
	a.kind = uint8(status)
	switch a.kind {
	case statusDone:
		a.state = body
	case statusDigest:
		if len(body) != len(a.digest) {
			r.Fail("not a digest")
		}
		copy(a.digest[:], body)
	case statusFailed:
		return a, &transport.RemoteError{Method: Method, Message: string(body)}
	case statusMoved:
		if len(body) != 8 {
			r.Fail("not a version")
			return a, nil
		}
		a.version = binary.BigEndian.Uint64(body)
	case statusNothing:
		if len(body) == 0 || len(body) > maxGeneration {
			r.Fail("not a generation")
		}
		a.generation = string(body)
	}
	return a, nil
}

// open reads the head of a message of items with so many fields each. The version is
// looked at first: a newer message may have another form.
func open(b []byte, fields int) (r *wire.Reader, items int, err error) {
	r, err = wire.NewReader(b)
	if err != nil {
		return nil, 0, err
	}
	n := r.Array()
	v := r.Uint()
	switch {
	case r.Err() != nil:
	case v > version:
		return nil, 0, ErrVersion
	case v != version || n < 1 || (n-1)%fields != 0:
		r.Fail("not a message of this version")
	}
	return r, (n - 1) / fields, r.Err()
}

func refused(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &MessageError{Offset: e.Offset, Reason: e.Reason}
	}
	return err
}

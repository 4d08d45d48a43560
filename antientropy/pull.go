package antientropy

import (
	"errors"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/merkle"
)

// What a peer says of one key in a range that it was asked for.
const (
	foundState    = 0 // [0, key, fingerprint, state]
	foundMoving   = 1 // [1, key, state]: written to while it was read, so its fingerprint is not known
	foundUnderway = 2 // [2, key]: deltas of it are on their way to the one who asks
	foundTooLarge = 3 // [3, key, size]: key cut to maxToldKey bytes
	foundFailed   = 4 // [4, key, reason]: it could not be loaded; key cut too
	foundSame     = 5 // [5, index]: it is as the one who asks told of one of its keys
	foundPart     = 6 // [6, key, fingerprint, part, seen]: what the one who asks lacks, and what the peer has seen; nil if there was no room for that
)

// A found is one key in an answer.
type found struct {
	kind   int
	key    string
	sum    merkle.Fingerprint
	state  []byte // or the part of it
	seen   []byte
	size   int // of the state, or the index
	reason string
	insist bool // not sent: never say moving
	failed bool // not sent: it was refused here
	noRoom bool // for what was seen
}

func (f *found) cost() int {
	return len(f.key) + len(f.state) + len(f.seen) + len(f.reason) + entryOverhead
}

// An at is the answer about one range: equal, or all keys there.
type at struct {
	equal bool
	keys  []found
}

// answers is the reply to a pull: the first ranges of the question in the same
// order, as many as fit. With more, keys of the last one are still to come.
type answers struct {
	more bool
	at   []at
}

func encodeAnswers(a *answers) []byte {
	w := message(2)
	w.Bool(a.more)
	w.Array(len(a.at))
	for _, at := range a.at {
		if at.equal {
			w.Nil()
			continue
		}
		w.Array(len(at.keys))
		for i := range at.keys {
			at.keys[i].write(w)
		}
	}
	return w.Done()
}

func (f *found) write(w *wire.Writer) {
	w.Array(f.fields())
	w.Uint(uint64(f.kind))
	if f.kind == foundSame {
		w.Uint(uint64(f.size))
		return
	}
	w.String(f.key)
	switch f.kind {
	case foundState:
		w.Bytes(appendFingerprint(nil, f.sum))
		w.Bytes(f.state)
	case foundPart:
		w.Bytes(appendFingerprint(nil, f.sum))
		w.Bytes(f.state)
		if f.noRoom {
			w.Nil()
		} else {
			w.Bytes(f.seen)
		}
	case foundMoving:
		w.Bytes(f.state)
	case foundTooLarge:
		w.Uint(uint64(f.size))
	case foundFailed:
		w.String(f.reason)
	}
}

func (f *found) fields() int {
	switch f.kind {
	case foundState:
		return 4
	case foundPart:
		return 5
	case foundUnderway, foundSame:
		return 2
	}
	return 3
}

// decodeAnswers reads the reply to a pull of so many ranges. States, parts and what was seen alias b.
func decodeAnswers(b []byte, asked int) (*answers, error) {
	r, err := open(methodPull, b, 2)
	if err != nil {
		return nil, err
	}
	a := &answers{more: r.Bool()}
	n := r.Array()
	if n > asked || n == 0 && asked > 0 {
		r.Fail("not the number of answers asked for")
		n = 0
	}
	for range n {
		a.at = append(a.at, readAt(r))
	}
	if a.more && (len(a.at) == 0 || len(a.at[len(a.at)-1].keys) == 0) {
		r.Fail("more to come of nothing")
	}
	return a, closed(methodPull, r)
}

func readAt(r *wire.Reader) at {
	if r.IsNil() {
		return at{equal: true}
	}
	n := r.Array()
	if n > maxKeysAt {
		r.Fail("more keys than a range has")
		return at{}
	}
	keys := make([]found, 0, min(n, 4))
	for range n {
		keys = append(keys, readFound(r))
		if r.Err() != nil {
			break
		}
	}
	return at{keys: keys}
}

func readFound(r *wire.Reader) found {
	n := r.Array()
	f := found{kind: count(r, foundPart)}
	if f.kind == foundSame {
		f.size = count(r, maxHeld-1)
	} else {
		f.key = r.String()
	}
	if n != f.fields() {
		r.Fail("key of another length")
		return f
	}
	switch f.kind {
	case foundState:
		f.sum, f.state = readFingerprint(r), r.Bytes()
	case foundPart:
		f.sum, f.state = readFingerprint(r), r.Bytes()
		if f.noRoom = r.IsNil(); !f.noRoom {
			f.seen = r.Bytes()
		}
	case foundMoving:
		f.state = r.Bytes()
	case foundTooLarge:
		f.size = count(r, 1<<40)
	case foundFailed:
		f.reason = cut(r.String(), maxReason)
	}
	return f
}

func readFingerprint(r *wire.Reader) (sum merkle.Fingerprint) {
	b := r.Bytes()
	if len(b) != fingerprintSize {
		r.Fail("fingerprint of another length")
		return sum
	}
	return fingerprintFrom(b)
}

// told reports whether f brings nothing but the news of a failure. Its key may be
// cut, so nothing is to be concluded from it.
func (f *found) told() bool { return f.kind == foundTooLarge || f.kind == foundFailed }

// compared reports whether f comes with a fingerprint.
func (f *found) compared() bool { return f.kind == foundState || f.kind == foundPart }

// problem is the error that f stands for, if it brings no state.
func (f *found) problem(limit int) error {
	switch f.kind {
	case foundTooLarge:
		return &TooLargeError{Key: f.key, Size: f.size, Max: limit}
	case foundFailed:
		return &RefusedError{Reason: f.reason}
	}
	return nil
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*TooLargeError](err)
	return ok
}

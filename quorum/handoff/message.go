package handoff

import (
	"strings"
	"time"

	"github.com/eventual-go/eventual/internal/wire"
)

// MethodReplay is what a [Handoff] calls, and its Handler serves. A [transport.Mux]
// takes it by the prefix "handoff/".
const MethodReplay = "handoff/replay"

const version = 1

// request:  [version, least, want, [key, state, ...]]
// response: [version, taken, [index, reason, ...], pause in ms, allowance]
//
// least and want are the bytes of the request after this one, zero if there will be
// none. The target has looked at the first taken hints of the request, in which the
// indexes of the refused ones ascend; the others are to be sent again. After the
// pause it takes a request of as many bytes as the allowance.

// Bounds on what messages cost.
const (
	requestOverhead = 32       // the head of a request
	hintHead        = 10       // of a key and a state in it
	maxReason       = 200      // bytes of a refusal's text
	maxTold         = 64       // refusals in one response that carry a text
	firstAllowance  = 16 << 10 // bytes that a target takes that has not said how many
)

// wireSize is how many bytes a hint takes in a request, at most.
func wireSize(key string, size int) int { return hintHead + len(key) + size }

// An entry is a hint in a request.
type entry struct {
	key   string
	state []byte
}

// A replay is a request.
type replay struct {
	least, want int
	hints       []entry
}

func (q *replay) encode() []byte {
	size := requestOverhead
	for i := range q.hints {
		size += wireSize(q.hints[i].key, len(q.hints[i].state))
	}
	w := wire.NewWriter(make([]byte, 0, size))
	w.Array(4)
	w.Uint(version)
	w.Uint(uint64(q.least))
	w.Uint(uint64(q.want))
	w.Array(2 * len(q.hints))
	for i := range q.hints {
		w.String(q.hints[i].key)
		w.Bytes(q.hints[i].state)
	}
	return w.Done()
}

// decodeReplay returns hints whose states alias b.
func decodeReplay(b []byte) (replay, error) {
	r, err := open(b, 4)
	if err != nil {
		return replay{}, err
	}
	q := replay{least: number(r), want: number(r)}
	n := r.Array()
	if n%2 != 0 {
		r.Fail("key without a state")
	}
	for range n / 2 {
		q.hints = append(q.hints, entry{r.String(), r.Bytes()})
		if r.Err() != nil {
			break
		}
	}
	return q, corrupt(MethodReplay, r.Close())
}

// A refusal is a hint that the target did not merge.
type refusal struct {
	index  int
	reason string
}

// An answer is a response.
type answer struct {
	taken     int
	refusals  []refusal
	pause     time.Duration
	allowance int
}

// encode returns the response, with the turn that the sender has next.
func (a *answer) encode(now time.Time, next turn) []byte {
	a.pause, a.allowance = max(0, next.at.Sub(now)), next.bytes
	w := wire.NewWriter(make([]byte, 0, 32))
	w.Array(5)
	w.Uint(version)
	w.Uint(uint64(a.taken))
	w.Array(2 * len(a.refusals))
	for _, r := range a.refusals {
		w.Uint(uint64(r.index))
		w.String(r.reason)
	}
	w.Uint(uint64((a.pause + time.Millisecond - 1) / time.Millisecond))
	w.Uint(uint64(a.allowance))
	return w.Done()
}

// decodeAnswer decodes the answer to a request of so many hints.
func decodeAnswer(b []byte, hints int) (answer, error) {
	r, err := open(b, 5)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if a.taken = number(r); a.taken > hints {
		r.Fail("more taken than sent")
	}
	n, last := r.Array(), -1
	if n%2 != 0 {
		r.Fail("refusal without a reason")
	}
	for range n / 2 {
		f := refusal{number(r), shortened(r.String())}
		if f.index <= last || f.index >= a.taken {
			r.Fail("refusal out of order")
		}
		if r.Err() != nil {
			break
		}
		a.refusals, last = append(a.refusals, f), f.index
	}
	a.pause = time.Duration(number(r)) * time.Millisecond
	a.allowance = number(r)
	return a, corrupt(MethodReplay, r.Close())
}

// open reads the head of a message with so many fields, the version included. The
// version is looked at first: a newer message may have another length.
func open(b []byte, fields int) (*wire.Reader, error) {
	r, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(MethodReplay, err)
	}
	n, v := r.Array(), r.Uint()
	switch {
	case r.Err() != nil:
	case v > version:
		return nil, ErrVersion
	case v != version || n != fields:
		r.Fail("not a message of this version")
	}
	return r, corrupt(MethodReplay, r.Err())
}

// number reads a number that is not larger than anything here can be.
func number(r *wire.Reader) int {
	n := r.Uint()
	if n > 1<<31-1 {
		r.Fail("number out of range")
		return 0
	}
	return int(n)
}

// shortened is a reason as it goes over the wire.
func shortened(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	return strings.ToValidUTF8(s, "")
}

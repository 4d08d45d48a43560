package antientropy

import (
	"time"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/transport"
)

// methodDeltas is a push of what waited in an [Outbox]: a push whose entries say
// how old they are.
const methodDeltas = "antientropy/deltas"

// deltas: [version, [key, state, age, key, state, age, ...]] → as the answer to a
// push. An age is in milliseconds.

// A delta is an entry that waits. Deltas are shared, never changed.
type delta struct {
	entry
	at  time.Duration // when it was put here
	age time.Duration // how long it had been on its way then
}

// arrival is d as it comes from a peer, with its state in the place of what was new.
func (d *delta) arrival(from transport.NodeID) arrival {
	return arrival{from: from, key: d.key, novel: d.state, age: d.age, aged: true}
}

// aged is how long d has been on its way, a moment before it arrives.
func (d *delta) aged(now, transit time.Duration) time.Duration {
	return max(0, d.age+now-d.at+transit)
}

const maxAge = 1 << 40 * time.Millisecond // what a message can say

func writeAge(w *wire.Writer, age time.Duration) {
	w.Uint(uint64(min(max(age, 0)+time.Millisecond/2, maxAge) / time.Millisecond))
}

func readAge(r *wire.Reader) time.Duration {
	return time.Duration(count(r, int(maxAge/time.Millisecond))) * time.Millisecond
}

func encodeDeltas(deltas []*delta, now, transit time.Duration) []byte {
	size := messageOverhead
	for _, d := range deltas {
		size += d.cost()
	}
	w := wire.NewWriter(make([]byte, 0, size))
	w.Array(2)
	w.Uint(version)
	w.Array(3 * len(deltas))
	for _, d := range deltas {
		w.String(d.key)
		w.Bytes(d.state)
		writeAge(w, d.aged(now, transit))
	}
	return w.Done()
}

// decodeDeltas returns deltas whose states alias b.
func decodeDeltas(b []byte) ([]delta, error) {
	r, err := open(methodDeltas, b, 1)
	if err != nil {
		return nil, err
	}
	n := r.Array()
	if n%3 != 0 {
		r.Fail("delta without an age")
	}
	deltas := make([]delta, 0, min(n/3, 256))
	for range n / 3 {
		deltas = append(deltas, delta{entry: entry{r.String(), r.Bytes()}, age: readAge(r)})
		if r.Err() != nil {
			break
		}
	}
	return deltas, closed(methodDeltas, r)
}

package vclock

import (
	"math"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
)

// The functions below are the bodies of the wire forms, without their envelopes. A read function refuses by
// failing the reader, and then returns the zero value, never nil.
//
//	replica    its bytes without the zero bytes at the end
//	timestamp  [wall, logical, replica]; the replica may be empty
//	clock      [replica, seq, replica, seq, ...] sorted by replica
//	context    [replica, runs, replica, runs, ...] sorted by replica
//	runs       [gap, more, gap, more, ...]: gap is how many events more than need be are missing before the
//	           run (none before the first, one before every other), more is how many follow its first one
//
// Whatever decodes, and is sorted, is valid and coalesced: there is no second way to write it.

// appendWire writes the id into an encoding.
func (r ReplicaID) appendWire(w *wire.Writer) {
	b := r.Bytes()
	w.Bytes(trimZeros(b[:]))
}

// readReplicaID reads what [ReplicaID.appendWire] wrote. It refuses the zero ReplicaID.
func readReplicaID(r *wire.Reader) ReplicaID {
	id := readAnyReplica(r)
	if id.IsZero() {
		r.Fail("zero replica")
	}
	return id
}

// appendWire writes the timestamp into an encoding.
func (t Timestamp) appendWire(w *wire.Writer) {
	w.Array(3)
	w.Int(t.Wall)
	w.Uint(uint64(t.Logical))
	t.Replica.appendWire(w)
}

// readTimestamp reads what [Timestamp.appendWire] wrote. It takes every timestamp, the zero one and those
// without a replica included, so that whatever was stamped here can be read elsewhere.
func readTimestamp(r *wire.Reader) Timestamp {
	r.ArrayOf(3)
	wall, logical := r.Int(), r.Uint()
	if logical > math.MaxUint32 {
		r.Fail("logical time out of range")
	}
	t := Timestamp{Wall: wall, Logical: uint32(logical), Replica: readAnyReplica(r)}
	if r.Err() != nil {
		return Timestamp{}
	}
	return t
}

// appendWire writes the clock into an encoding.
func (c *Clock) appendWire(w *wire.Writer) {
	list := c.list()
	w.Array(2 * len(list))
	for _, e := range list {
		e.replica.appendWire(w)
		w.Uint(e.seq)
	}
}

// readClock reads what [Clock.appendWire] wrote.
func readClock(r *wire.Reader) *Clock {
	n := readPairs(r)
	entries := slices.Grow([]entry(nil), n)
	var last ReplicaID
	for range n {
		last = readReplicaAfter(r, last)
		entries = append(entries, entry{replica: last, seq: readSeq(r)})
		if r.Err() != nil {
			return new(Clock)
		}
	}
	return &Clock{entries: entries}
}

// appendWire writes the context into an encoding.
func (c *Context) appendWire(w *wire.Writer) {
	list := c.list()
	w.Array(2 * list.replicas())
	for len(list) > 0 {
		n := list.run()
		list[0].Replica.appendWire(w)
		list[:n].appendRuns(w)
		list = list[n:]
	}
}

// readContext reads what [Context.appendWire] wrote.
func readContext(r *wire.Reader) *Context {
	n := readPairs(r)
	spans := slices.Grow(spanList(nil), n)
	var last ReplicaID
	for range n {
		last = readReplicaAfter(r, last)
		spans = spans.readRuns(r, last)
		if r.Err() != nil {
			return new(Context)
		}
	}
	return &Context{spans: spans}
}

// replicas is the number of replicas in the list.
func (l spanList) replicas() (n int) {
	for i := range l {
		if i == 0 || l[i].Replica != l[i-1].Replica {
			n++
		}
	}
	return n
}

// run is the number of spans at the start of the list, which is not empty, that are of one replica.
func (l spanList) run() int {
	n := 1
	for n < len(l) && l[n].Replica == l[0].Replica {
		n++
	}
	return n
}

// appendRuns writes the spans of one replica.
func (l spanList) appendRuns(w *wire.Writer) {
	w.Array(2 * len(l))
	var missing uint64 // the highest event that cannot be in the next span
	for _, s := range l {
		w.Uint(s.Lo - missing - 1)
		w.Uint(s.Hi - s.Lo)
		missing = s.Hi + 1 // wraps only after the last span that there can be
	}
}

// readRuns appends the spans of one replica.
func (l spanList) readRuns(r *wire.Reader, id ReplicaID) spanList {
	n := readPairs(r)
	if n == 0 {
		r.Fail("replica without events")
	}
	var missing, full uint64
	for range n {
		lo, over := bits.Add64(missing, r.Uint(), 1)
		hi, above := bits.Add64(lo, r.Uint(), 0)
		if full|over|above > 0 {
			r.Fail("sequence number out of range")
			return l
		}
		l = append(l, Span{Replica: id, Lo: lo, Hi: hi})
		missing, full = bits.Add64(hi, 1, 0)
	}
	return l
}

// readPairs reads the head of an array of pairs and returns their number.
func readPairs(r *wire.Reader) int {
	n := r.Array()
	if n%2 != 0 {
		r.Fail("array of pairs with an odd length")
		return 0
	}
	return n / 2
}

func readSeq(r *wire.Reader) uint64 {
	seq := r.Uint()
	if seq == 0 {
		r.Fail("sequence number zero")
	}
	return seq
}

// readReplicaAfter reads an id that must be higher than last.
func readReplicaAfter(r *wire.Reader, last ReplicaID) ReplicaID {
	id := readReplicaID(r)
	if !last.less(id) {
		r.Fail("replicas not sorted")
	}
	return id
}

func readAnyReplica(r *wire.Reader) (id ReplicaID) {
	raw := r.Bytes()
	if len(raw) > idSize || len(raw) > 0 && raw[len(raw)-1] == 0 {
		r.Fail("not the bytes of a replica id")
		return ReplicaID{}
	}
	var b [idSize]byte
	copy(b[:], raw)
	return ReplicaIDFrom(b)
}

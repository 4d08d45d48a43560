package store

import (
	"encoding/binary"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/vclock"
)

// What a store keeps in its backend, each under a key that begins with one of these bytes:
//
//	v tenure key   the value, encoded, of the present generation (never with a stamp)
//	f tenure key   what is known of a key without its value: a row
//	m              the head: who this store is, and where it stands in the chain of records
//	p              the proposal that was promised last, if there is one
//	r number       a record of the chain
//	c              a moment that no stamp has passed
//	s              a summary of all rows, as of when the store was closed
//
// Numbers are big-endian. A store that is emptied goes on under the next tenure, so that the switch is one write.
const (
	spaceValue    = 'v'
	spaceRow      = 'f'
	spaceHead     = 'm'
	spacePromise  = 'p'
	spaceRecord   = 'r'
	spaceClock    = 'c'
	spaceSummary  = 's'
	tenurePrefix  = 5 // bytes before a key
	rowSize       = 1 + 16
	rowWriterSize = 4 + 16
)

// appendKey appends the key under which something of a key is kept.
func appendKey(b []byte, space byte, tenure uint32, key string) []byte {
	b = append(b, space)
	b = binary.BigEndian.AppendUint32(b, tenure)
	return append(b, key...)
}

// recordKey is the key of the n-th record.
func recordKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{spaceRecord}, n) }

// A row is what is known of a key without its value.
type row struct {
	fingerprint merkle.Fingerprint
	live        bool
	rotation    uint32
	writer      vclock.ReplicaID // zero if nothing was ever written here
	deadline    int64
}

const (
	rowLive     = 1 << iota
	rowWritten  // a writer follows
	rowDeadline // a deadline follows
)

// appendTo appends [flags, fingerprint, rotation and writer if any, deadline if any] in as many bytes as that takes.
func (r *row) appendTo(b []byte) []byte {
	flags := byte(0)
	if r.live {
		flags |= rowLive
	}
	if !r.writer.IsZero() {
		flags |= rowWritten
	}
	if r.deadline != 0 {
		flags |= rowDeadline
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, r.fingerprint.Hi)
	b = binary.BigEndian.AppendUint64(b, r.fingerprint.Lo)
	if flags&rowWritten != 0 {
		name := r.writer.Bytes()
		b = binary.BigEndian.AppendUint32(b, r.rotation)
		b = append(b, name[:]...)
	}
	if flags&rowDeadline != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(r.deadline))
	}
	return b
}

// decodeRow returns the row in b, and whether it is one.
func decodeRow(b []byte) (r row, ok bool) {
	if len(b) < rowSize || b[0] >= 2*rowDeadline {
		return row{}, false
	}
	flags := b[0]
	r.live = flags&rowLive != 0
	r.fingerprint = merkle.Fingerprint{Hi: binary.BigEndian.Uint64(b[1:]), Lo: binary.BigEndian.Uint64(b[9:])}
	b = b[rowSize:]
	if flags&rowWritten != 0 {
		if len(b) < rowWriterSize {
			return row{}, false
		}
		r.rotation = binary.BigEndian.Uint32(b)
		r.writer = vclock.ReplicaIDFrom([16]byte(b[4:rowWriterSize]))
		b = b[rowWriterSize:]
	}
	if flags&rowDeadline != 0 {
		if len(b) < 8 {
			return row{}, false
		}
		r.deadline = int64(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	return r, len(b) == 0
}

// A head is what a store must know of itself before it can do anything.
type head struct {
	named    vclock.ReplicaID // as it was opened, zero if without a name
	base     vclock.ReplicaID // who it is, until it rotates
	writer   vclock.ReplicaID
	writers  uint64 // of base
	rotation uint32
	place    string             // where it was when it wrote that
	closed   bool               // nothing was written after that
	check    merkle.Fingerprint // of the secret that the rows are hashed with; zero while they are made again

	at        stamp
	tenure    uint32
	turning   bool // the keys may not have come along yet
	inherited []vclock.ReplicaID
}

const (
	headVersion = 1
	formHead    = "head of a store"
)

// appendMoment appends a moment in nanoseconds.
func appendMoment(b []byte, wall int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(wall)) }

// encode returns [version, named, base, writer, writers, rotation, place, closed, check, check, number, id, tenure,
// turning, [inherited, ...]].
func (h *head) encode() []byte {
	w := wire.NewWriter(nil)
	w.Array(15)
	w.Uint(headVersion)
	writeReplica(w, h.named)
	writeReplica(w, h.base)
	writeReplica(w, h.writer)
	w.Uint(h.writers)
	w.Uint(uint64(h.rotation))
	w.Bytes([]byte(h.place))
	w.Bool(h.closed)
	w.Uint(h.check.Hi)
	w.Uint(h.check.Lo)
	w.Uint(h.at.number)
	w.Uint(h.at.id)
	w.Uint(uint64(h.tenure))
	w.Bool(h.turning)
	w.Array(len(h.inherited))
	for _, id := range h.inherited {
		writeReplica(w, id)
	}
	return w.Done()
}

func decodeHead(b []byte) (*head, error) {
	rd, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(formHead, err)
	}
	if fields, v := rd.Array(), rd.Uint(); rd.Err() == nil && v > headVersion {
		return nil, &crdt.VersionError{Kind: formHead, Version: v, Supported: headVersion}
	} else if v != headVersion || fields != 15 {
		rd.Fail("not a head")
	}
	h := &head{named: readReplica(rd), base: readReplica(rd), writer: readReplica(rd), writers: rd.Uint()}
	h.rotation = readUint32(rd)
	h.place, h.closed = string(rd.Bytes()), rd.Bool()
	h.check.Hi, h.check.Lo = rd.Uint(), rd.Uint()
	h.at.number, h.at.id = rd.Uint(), rd.Uint()
	h.tenure = readUint32(rd)
	h.turning = rd.Bool()
	if _, known := h.at.known(); h.base.IsZero() || h.writer.IsZero() || !known && !h.at.isZero() {
		rd.Fail("nobody, or nowhere")
	}
	for range rd.Array() {
		if rd.Err() != nil {
			break
		}
		h.inherited = append(h.inherited, readReplica(rd))
	}
	return h, corrupt(formHead, rd.Close())
}

func readUint32(r *wire.Reader) uint32 {
	n := r.Uint()
	if n > 1<<32-1 {
		r.Fail("number out of range")
	}
	return uint32(n)
}

// A summary is what all rows must add up to.
type summary struct {
	keys int
	root merkle.Fingerprint
}

func (s summary) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.keys))
	b = binary.BigEndian.AppendUint64(b, s.root.Hi)
	return binary.BigEndian.AppendUint64(b, s.root.Lo)
}

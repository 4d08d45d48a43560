package antientropy

import (
	"time"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/transport"
)

// A parcel is a delta in the log of a [Broadcast]: number seq of its origin.
type parcel struct {
	delta
	stream       *stream
	seq          uint64
	from         transport.NodeID // who has it, since it came from there; "" if nobody
	older, newer *parcel          // of the same key
}

// write writes p for a peer, without what that has.
func (p *parcel) write(w *wire.Writer, to transport.NodeID, age time.Duration) {
	if p.from == to || len(p.state) == 0 {
		w.String("")
		w.Bytes(nil)
	} else {
		w.String(p.key)
		w.Bytes(p.state)
	}
	writeAge(w, age)
}

func (p *parcel) weight(to transport.NodeID) int {
	if p.from == to {
		return entryOverhead
	}
	return p.cost()
}

// parcels are the log: in the order of arrival, so those of one origin in theirs.
type parcels struct {
	all   []*parcel // from head on
	head  int
	first uint64 // number of arrival of the oldest
	bytes int
	keys  map[string]*parcel // the newest of each key
}

func (ps *parcels) len() int    { return len(ps.all) - ps.head }
func (ps *parcels) end() uint64 { return ps.first + uint64(ps.len()) }

// since are those that arrived at number n or later.
func (ps *parcels) since(n uint64) []*parcel {
	return ps.all[ps.head+int(max(n, ps.first)-ps.first):]
}

func (ps *parcels) add(p *parcel) {
	ps.all = append(ps.all, p)
	ps.bytes += p.cost()
	if len(p.state) == 0 {
		return
	}
	if ps.keys == nil {
		ps.keys = make(map[string]*parcel)
	}
	if p.older = ps.keys[p.key]; p.older != nil {
		p.older.newer = p
	}
	ps.keys[p.key] = p
}

// drop takes the oldest away.
func (ps *parcels) drop() {
	p := ps.all[ps.head]
	ps.all[ps.head] = nil
	ps.head++
	ps.first++
	ps.bytes -= p.cost()
	switch {
	case p.newer != nil:
		p.newer.older = nil
	case ps.keys[p.key] == p:
		delete(ps.keys, p.key)
	}
	if ps.head > 1024 && ps.head > ps.len() {
		ps.all, ps.head = append([]*parcel(nil), ps.all[ps.head:]...), 0
	}
}

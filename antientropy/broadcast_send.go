package antientropy

import (
	"cmp"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A treeFlight is a batch on its way; none if its id is zero.
type treeFlight struct {
	id     uint64
	sent   time.Duration
	covers []mark
	news   []mark
	runs   []flown
	keys   []string // of the entries, for those that are refused
}

// A flown is a run on its way.
type flown struct {
	stream *stream
	first  uint64
}

// Batch returns what is to be told to peer: the oldest deltas that it lacks, as many
// as fit into one message, what to ask it for, and how far this node has come. ok is
// false if there is nothing, or a batch is on its way. Numbers alone, which nobody
// waits for, wait for a quarter of Patience.
func (b *Broadcast) Batch(peer transport.NodeID) (batch Batch, ok bool) {
	l := b.links[peer]
	if l == nil || !l.open || l.flight.id != 0 {
		return Batch{}, false
	}
	var m treeMessage
	size := messageOverhead + b.control(l, &m)
	sends, keys, bytes := b.runs(l, size)
	if size += bytes; len(sends)+len(m.grafts)+len(m.covers) == 0 && (len(m.news) == 0 || b.now-l.told < b.patience()/4) {
		return Batch{}, false
	}
	b.batches++
	l.told, l.grafts = b.now, l.grafts[:copy(l.grafts, l.grafts[len(m.grafts):])]
	l.flight = treeFlight{id: b.batches, sent: b.now, covers: m.covers, news: m.news, keys: keys}
	for _, s := range sends {
		l.flight.runs = append(l.flight.runs, flown{s.stream, s.parcels[0].seq})
	}
	return Batch{ID: b.batches, Method: methodTree, Request: b.encode(l, &m, sends, size), Keys: len(keys)}, true
}

// control gathers all but deltas, for at most half a message, and returns its size.
func (b *Broadcast) control(l *link, m *treeMessage) (size int) {
	room := (maxMessage(b.MaxMessage)/2 - messageOverhead) / markSize
	for _, s := range l.grafts {
		if room--; room < 0 {
			break
		}
		m.grafts = append(m.grafts, mark{s.id, s.have})
	}
	for _, s := range b.known {
		t := l.track(s)
		switch {
		case room <= 0:
		case t.cover > 0:
			m.covers = append(m.covers, mark{s.id, t.cover})
			room--
		case t.pruned && s.have > max(t.known, t.told):
			m.news = append(m.news, mark{s.id, s.have})
			room--
		}
	}
	return markSize * (len(m.grafts) + len(m.covers) + len(m.news))
}

// runs gathers the oldest deltas that a peer lacks, for a message of which so much
// is taken.
func (b *Broadcast) runs(l *link, taken int) (sends []sending, keys []string, bytes int) {
	limit := maxMessage(b.MaxMessage)
	open := make(map[*stream]int)
	l.next = max(l.next, b.log.first)
	for _, p := range b.log.since(l.next) {
		if !l.lacks(p) {
			if len(keys) == 0 {
				l.next++
			}
			continue
		}
		i, more := open[p.stream]
		more = more && sends[i].last() == p.seq-1
		weight := p.weight(l.id)
		if !more {
			weight += runSize
		}
		if len(keys) > 0 && taken+bytes+weight > limit {
			break
		}
		if !more {
			i = len(sends)
			open[p.stream] = i
			sends = append(sends, sending{stream: p.stream})
		}
		sends[i].parcels = append(sends[i].parcels, p)
		keys = append(keys, "")
		bytes += weight
	}
	keys = keys[:0]
	for _, s := range sends { // in the order of the message
		for _, p := range s.parcels {
			keys = append(keys, p.key)
		}
	}
	return sends, keys, bytes
}

func (s *sending) last() uint64 { return s.parcels[len(s.parcels)-1].seq }

// Acked takes the response to a batch and returns the keys that the peer refused,
// as [Outbox.Acked] does.
func (b *Broadcast) Acked(peer transport.NodeID, id uint64, resp []byte) ([]Refused, error) {
	l := b.links[peer]
	if l == nil || id == 0 || l.flight.id != id {
		return nil, nil
	}
	f := l.flight
	p, outcomes, err := decodeReceipt(resp, len(f.keys), len(f.runs))
	if err != nil {
		return nil, err
	}
	var refused []Refused
	for _, t := range p.told {
		refused = append(refused, Refused{Peer: peer, Key: f.keys[t.index], Err: &RefusedError{Reason: t.reason}})
	}
	l.flight, l.transit = treeFlight{}, (b.now-f.sent)/2
	b.heardOf(l, f)
	if b.outcomes(l, f, outcomes) {
		l.failures = 0
	} else if l.failures++; l.failures >= cmp.Or(b.Attempts, 2) {
		b.Close(peer) // it takes nothing of what it is sent
	}
	return refused, nil
}

// heardOf notes what the peer was told.
func (b *Broadcast) heardOf(l *link, f treeFlight) {
	for _, m := range f.covers {
		if s := b.streams[m.origin]; s != nil && l.track(s).cover == m.upto {
			l.track(s).cover = 0
		}
	}
	for _, m := range f.news {
		if s := b.streams[m.origin]; s != nil {
			l.track(s).told = max(l.track(s).told, m.upto)
		}
	}
}

// outcomes notes what became of the runs, and reports whether any brought the peer
// further.
func (b *Broadcast) outcomes(l *link, f treeFlight, outcomes []outcome) (progress bool) {
	for i, r := range f.runs {
		t, o := l.track(r.stream), outcomes[i]
		progress = progress || o.have >= r.first
		t.pruned = t.pruned || o.prune
		if o.prune {
			t.told = max(t.told, o.have)
		}
		b.stands(l, r.stream, o.have)
	}
	return progress || len(f.runs) == 0
}

// stands notes how far a peer is. What it lacks and is not kept any more only a
// reconciliation brings; what is not kept because a reconciliation brings it here is
// brought on by this node under numbers of its own.
func (b *Broadcast) stands(l *link, s *stream, have uint64) {
	t := l.track(s)
	if have < t.known {
		l.next = b.log.first
	}
	t.known = min(have, s.have)
	if have < s.evicted {
		b.Close(l.id)
	}
}

// Failed says that a batch was not acknowledged, as [Outbox.Failed] does. Peers that
// wait for what it was to bring will ask others for it.
func (b *Broadcast) Failed(peer transport.NodeID, id uint64) (dropped int, closed bool) {
	l := b.links[peer]
	if l == nil || id == 0 || l.flight.id != id {
		return 0, false
	}
	l.flight, l.told = treeFlight{}, b.now-b.patience()
	l.failures++
	if l.failures < cmp.Or(b.Attempts, 2) {
		return 0, false
	}
	return b.Close(peer), true
}

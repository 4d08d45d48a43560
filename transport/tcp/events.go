package tcp

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Events are what a [Transport] tells as it happens. The functions may be nil. They
// are called from several goroutines at once, with no lock held; what they delay is
// one connection.
type Events struct {
	// OnRefused is told of connections that come to nothing, whichever side made them
	// and whichever side refused: those whose handshake fails, and those that end since
	// the other side's certificate has expired, its authority is believed no more,
	// TLS.Allow allows it no more, or it has stalled.
	//
	// Who can connect can cause any number of them. So of each Reason 16 are told at
	// once, and then four a second; Stats counts them all.
	OnRefused func(Refusal)
}

// A Refusal is a connection that came to nothing.
type Refusal struct {
	Err     *HandshakeError // why, from which address, and which node it was said to be
	Dialled bool            // by this node
	Missed  uint64          // refusals for the same reason since the last one that was told
}

const (
	reportBurst = 16
	reportEvery = time.Second / 4
)

// reports says which refusals are told.
type reports struct {
	mu  sync.Mutex
	all [allReasons]bucket
}

type bucket struct {
	full   time.Time // when all of reportBurst may be told again
	missed uint64
}

// take says whether a refusal is told, and how many were not.
func (r *reports) take(reason Reason, now time.Time) (missed uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.all[min(reason, allReasons-1)]
	if b.full.Sub(now) > (reportBurst-1)*reportEvery {
		b.missed++
		return 0, false
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(reportEvery)
	missed, b.missed = b.missed, 0
	return missed, true
}

// gaveUp counts and tells of it if what ended a connection is that the other side
// stalled, and returns that in words.
func (t *Transport) gaveUp(err error, conn net.Conn, id transport.NodeID, dialled bool) error {
	if !errors.Is(err, errStalled) {
		return err
	}
	e := explain(&HandshakeError{Reason: ReasonStalled}, conn, id)
	t.stats.stalled.Add(1)
	t.refused(e, dialled)
	return e
}

// refused tells of a connection that came to nothing.
func (t *Transport) refused(e *HandshakeError, dialled bool) {
	if t.Events.OnRefused == nil {
		return
	}
	if missed, ok := t.reports.take(e.Reason, time.Now()); ok {
		t.Events.OnRefused(Refusal{Err: e, Dialled: dialled, Missed: missed})
	}
}

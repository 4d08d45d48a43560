package ring

import (
	"slices"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// Events are called as things happen; a nil one is not called. They are called by several goroutines,
// and with no lock held.
type Events struct {
	// OnAdopt is called when the node goes on with another ring. Of several one after the other
	// some may be left out, and they may come in any order: see [Keeper.Ring] for the present one.
	OnAdopt func(*Ring)
	// OnConflict is called each time a ring is met that is another one of the same epoch.
	OnConflict func(*ConflictError)
	// OnTransfer is called at the end of each reconciliation that a change of the ring asks for.
	OnTransfer func(TransferEvent)
	// OnDrop is called when ranges that this node has handed over were discarded, or could not be.
	OnDrop func(DropEvent)
}

// A TransferEvent is the outcome of one call of the Transfer of a [Keeper], or of its HandOver.
//
// Where one fails again and again with Partitions of length one, that partition is what the change waits for: see
// the package documentation for what to do.
type TransferEvent struct {
	Peer       transport.NodeID
	Partitions []int // ascending
	Ranges     []merkle.Range
	Give       bool // it was HandOver
	Err        error
}

// A DropEvent is the outcome of one call of the Discard of a [Keeper]'s Store, or several, and of saving
// that the ranges are handed over.
type DropEvent struct {
	Ranges []merkle.Range
	Err    error
}

func (e *Events) adopted(r *Ring) {
	if e.OnAdopt != nil {
		e.OnAdopt(r)
	}
}

func (e *Events) conflict(c *ConflictError) {
	if e.OnConflict != nil {
		e.OnConflict(c)
	}
}

func (e *Events) transferred(t Task, err error) {
	if e.OnTransfer != nil {
		e.OnTransfer(TransferEvent{t.Peer, t.parts, t.Ranges, t.Give, err})
	}
}

func (e *Events) dropped(ranges []merkle.Range, err error) {
	if e.OnDrop != nil {
		e.OnDrop(DropEvent{ranges, err})
	}
}

// Stats are what a Keeper has done, and has to do.
type Stats struct {
	Epoch     uint64             // of the present ring
	Changing  bool               // a change is under way
	Done      bool               // this node is done with it
	Gets      int                // partitions that this node has to reconcile to be done
	Gives     int                // partitions that it has not handed over and dropped yet
	Waits     []transport.NodeID // the nodes that it has to hear of to go on, by ID
	Asked     uint64             // calls of MethodState made by Run
	Unheard   uint64             // those that failed, or whose answer was refused
	Transfers uint64             // that were begun
	Failed    uint64             // of those that have ended
}

// Stats returns what there is to know at this moment.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	s := k.counts
	k.mu.Unlock()
	if v := k.view.Load(); v != nil {
		s.Epoch, s.Changing, s.Done = v.state.Epoch, v.ring.changing, v.state.Done
		s.Gets, s.Gives, s.Waits = v.gets, v.gives, slices.Clone(v.ask)
	}
	return s
}

func (k *Keeper) count(f func(*Stats)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.counts)
}

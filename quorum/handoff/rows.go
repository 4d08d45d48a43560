package handoff

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/transport"
)

// A Log is where hints are kept while this node is down: rows of bytes, each under an
// ID. Package quorum/handoff/pebblehints has one on disk. A [Handoff] calls it from
// one goroutine at a time.
type Log interface {
	// Apply carries out rows in their order, and returns when they are durable. An
	// error is final: nobody knows what is on the disk then, so Apply is not called
	// again. It must not keep the rows' values after it has returned.
	Apply(rows []Row) error

	// All returns all rows that there are, in any order. It is called once, before
	// anything is applied. The values are the caller's. It ends with the first error.
	All() iter.Seq2[Row, error]
}

// A Row is one row of a [Log].
type Row struct {
	ID    string // any bytes, a few more than a target's name and a key together
	Value []byte // in place of what is there; if empty, the row is to be deleted
}

// ID: [target, key] of a hint, [target] of what is marked of a target.
// Value: [version, since in ms of Unix time, state], and [version, marks].

const rowVersion = 1

func (h *hint) id() string {
	w := wire.NewWriter(make([]byte, 0, 16+len(h.target.id)+len(h.key)))
	w.Array(2)
	w.String(string(h.target.id))
	w.String(h.key)
	return string(w.Done())
}

func (h *hint) row() Row {
	w := wire.NewWriter(make([]byte, 0, 24+len(h.state)))
	w.Array(3)
	w.Uint(rowVersion)
	w.Int(h.since.UnixMilli())
	w.Bytes(h.state)
	return Row{ID: h.id(), Value: w.Done()}
}

func (t *target) markID() string {
	w := wire.NewWriter(nil)
	w.Array(1)
	w.String(string(t.id))
	return string(w.Done())
}

func (t *target) row() Row {
	w := wire.NewWriter(nil)
	w.Array(2)
	w.Uint(rowVersion)
	w.Uint(uint64(t.marks))
	return Row{ID: t.markID(), Value: w.Done()}
}

// Load puts in what a [Log] has, before anything else: hints as old as they were.
// Tick must have been called. It fails with the error of rows, with a
// *[CorruptError], or with [ErrVersion]. The limits do not apply to what is there.
func (b *Buffer) Load(rows iter.Seq2[Row, error]) error {
	for row, err := range rows {
		if err == nil {
			err = b.load(row)
		}
		if err != nil {
			return err
		}
	}
	for _, id := range b.ids() {
		t := b.targets[id]
		t.arrange()
		b.tidy(t) // marks may be all that an earlier program, or a crash, has left
	}
	return nil
}

// load puts in one row. Those of a target are to be arranged afterwards.
func (b *Buffer) load(row Row) error {
	to, key, marked, err := parseID(row.ID)
	if err != nil {
		return err
	}
	r, err := openRow(row.Value)
	if err != nil {
		return err
	}
	t := b.targets[to]
	if t == nil {
		t = newTarget(to)
		b.meet(t)
	}
	if marked {
		t.marks |= marks(r.Uint()) & allMarks
		return corrupt(inRow, r.Close())
	}
	since, state := time.UnixMilli(r.Int()), r.Bytes()
	if err := r.Close(); err != nil {
		return corrupt(inRow, err)
	}
	if since.After(b.now) {
		since = b.now // the clock was put back
	}
	if had := t.hints[key]; had != nil {
		b.bytes -= had.cost()
		t.bytes -= had.cost()
	}
	h := &hint{target: t, key: key, state: slices.Clone(state), since: since, fresh: since, seq: 1}
	t.hints[key] = h
	t.bytes += h.cost()
	b.bytes += h.cost()
	return nil
}

// arrange puts the hints of a target that was loaded in order.
func (t *target) arrange() {
	t.queue = make([]*hint, 0, len(t.hints))
	for _, h := range t.hints {
		t.queue = append(t.queue, h)
	}
	slices.SortFunc(t.queue, func(a, b *hint) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.key, b.key))
	})
	t.oldest, t.newest = nil, nil
	for _, h := range t.queue {
		t.link(h)
	}
}

func parseID(id string) (to transport.NodeID, key string, marked bool, err error) {
	r, err := wire.NewReader([]byte(id))
	if err != nil {
		return "", "", false, corrupt(inRow, err)
	}
	switch r.Array() {
	case 1:
		to, marked = transport.NodeID(r.String()), true
	case 2:
		to, key = transport.NodeID(r.String()), r.String()
	default:
		r.Fail("not the name of a row")
	}
	return to, key, marked, corrupt(inRow, r.Close())
}

// openRow reads the version of a row's value.
func openRow(value []byte) (*wire.Reader, error) {
	r, err := wire.NewReader(value)
	if err != nil {
		return nil, corrupt(inRow, err)
	}
	r.Array()
	switch v := r.Uint(); {
	case r.Err() != nil:
	case v > rowVersion:
		return nil, ErrVersion
	case v == 0:
		r.Fail("unknown version")
	}
	return r, corrupt(inRow, r.Err())
}

// inRow is the place of a [CorruptError] in a row.
const inRow = "row"

// corrupt is err as a *CorruptError, if it comes from the codec.
func corrupt(where string, err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &CorruptError{Where: where, Offset: e.Offset, Reason: e.Reason}
	}
	return err
}

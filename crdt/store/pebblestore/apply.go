package pebblestore

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/eventual-go/eventual/crdt/store"
)

// maxApply bounds the bytes of one Apply. Pebble cannot take 4 GiB at once.
const maxApply = 1 << 30

var (
	errUnknownOp = errors.New("pebblestore: unknown kind of step")
	errWaited    = errors.New("pebblestore: waited for twice")
)

// Apply implements [store.Backend]. It waits only while the disk is far behind: while four tables of writes are still to
// be written out, or too many small ones lie beside one another. More than 1 GiB at once is a failure
// ([pebble.ErrBatchTooLarge]).
func (b *Backend) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	if err := b.await(); err != nil {
		return nil, err
	}
	if len(ops) == 0 && !sync {
		return nil, nil
	}
	if size(ops) > maxApply {
		return nil, b.guard.fail("apply", "", pebble.ErrBatchTooLarge)
	}
	batch := b.db.NewBatch()
	if err := fill(batch, ops); err != nil {
		return nil, b.guard.fail("apply", "", err)
	}
	if sync {
		return b.start(batch)
	}
	return nil, b.finish(batch, b.db.Apply(batch, pebble.NoSync))
}

// start puts batch into the log's queue, and leaves it to the Commit to wait for it.
func (b *Backend) start(batch *pebble.Batch) (store.Commit, error) {
	if err := b.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return nil, b.finish(batch, err)
	}
	if err := b.guard.failed(); err != nil {
		return nil, err // the batch is still in the queue, so it must not be used again
	}
	c := &commit{b: b}
	c.batch.Store(batch)
	return c, nil
}

// finish gives batch back. It fails if the backend has failed meanwhile: whatever was applied may not be in the log.
func (b *Backend) finish(batch *pebble.Batch, err error) error {
	if err != nil {
		return b.guard.fail("apply", "", err)
	}
	if err := batch.Close(); err != nil {
		return b.guard.fail("apply", "", err)
	}
	return b.guard.failed()
}

// A commit is a batch that is on its way. One that nobody waits for is left to the garbage collector.
type commit struct {
	b     *Backend
	batch atomic.Pointer[pebble.Batch]
}

// Wait implements [store.Commit].
func (c *commit) Wait() error {
	batch := c.batch.Swap(nil)
	if batch == nil {
		return errWaited
	}
	return c.b.finish(batch, batch.SyncWait())
}

func size(ops []store.Op) (n int64) {
	for i := range ops {
		n += int64(len(ops[i].Key)) + int64(len(ops[i].Value)) + 32
	}
	return n
}

// fill puts ops into batch. Without any it puts in something to write, so that there is something to wait for.
func fill(batch *pebble.Batch, ops []store.Op) error {
	if len(ops) == 0 {
		return batch.LogData(nil, nil)
	}
	for i := range ops {
		if err := put(batch, &ops[i]); err != nil {
			return err
		}
	}
	return nil
}

func put(batch *pebble.Batch, op *store.Op) error {
	n := 1 + len(op.Key)
	var d *pebble.DeferredBatchOp
	switch op.Kind {
	case store.OpSet:
		d = batch.SetDeferred(n, len(op.Value))
	case store.OpJoin:
		d = batch.MergeDeferred(n, len(op.Value))
	case store.OpDelete:
		d = batch.DeleteDeferred(n)
	case store.OpDeletePrefix:
		start := data(nil, op.Key)
		return batch.DeleteRange(start, after(start), nil)
	default:
		return errUnknownOp
	}
	data(d.Key[:0], op.Key)
	copy(d.Value, op.Value)
	return d.Finish()
}

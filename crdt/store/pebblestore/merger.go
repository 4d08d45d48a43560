package pebblestore

import (
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// mergerName is in the files. Whoever joins otherwise than [store.Joined] does needs another one, so that neither opens
// what the other wrote.
const mergerName = "eventual.join.1"

// merger makes Pebble join values that were put under one key.
func merger(kinds *crdt.Kinds) *pebble.Merger {
	return &pebble.Merger{
		Name: mergerName,
		Merge: func(_, value []byte) (pebble.ValueMerger, error) {
			j := joinings.Get().(*joining)
			j.kinds = kinds
			return j, j.MergeNewer(value)
		},
	}
}

// A joining collects values and joins them all at the end, so that many small ones on top of a large one cost the large
// one once. Most have one value, since Pebble makes one for every key that it writes out: so they are used again.
type joining struct {
	kinds        *crdt.Kinds
	older, newer [][]byte // further away from the first one as they go on
	kept         []byte   // their bytes
}

var joinings = sync.Pool{New: func() any { return new(joining) }}

// maxUsed bounds the number of values for which one that is used again has room.
const maxUsed = 1 << 10

// keep returns a copy: Pebble's bytes are its own.
func (j *joining) keep(value []byte) []byte {
	from := len(j.kept)
	j.kept = append(j.kept, value...)
	return j.kept[from:len(j.kept):len(j.kept)]
}

// MergeNewer implements [pebble.ValueMerger].
func (j *joining) MergeNewer(value []byte) error {
	j.newer = append(j.newer, j.keep(value))
	return nil
}

// MergeOlder implements [pebble.ValueMerger].
func (j *joining) MergeOlder(value []byte) error {
	j.older = append(j.older, j.keep(value))
	return nil
}

// Finish implements [pebble.ValueMerger]. Without the base it returns what can be joined to it later. Nobody calls j
// after it.
func (j *joining) Finish(bool) ([]byte, io.Closer, error) {
	slices.Reverse(j.older)
	j.older = append(j.older, j.newer...)
	value := store.Joined(j.kinds, j.older...)
	j.reuse()
	return value, nil, nil
}

// reuse gives j back, without the bytes: the result may be some of them.
func (j *joining) reuse() {
	if cap(j.older)+cap(j.newer) > maxUsed {
		return
	}
	clear(j.older)
	clear(j.newer)
	j.older, j.newer, j.kept = j.older[:0], j.newer[:0], nil
	joinings.Put(j)
}

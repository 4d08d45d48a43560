package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"github.com/eventual-go/eventual/crdt/store"
)

// data appends the key under which key lies to b.
func data(b, key []byte) []byte { return append(append(b, dataKeys), key...) }

// after returns the first key that follows all those that start with prefix, which must begin with a byte below 0xff.
func after(prefix []byte) []byte {
	end := len(prefix)
	for prefix[end-1] == 0xff {
		end--
	}
	next := append([]byte(nil), prefix[:end]...)
	next[end-1]++
	return next
}

// Get implements [store.Backend]. It costs the size of what is there, and of each value joined to it that has not been
// written to a table together with others yet.
func (b *Backend) Get(key []byte) ([]byte, error) {
	if b.closed.Load() {
		return nil, errClosed
	}
	value, closer, err := b.db.Get(data(make([]byte, 0, 64), key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pebblestore: read %q: %w", key, damaged(err))
	}
	value = append(make([]byte, 0, len(value)), value...)
	if err := closer.Close(); err != nil {
		return nil, fmt.Errorf("pebblestore: read %q: %w", key, damaged(err))
	}
	return value, nil
}

// Scan implements [store.Backend]. It keeps the files as they were when it began, so a long one costs space on the disk.
// It ends where something cannot be read, with an error that has [store.ErrDamaged] in its tree.
func (b *Backend) Scan(prefix, from []byte, visit func(key, value []byte) error) (err error) {
	if b.closed.Load() {
		return errClosed
	}
	lower := data(nil, prefix)
	it, err := b.db.NewIter(&pebble.IterOptions{
		LowerBound: append(lower[:len(lower):len(lower)], from...),
		UpperBound: after(lower),
	})
	if err != nil {
		return fmt.Errorf("pebblestore: scan %q: %w", prefix, damaged(err))
	}
	defer closing(it, prefix, &err)
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil // which the iterator says once more when it is closed
		}
		if err := visit(it.Key()[1:], value); err != nil {
			return err
		}
	}
	return nil
}

// closing puts what it says to its end into err, unless there is something before it.
func closing(it io.Closer, prefix []byte, err *error) {
	if e := it.Close(); e != nil && *err == nil {
		*err = fmt.Errorf("pebblestore: scan %q: %w", prefix, damaged(e))
	}
}

// damaged marks err if it speaks of bytes that do not come back: their sum is wrong, their file is gone, or the disk
// cannot read them.
func damaged(err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.EIO) {
		return errors.Join(store.ErrDamaged, err)
	}
	return err
}

package store

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
)

// Backup writes all that the store holds at the moment to w, as a [Snapshot] has it, while the store may be written to;
// [Store.Restore] reads it, into a store in memory or on any disk. Deleted keys are in it, with what is left of them. Of
// what only this store is it has nothing: not its identity, nor what it has promised. Equal stores of one generation
// write equal backups.
//
// It holds one state at a time in memory, the keys, and what each key was that changes before its turn. No lock is held
// while it writes.
//
// It is a stream of frames: 4 bytes that are the length of what follows, that, and the first 8 bytes of the SHA-256 of
// the whole stream before them. What follows is, in msgpack,
//
//	["eventual backup", 1, number, id]   first, with the two numbers of the generation
//	[key, value]                         for each key, in ascending order, with the encoded value as bytes
//	[count]                              at the end, how many keys there were
//
// The hashes tell damage and truncation, not forgery: they have no secret.
//
// Errors: those of w; *[EncodeError] if there are states that cannot be encoded, and those of bytes if there are some on
// disk that only another version can read, of the first of them: the backup is complete then but for those; ctx's error; those of a disk ([Open]).
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := cmp.Or(ctx.Err(), s.ending()); err != nil {
		return err
	}
	p := s.Snapshot()
	defer p.Close()
	to := bufio.NewWriter(w)
	out := newFrameWriter(to)
	out.head(p.at.plainly())
	leftOut, err := p.writeTo(ctx, out)
	if err == nil {
		err = cmp.Or(out.err, to.Flush())
		if err != nil {
			err = fmt.Errorf("store: backup: %w", err)
		}
	}
	return cmp.Or(err, leftOut)
}

// writeTo writes all keys and the end. What cannot be had is left out.
func (p *Snapshot) writeTo(ctx context.Context, out *frameWriter) (leftOut, err error) {
	count := uint64(0)
	for _, key := range p.candidates("") {
		if err := cmp.Or(ctx.Err(), out.err); err != nil {
			return nil, err
		}
		im, err := p.load(key)
		if _, encoding := errors.AsType[*EncodeError](err); encoding || beyond(err) {
			leftOut = cmp.Or(leftOut, err)
		} else if err != nil {
			return nil, err
		} else if len(im.value) > 0 {
			out.item(key, im.value)
			count++
		}
		p.pass(key)
	}
	out.end(count)
	return leftOut, nil
}

// Restore merges what [Store.Backup] wrote into the store. It overwrites nothing, so it may be repeated, and may be
// done while the store is in use. A store that has met no other yet takes on the generation of the backup first; in any
// other, what is restored is as if it came late: what was deleted since stays deleted, and what was forgotten since does
// not come back, because the backup is refused ([*StaleError]) if the store does not know what was agreed on since
// ([Config.Retain]), or has gone another way. So to go back to a backup, all replicas have to begin anew.
//
// The store takes another identity ([Events].Rotated), since it is likely to have the one of who made the backup, which
// may have numbered events that are not in it.
//
// It costs what merging all states costs, waits for the disk once for each MiB, and holds so much in memory, or one state
// if that is larger. It may read from r beyond the end of the backup.
//
// Errors: those of r; *[crdt.CorruptError] if the backup is damaged, or ends early, and [crdt.ErrVersion] if a newer
// version wrote it: then what came before that in it is restored; *[StaleError]: then nothing is; ctx's error; and
// those of a disk ([Open]). A key that is refused alone, as [Store.Merge] says, does not stop the others: the error is
// that of the first one then.
func (s *Store) Restore(ctx context.Context, r io.Reader) error {
	if err := cmp.Or(ctx.Err(), s.ending()); err != nil {
		return err
	}
	in := newFrameReader(r)
	at, err := in.head()
	if err != nil {
		return restoring(err)
	}
	if err := s.receives(ctx, at); err != nil {
		return restoring(err)
	}
	l := load{store: s, at: at}
	for {
		it, end, err := in.item()
		if err != nil || end {
			return restoring(cmp.Or(l.merge(ctx), err, l.refusal()))
		}
		if err := l.add(ctx, it); err != nil {
			return restoring(err)
		}
	}
}

// receives makes the store ready for a backup of a generation.
func (s *Store) receives(ctx context.Context, at stamp) error {
	if a := s.era.Load(); !a.at.isZero() && !a.admits(at) {
		return a.stale(at)
	}
	if err := s.disown(); err != nil {
		return err
	}
	if s.era.Load().at.isZero() && at != genesis {
		_, err := s.Adopt(ctx, at.text())
		return err
	}
	return nil
}

// disown takes another identity.
func (s *Store) disown() error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	s.turning.Lock()
	defer s.turning.Unlock()
	a := *s.era.Load()
	s.renew(&a, &Rotation{From: a.writer, Reason: Restored})
	return s.become(&a)
}

// A load is what of a backup is merged at once.
type load struct {
	store   *Store
	at      stamp
	keys    []string
	states  [][]byte
	size    int
	refused int
	first   error // why a key was refused
}

// loadSize is how many bytes are merged at once.
const loadSize = 1 << 20

func (l *load) add(ctx context.Context, it item) error {
	l.keys = append(l.keys, it.key)
	l.states = append(l.states, l.at.seal(it.value))
	if l.size += len(it.key) + len(it.value); l.size < loadSize {
		return nil
	}
	return l.merge(ctx)
}

// merge merges what there is. It fails if it makes no sense to go on.
func (l *load) merge(ctx context.Context) error {
	_, errs := l.store.MergeAll(ctx, l.keys, l.states)
	for _, err := range errs {
		if err == nil {
			continue
		}
		l.refused++
		l.first = cmp.Or(l.first, err)
		if _, stale := errors.AsType[*StaleError](err); stale {
			return err
		}
	}
	l.keys, l.states, l.size = nil, nil, 0
	return cmp.Or(ctx.Err(), l.store.ending())
}

// refusal is what to say of keys that were refused.
func (l *load) refusal() error {
	if l.first == nil {
		return nil
	}
	return fmt.Errorf("%d keys refused: %w", l.refused, l.first)
}

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eventual-go/eventual/crdt"
)

// A Snapshot is a store as it was at one moment, while that is written to. It may be used concurrently. Take it with
// [Store.Snapshot], and close it: until then the store keeps for it, in memory, what each key was that has changed
// since.
//
// Nothing is torn: of a [Batch] it has all or nothing. It has each write that had returned when it was taken, none that
// began afterwards, and with each write that it has all that had returned before that one began.
type Snapshot struct {
	store *Store
	at    stamp
	taken time.Time

	mu     sync.Mutex // taken with the lock of an entry held, or with none; whoever holds it takes no other
	closed bool
	passed *string          // nobody asks for this key any more, nor for any before it
	kept   map[string]image // of keys that have changed since, or come to be
	bytes  int64            // in kept
}

// An image is what an entry was.
type image struct {
	held     bool // anything at all
	live     bool
	deadline int64
	value    []byte // encoded
	err      error  // why there is no value
}

// Snapshot returns the store as it is now. It costs nothing but that from then on, until it is closed, the first change
// of each key encodes what the key was before, at O(its state), under its lock. It waits for a record that is being
// settled, or for the store being emptied: so all of it is of one [Store.Generation].
func (s *Store) Snapshot() *Snapshot {
	s.turning.Lock()
	defer s.turning.Unlock()
	p := &Snapshot{store: s, at: s.era.Load().at, taken: s.now(), kept: make(map[string]image)}
	s.editSnapshots(func(open []*Snapshot) []*Snapshot { return append(slices.Clip(open), p) })
	return p
}

// editSnapshots replaces the list of those that are open.
func (s *Store) editSnapshots(change func(open []*Snapshot) []*Snapshot) {
	for {
		var open []*Snapshot
		before := s.snapshots.Load()
		if before != nil {
			open = *before
		}
		var after *[]*Snapshot
		if open = change(open); len(open) > 0 {
			after = &open
		}
		if s.snapshots.CompareAndSwap(before, after) {
			return
		}
	}
}

// preserve keeps what locked entries are for the snapshots that do not have it yet. It is called before the first
// change of any of them; of a change of several entries that nobody may see in part, once, for all of them, with all
// locks held.
//
// Why a snapshot is consistent: it is taken when it comes into the list, and a change belongs to it if the list was
// looked at here before that. Whatever a change can build on was looked at before: what had returned, what was seen
// under a lock, and what came before under the lock of its own key. The locks are held from the look to the last
// change, so whoever reads a key for the snapshot, and finds nothing kept, finds all that belongs to it and nothing else.
func (s *Store) preserve(entries ...*entry) {
	open := s.snapshots.Load()
	if open == nil {
		return
	}
	for _, e := range entries {
		s.preserveFor(*open, e)
	}
}

func (s *Store) preserveFor(open []*Snapshot, e *entry) {
	var im *image
	for _, p := range open {
		if !p.lacks(e.key) {
			continue
		}
		if im == nil {
			im = s.image(e)
		}
		p.keep(e.key, im)
	}
}

// image returns what a locked entry is. Its value stays where it is, in memory or on disk; of one that is damaged it
// is what can be read.
func (s *Store) image(e *entry) *image {
	im := e.outline()
	if !e.written {
		return &im
	}
	v := &e.value
	if e.cold {
		if v, _, _, im.err = s.read(e); im.err != nil && !errors.Is(im.err, ErrDamaged) {
			return &im
		}
	}
	b, err := v.AppendBinary(nil)
	if err != nil {
		im.err = &EncodeError{Key: e.key, Err: err}
	}
	im.value = b
	return &im
}

// outline is the image of a locked entry without its value.
func (e *entry) outline() image {
	return image{held: e.written, live: e.live.Load(), deadline: e.deadline.Load()}
}

// shows reports whether there was anything to show.
func (p *Snapshot) shows(im *image) bool {
	return im.live && (im.deadline == 0 || deadlineOf(p.taken) < im.deadline)
}

func (p *Snapshot) lacks(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, kept := p.kept[key]
	return !kept && !p.closed && (p.passed == nil || key > *p.passed)
}

func (p *Snapshot) keep(key string, im *image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	kept := *im
	if errors.Is(kept.err, ErrDamaged) {
		kept.err = nil // this is all there is
	}
	p.kept[key] = kept
	p.bytes += int64(len(kept.value))
}

// was returns what was kept of a key, and whether anything was.
func (p *Snapshot) was(key string) (im image, kept bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return image{}, false, ErrClosed
	}
	im, kept = p.kept[key]
	return im, kept, im.err
}

// pass says that nobody asks for a key any more, nor for those before it.
func (p *Snapshot) pass(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed = &key
	p.bytes -= int64(len(p.kept[key].value))
	delete(p.kept, key)
}

// Close ends the copying and lets go of what was kept. A second Close does nothing.
func (p *Snapshot) Close() {
	p.store.editSnapshots(func(open []*Snapshot) []*Snapshot {
		return slices.DeleteFunc(slices.Clone(open), func(q *Snapshot) bool { return q == p })
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.kept, p.bytes = true, nil, 0
}

// Load returns the encoded state that key had: nil, nil where the store held nothing. It is as [Store.Load] would have
// returned it then, of the generation of that time, but it is not waited for until it is durable. It costs O(state), under the key's lock if the key has not changed
// since. A value that is on disk alone is read from there, and stays there.
//
// Errors: [ErrClosed] after either was closed; *[EncodeError], ctx's error, and those of a disk ([Open]).
func (p *Snapshot) Load(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	im, err := p.load(key)
	if err != nil || len(im.value) == 0 {
		return nil, err
	}
	return p.at.seal(im.value), nil
}

// load returns the image of a key with a value that nobody else has.
func (p *Snapshot) load(key string) (image, error) {
	s := p.store
	if err := s.begin(); err != nil {
		return image{}, err
	}
	defer s.end()
	for {
		im, err := p.find(key, s.image)
		if !errors.Is(err, ErrDamaged) {
			im.value = bytes.Clone(im.value)
			return im, readFailed(key, err)
		}
		e, _, err := s.lookup(key) // which mends it, and tells
		if err != nil {
			return image{}, err
		}
		if e != nil {
			e.mu.Unlock()
		}
	}
}

// readFailed says of which key a backend could not read.
func readFailed(key string, err error) error {
	if _, encoding := errors.AsType[*EncodeError](err); err == nil || encoding || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("store: read %q: %w", key, err)
}

// find returns what was kept of a key, and where nothing was, what look makes of its locked entry.
func (p *Snapshot) find(key string, look func(e *entry) *image) (image, error) {
	e := p.store.table.lookup(key)
	if e == nil { // if it was there, it was kept before it went
		im, _, err := p.was(key)
		return im, err
	}
	defer e.mu.Unlock()
	im, kept, err := p.was(key)
	if kept || err != nil {
		return im, err
	}
	im = *look(e)
	return im, im.err
}

// ViewAt calls fn with the value of type P that there was under key, and reports whether there was one to show, as
// [View] does. It costs O(state). fn runs under no lock, and may keep v.
//
// Errors: *[crdt.UnknownKindError] if P is not one of Config.Kinds; those of [Snapshot.Load].
func ViewAt[P crdt.State[P]](p *Snapshot, key string, fn func(v P)) (found bool, err error) {
	im, err := p.load(key)
	if err != nil {
		return false, err
	}
	s := p.store
	if !p.shows(&im) {
		return false, unknown[P](s, key)
	}
	whole, err := s.kinds.Decode(im.value)
	if err != nil {
		return false, fmt.Errorf("store: view %q: %w", key, err)
	}
	v, ok := crdt.Component[P](s.kinds, whole)
	if !ok {
		return false, unknown[P](s, key)
	}
	if empty(s.kinds, v) {
		return false, nil
	}
	fn(v)
	return true, nil
}

// Keys yields the keys that started with prefix and had something to show, in ascending byte order. The list costs
// O(n log n) for n keys that start with prefix, and a look at all. The loop body runs with no lock held and may call the
// store. After Close it yields nothing.
func (p *Snapshot) Keys(prefix string) iter.Seq[string] { return p.list(prefix, p.shows) }

// All yields the keys that started with prefix and held anything, also those that were deleted and have a state still,
// as Keys does.
func (p *Snapshot) All(prefix string) iter.Seq[string] {
	return p.list(prefix, func(im *image) bool { return im.held })
}

func (p *Snapshot) list(prefix string, wanted func(im *image) bool) iter.Seq[string] {
	outline := func(e *entry) *image {
		im := e.outline()
		return &im
	}
	return func(yield func(string) bool) {
		for _, key := range p.candidates(prefix) {
			im, _ := p.find(key, outline) // an image that has an error tells of the rest
			if wanted(&im) && !yield(key) {
				return
			}
		}
	}
}

// candidates returns the keys that start with prefix and may have been there, in ascending order. Those that have gone
// from the table before it was looked at were kept before that.
func (p *Snapshot) candidates(prefix string) (keys []string) {
	for key := range p.store.table.all() {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	p.mu.Lock()
	for key := range p.kept {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	p.mu.Unlock()
	slices.Sort(keys)
	return slices.Compact(keys)
}

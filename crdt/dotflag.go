package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// dotFlag is what EWFlag and DWFlag are made of. To raise it is an event; it is up as long as there is a raising
// that no lowering has seen.
type dotFlag struct {
	seen vclock.Context // every raising seen, the live included
	live []vclock.Dot   // raisings that no lowering has seen, sorted: at most one for each replica that raced
}

// raise puts the flag up on behalf of r, over all raisings that are known here, and returns the delta.
func (f *dotFlag) raise(r vclock.ReplicaID) (delta dotFlag) {
	d := f.seen.Next(r)
	if d.IsZero() {
		return delta
	}
	delta = f.lower()
	f.mint(d)
	delta.mint(d)
	return delta
}

func (f *dotFlag) mint(d vclock.Dot) {
	f.seen.Add(d)
	f.live = append(f.live, d)
}

// lower ends all raisings that are known here, and returns the delta.
func (f *dotFlag) lower() (delta dotFlag) {
	delta.seen = f.raisings()
	f.live = f.live[:0]
	return delta
}

// raisings returns the context of the live.
func (f *dotFlag) raisings() (c vclock.Context) {
	for _, d := range f.live {
		c.Add(d)
	}
	return c
}

// isUp reports whether the flag is up. A nil flag is not.
func (f *dotFlag) isUp() bool { return f != nil && len(f.live) > 0 }

// search returns the place of the first live dot that is not before d, and whether it is d.
func (f *dotFlag) search(d vclock.Dot) (int, bool) {
	return slices.BinarySearchFunc(f.live, d, vclock.Dot.Compare)
}

// merge takes in what o knows. It adds what was new to novel, unless that is nil.
func (f *dotFlag) merge(o, novel *dotFlag) (changed bool) {
	if o == nil || f == o {
		return false
	}
	changed = f.bury(o, novel)
	if f.seen.Contains(&o.seen) {
		return changed
	}
	for _, d := range o.live {
		if !f.seen.Has(d) {
			i, _ := f.search(d)
			f.live = slices.Insert(f.live, i, d)
			novel.note(d)
		}
	}
	if novel != nil {
		novel.seen.Merge(o.seen.Diff(&f.seen))
	}
	f.seen.Merge(&o.seen)
	return true
}

// note appends a live dot to the novelty f, unless that is nil.
func (f *dotFlag) note(d vclock.Dot) {
	if f != nil {
		f.live = append(f.live, d)
	}
}

// bury drops the dots that live here while o has seen them and they do not live there. It adds them to novel
// unless that is nil, and reports whether there were any.
func (f *dotFlag) bury(o, novel *dotFlag) (changed bool) {
	for span := range o.seen.All() {
		i, _ := f.search(vclock.Dot{Replica: span.Replica, Seq: span.Lo})
		for i < len(f.live) && f.live[i].Replica == span.Replica && f.live[i].Seq <= span.Hi {
			if _, lives := o.search(f.live[i]); lives {
				i++
				continue
			}
			if novel != nil {
				novel.seen.Add(f.live[i])
			}
			f.live = slices.Delete(f.live, i, i+1)
			changed = true
		}
	}
	return changed
}

func (f *dotFlag) mergeNovel(o *dotFlag) (novel dotFlag, changed bool) {
	f.merge(o, &novel)
	return novel, novel.seen.Len() > 0
}

// context returns a copy of what was seen.
func (f *dotFlag) context() *vclock.Context {
	if f == nil {
		return new(vclock.Context)
	}
	return f.seen.Clone()
}

// since returns what one who has seen since may lack: the live dots not in since, and all dead ones, since it may
// hold those for live. Of the live dots in since it says nothing.
func (f *dotFlag) since(since *vclock.Context) (delta dotFlag) {
	if f == nil {
		return delta
	}
	var shared vclock.Context
	for _, d := range f.live {
		if since.Has(d) {
			shared.Add(d)
		} else {
			delta.live = append(delta.live, d)
		}
	}
	delta.seen = *f.seen.Diff(&shared)
	return delta
}

func (f *dotFlag) clone() dotFlag {
	if f == nil {
		return dotFlag{}
	}
	return dotFlag{*f.seen.Clone(), slices.Clone(f.live)}
}

// dots returns a copy of the live dots.
func (f *dotFlag) dots() []vclock.Dot {
	if f == nil {
		return nil
	}
	return append([]vclock.Dot(nil), f.live...)
}

func (f *dotFlag) append(form form, b []byte) []byte {
	if f == nil {
		f = new(dotFlag)
	}
	w := form.begin(b, 2)
	table := writeContext(w, &f.seen)
	w.Array(2 * len(f.live))
	for _, d := range f.live {
		writeDot(w, table, d)
	}
	return w.Done()
}

func (f *dotFlag) unmarshal(form form, b []byte) error {
	r, err := form.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readDotFlag(r)
	if err := form.close(r); err != nil {
		return err
	}
	*f = read
	return nil
}

func readDotFlag(r *wire.Reader) (f dotFlag) {
	seen, table := readContext(r)
	f.seen = seen
	var d vclock.Dot
	for range fields(r, 2) {
		d = readDot(r, &f.seen, table, d)
		if r.Err() != nil {
			return f
		}
		f.live = append(f.live, d)
	}
	return f
}

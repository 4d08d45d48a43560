package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// logChunk is the most entries a chunk has, so that one put in amid many moves few.
const logChunk = 128

// Merge takes in what o knows. See [Lattice].
func (l *Log[T]) Merge(o *Log[T]) (changed bool) {
	if o == nil || l == o {
		return false
	}
	if l.n == 0 && o.n > 0 {
		*l = *o.Clone()
		return true
	}
	return l.absorb(o, nil)
}

// MergeNovel merges o and returns the entries in it that were new. See [Delta].
func (l *Log[T]) MergeNovel(o *Log[T]) (novel *Log[T], changed bool) {
	novel = new(Log[T])
	if o == nil || l == o {
		return novel, false
	}
	changed = l.absorb(o, novel)
	novel.seen = novel.dots()
	return novel, changed
}

// absorb puts in the entries of o that l lacks, also into novel unless that is nil. Both logs are in order, so one
// pass along them will do.
func (l *Log[T]) absorb(o, novel *Log[T]) (changed bool) {
	names, novelNames := translation[T]{to: l, from: o}, translation[T]{to: novel, from: o}
	at := l.first(o)
	for _, chunk := range o.chunks {
		for i := range chunk {
			f := &chunk[i]
			if !l.seek(&at, o, f) {
				continue
			}
			changed = true
			l.insert(&at, names.translate(f))
			l.track.entry(o, f, 1)
			if novel != nil {
				novel.push(novelNames.translate(f))
			}
		}
	}
	if changed {
		l.seen.Merge(&o.seen)
	}
	return changed
}

// finger is a place in a log: the next entry that a walk along it has not passed.
type finger struct{ c, p int }

// first returns where to begin merging o: at the end, if o begins there.
func (l *Log[T]) first(o *Log[T]) (at finger) {
	if l.n == 0 || o.n == 0 {
		return at
	}
	last := l.chunks[len(l.chunks)-1]
	if l.compare(&last[len(last)-1], o, &o.chunks[0][0]) < 0 {
		at.c = len(l.chunks)
	}
	return at
}

// seek moves on to the first entry that is not before f, and reports whether that is another.
func (l *Log[T]) seek(at *finger, o *Log[T], f *logEntry[T]) (lacks bool) {
	if at.c < len(l.chunks) && at.p == len(l.chunks[at.c]) {
		at.c, at.p = at.c+1, 0
	}
	if at.c == len(l.chunks) {
		return true
	}
	order := l.compare(&l.chunks[at.c][at.p], o, f)
	if order < 0 {
		at.c, at.p = l.search(at.c, func(e *logEntry[T]) bool { return l.compare(e, o, f) < 0 })
		order = 1
		if at.c < len(l.chunks) {
			order = l.compare(&l.chunks[at.c][at.p], o, f)
		}
	}
	if order == 0 {
		at.p++
	}
	return order != 0
}

// insert puts e in at the place and moves on behind it.
func (l *Log[T]) insert(at *finger, e logEntry[T]) {
	if at.c == len(l.chunks) {
		l.push(e)
		*at = finger{c: len(l.chunks)}
		return
	}
	l.n++
	l.chunks[at.c] = slices.Insert(l.chunks[at.c], at.p, e)
	at.p++
	if chunk := l.chunks[at.c]; len(chunk) > logChunk {
		upper := slices.Clone(chunk[logChunk/2:])
		clear(chunk[logChunk/2:])
		l.chunks[at.c] = chunk[:logChunk/2]
		l.chunks = slices.Insert(l.chunks, at.c+1, upper)
		if at.p > logChunk/2 {
			*at = finger{at.c + 1, at.p - logChunk/2}
		}
	}
}

// push puts e in at the end.
func (l *Log[T]) push(e logEntry[T]) {
	l.n++
	last := len(l.chunks) - 1
	if last >= 0 && len(l.chunks[last]) < logChunk {
		l.chunks[last] = append(l.chunks[last], e)
		return
	}
	room := 1
	if last >= 0 {
		room = logChunk // as the one before, this will be full
	}
	l.chunks = append(l.chunks, append(make([]logEntry[T], 0, room), e))
}

// translation takes entries from one log to another, which has other names.
type translation[T any] struct {
	to, from *Log[T]
	names    []uint32 // of to, by those of from, counted from 1; 0 if not known yet
}

func (t *translation[T]) translate(e *logEntry[T]) logEntry[T] {
	if t.names == nil {
		t.names = make([]uint32, len(t.from.names))
	}
	name := &t.names[e.name]
	if *name == 0 {
		*name = 1 + t.to.intern(t.from.names[e.name])
	}
	moved := *e
	moved.name = *name - 1
	return moved
}

// dots returns the context of the entries. It is built in its own order, whatever order the dots are in, so that
// it takes no longer than sorting them.
func (l *Log[T]) dots() (c vclock.Context) {
	seqs := make([][]uint64, len(l.names))
	for _, chunk := range l.chunks {
		for i := range chunk {
			seqs[chunk[i].name] = append(seqs[chunk[i].name], chunk[i].seq)
		}
	}
	for _, name := range l.order {
		own := seqs[name]
		slices.Sort(own)
		for len(own) > 0 {
			n := unbroken(own)
			c.AddSpan(vclock.Span{Replica: l.names[name], Lo: own[0], Hi: own[n-1]})
			own = own[n:]
		}
	}
	return c
}

// unbroken returns how many of the sorted numbers, at the start, leave no gap.
func unbroken(seqs []uint64) int {
	n := 1
	for n < len(seqs) && seqs[n]-seqs[n-1] <= 1 {
		n++
	}
	return n
}

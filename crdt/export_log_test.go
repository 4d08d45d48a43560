package crdt

import "github.com/eventual-go/eventual/vclock"

// Parts are the entries, one by one.
func (l *Log[T]) Parts() (parts []*Log[T]) {
	for _, e := range l.placed() {
		part := new(Log[T])
		part.push((&translation[T]{to: part, from: l}).translate(e))
		part.seen.Add(l.dot(e))
		parts = append(parts, part)
	}
	return parts
}

// CheckInvariants panics where the index of the log contradicts itself.
func (l *Log[T]) CheckInvariants() {
	var prev *logEntry[T]
	n, used := 0, make([]bool, len(l.names))
	for _, chunk := range l.chunks {
		if len(chunk) == 0 || len(chunk) > logChunk {
			panic("chunk size")
		}
		for i := range chunk {
			if prev != nil && l.compare(prev, l, &chunk[i]) >= 0 {
				panic("entries out of order")
			}
			prev = &chunk[i]
			used[prev.name] = true
			n++
		}
	}
	if dots := l.dots(); n != l.n || dots.Compare(&l.seen) != vclock.Equal {
		panic("entries lost")
	}
	if len(l.order) != len(l.names) {
		panic("names lost")
	}
	for i, name := range l.order {
		if !used[name] || i > 0 && l.names[l.order[i-1]].Compare(l.names[name]) >= 0 {
			panic("names out of order or not used")
		}
	}
}

package vclock

// Span is an unbroken run of one replica's events: those numbered Lo to Hi, both included. It is valid when
// it has a replica and 1 <= Lo <= Hi. The zero Span is no events.
type Span struct {
	Replica ReplicaID
	Lo, Hi  uint64
}

// String returns for instance "paris:1-3", or "paris:4" for a single event.
func (s Span) String() string {
	return string(s.appendRange(append(s.Replica.appendText(nil), ':')))
}

func (s Span) isValid() bool { return !s.Replica.IsZero() && s.Lo > 0 && s.Lo <= s.Hi }

func (s *Span) endsBefore(r ReplicaID, seq uint64) bool {
	if s.Replica == r {
		return s.Hi < seq
	}
	return s.Replica.less(r)
}

func (s *Span) covers(other Span) bool {
	return s.Replica == other.Replica && s.Lo <= other.Lo && other.Hi <= s.Hi
}

// spanList is sorted by (Replica, Lo); its spans are valid and neither overlap nor meet.
type spanList []Span

// find returns the first span that does not end before (r, seq).
func (l spanList) find(r ReplicaID, seq uint64) int { return l.search(0, len(l), r, seq) }

// seek is find for a position that is not before from and probably near it: it probes at growing distances,
// so that a walk of m searches through n spans takes O(m·log(n/m)), never more than a linear walk.
func (l spanList) seek(from int, r ReplicaID, seq uint64) int {
	for step := 1; ; step *= 2 {
		probe := from + step - 1
		if probe >= len(l) {
			return l.search(from, len(l), r, seq)
		}
		if !l[probe].endsBefore(r, seq) {
			return l.search(from, probe, r, seq)
		}
		from = probe + 1
	}
}

// search returns the first of l[low:high] that does not end before (r, seq), or high.
func (l spanList) search(low, high int, r ReplicaID, seq uint64) int {
	for low < high {
		mid := int(uint(low+high) >> 1)
		if l[mid].endsBefore(r, seq) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// coveredAt reports whether l[i] exists and covers s.
func (l spanList) coveredAt(i int, s Span) bool { return i < len(l) && l[i].covers(s) }

// sameSlots returns how many of the first spans of other are each covered by the span of l in the same
// place: the quick way through contexts that are alike.
func (l spanList) sameSlots(other spanList) int {
	n := min(len(l), len(other))
	for i := range n {
		if !l[i].covers(other[i]) {
			return i
		}
	}
	return n
}

// startsBy reports whether l[i] exists and starts at or before the number seq of replica r.
func (l spanList) startsBy(i int, r ReplicaID, seq uint64) bool {
	return i < len(l) && l[i].Replica == r && l[i].Lo <= seq
}

// joins reports whether l[i] exists and overlaps or meets s, given that it does not end before s.Lo-1.
func (l spanList) joins(i int, s Span) bool {
	return i < len(l) && l[i].Replica == s.Replica && l[i].Lo-1 <= s.Hi
}

// appendJoined appends s, which does not start before the last span, or widens that one if they join.
func (l spanList) appendJoined(s Span) spanList {
	if last := len(l) - 1; last >= 0 && l[last].Replica == s.Replica && s.Lo-1 <= l[last].Hi {
		l[last].Hi = max(l[last].Hi, s.Hi)
		return l
	}
	return append(l, s)
}

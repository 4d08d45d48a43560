package antientropy

import (
	"github.com/eventual-go/eventual/internal/wire"
)

// methodTree carries what a [Broadcast] has for a peer.
const methodTree = "antientropy/tree"

// tree: [version, grafts, covers, news, [stretch, ...]]
// → [version, merged, novel, refused, [index, reason, ...], [have, pruned, ...]].
//
// Grafts, covers and news are [origin, number, ...]. A stretch is
// [origin, first, [key, state, age, ...]]; an entry without a state says that the
// one who gets it has it already. The answer has an outcome for each stretch.

// A mark is a number up to which an origin's deltas have come.
type mark struct{ origin, upto uint64 }

// A treeMessage is what one peer tells another.
type treeMessage struct {
	grafts []mark // send me this origin's, after this number
	covers []mark // up to here a reconciliation brings you
	news   []mark // up to here I have, if you should need them
	runs   []stretch
}

// A stretch is deltas of one origin with numbers that follow one another.
type stretch struct {
	origin uint64
	first  uint64
	deltas []delta
}

// states returns the deltas of all runs that have a state, and their places among all.
func (m *treeMessage) states() (deltas []*delta, places []int) {
	place := 0
	for _, r := range m.runs {
		for i := range r.deltas {
			if d := &r.deltas[i]; len(d.state) > 0 {
				deltas, places = append(deltas, d), append(places, place)
			}
			place++
		}
	}
	return deltas, places
}

// An outcome is what became of a stretch.
type outcome struct {
	have  uint64 // up to here the receiver has the origin's deltas now
	prune bool   // it has them from somebody else: send it no more of that origin
}

const (
	markSize   = 18 // two numbers
	runSize    = 28 // two numbers and heads
	answerSize = 10 // of a stretch's outcome
)

func writeMarks(w *wire.Writer, marks []mark) {
	w.Array(2 * len(marks))
	for _, m := range marks {
		w.Uint(m.origin)
		w.Uint(m.upto)
	}
}

func readMarks(r *wire.Reader) (marks []mark) {
	n := r.Array()
	if n%2 != 0 {
		r.Fail("origin without a number")
	}
	for range n / 2 {
		marks = append(marks, mark{r.Uint(), r.Uint()})
	}
	return marks
}

// A sending is a stretch of parcels, to be written as of now.
type sending struct {
	stream  *stream
	parcels []*parcel
}

func (b *Broadcast) encode(l *link, m *treeMessage, sends []sending, size int) []byte {
	w := wire.NewWriter(make([]byte, 0, size))
	w.Array(5)
	w.Uint(version)
	writeMarks(w, m.grafts)
	writeMarks(w, m.covers)
	writeMarks(w, m.news)
	w.Array(len(sends))
	for _, s := range sends {
		w.Array(3)
		w.Uint(s.stream.id)
		w.Uint(s.parcels[0].seq)
		w.Array(3 * len(s.parcels))
		for _, p := range s.parcels {
			p.write(w, l.id, p.aged(b.now, l.transit))
		}
	}
	return w.Done()
}

func decodeTree(b []byte) (*treeMessage, error) {
	r, err := open(methodTree, b, 4)
	if err != nil {
		return nil, err
	}
	m := &treeMessage{grafts: readMarks(r), covers: readMarks(r), news: readMarks(r)}
	for range r.Array() {
		m.runs = append(m.runs, readStretch(r))
		if r.Err() != nil {
			break
		}
	}
	return m, closed(methodTree, r)
}

func readStretch(r *wire.Reader) stretch {
	if !r.ArrayOf(3) {
		return stretch{}
	}
	s := stretch{origin: r.Uint(), first: r.Uint()}
	n := r.Array()
	if n == 0 || n%3 != 0 || s.first == 0 || s.first > 1<<62 {
		r.Fail("stretch of no deltas")
		return stretch{}
	}
	for range n / 3 {
		s.deltas = append(s.deltas, delta{entry: entry{r.String(), r.Bytes()}, age: readAge(r)})
		if r.Err() != nil {
			break
		}
	}
	return s
}

func encodeReceipt(p *pushed, outcomes []outcome) []byte {
	w := message(5)
	p.write(w)
	w.Array(2 * len(outcomes))
	for _, o := range outcomes {
		w.Uint(o.have)
		w.Bool(o.prune)
	}
	return w.Done()
}

// write is what encodePushed writes after the version.
func (p *pushed) write(w *wire.Writer) {
	w.Uint(uint64(p.merged))
	w.Uint(uint64(p.novel))
	w.Uint(uint64(p.refused))
	w.Array(2 * len(p.told))
	for _, t := range p.told {
		w.Uint(uint64(t.index))
		w.String(t.reason)
	}
}

// decodeReceipt reads the answer to so many entries in so many stretches.
func decodeReceipt(b []byte, entries, runs int) (*pushed, []outcome, error) {
	r, err := open(methodTree, b, 5)
	if err != nil {
		return nil, nil, err
	}
	p := readPushed(r, entries)
	if n := r.Array(); n != 2*runs {
		r.Fail("not an outcome for each stretch")
		runs = 0
	}
	outcomes := make([]outcome, 0, runs)
	for range runs {
		outcomes = append(outcomes, outcome{r.Uint(), r.Bool()})
	}
	return p, outcomes, closed(methodTree, r)
}

func readPushed(r *wire.Reader, entries int) *pushed {
	p := &pushed{merged: count(r, entries), novel: count(r, entries), refused: count(r, entries)}
	n := r.Array()
	if n%2 != 0 || n > 2*p.refused {
		r.Fail("refusals do not add up")
		n = 0
	}
	for range n / 2 {
		p.told = append(p.told, refusal{count(r, entries-1), cut(r.String(), maxReason)})
	}
	return p
}

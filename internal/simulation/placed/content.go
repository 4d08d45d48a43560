package placed

import (
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
)

// A key is one key, and all that was done to it.
type key struct {
	name   string
	index  int
	max    bool // its value is a maximum, not a set
	pos    merkle.Position
	writes []*write
	use    use
	agreed bool // it is a register: its states are acceptors
	// what sessions have promised of it to who reads a majority
	promised []promise
	// what was done to it, if it is raised
	past []*act
	// what reads have to contain, in the order in which it was acknowledged
	obligations []*obligation
}

// A use is what a key is for.
type use uint8

const (
	common    use = iota // anybody writes it, at any level
	forClient            // sessions do, mostly
	raised               // a maximum that is to be linearizable: who writes reads first, and majorities alone
)

// A view is what is in a state, by the simulator's own reckoning: of a set the writes whose elements
// it has, a bit for each; of a maximum its value.
type view uint64

// maxWrites is how many writes a key takes.
const maxWrites = 64

func (k *key) join(a, b view) view {
	if k.max {
		return max(a, b)
	}
	return a | b
}

// covers reports whether all of b is in a.
func (k *key) covers(a, b view) bool { return k.join(a, b) == a }

// A meaning is what bytes stand for.
type meaning struct {
	key  *key
	view view
}

// bind notes what bytes stand for. Equal bytes stand for the same, always.
func (r *run) bind(state []byte, k *key, v view) {
	if len(state) == 0 {
		if v != 0 {
			r.fail(contentWrong, k.name, "nothing, where there should be %x", v)
		}
		return
	}
	m, known := r.meanings[string(state)]
	if !known {
		r.meanings[string(state)] = meaning{k, v}
	} else if m.key != k || m.view != v {
		r.fail(contentWrong, k.name, "bytes of %q %x stand for %x", m.key.name, m.view, v)
	}
}

// meaning returns what bytes under a key stand for.
func (r *run) meaning(k *key, state []byte) view {
	if len(state) == 0 {
		return 0
	}
	m, known := r.meanings[string(state)]
	if !known || m.key != k {
		r.fail(bytesUnknown, k.name, "%x", state)
	}
	return m.view
}

// join merges states on behalf of readers and of who keeps hints.
func (r *run) join(a, b []byte) ([]byte, error) {
	out, err := r.scratch.Join(a, b)
	if err != nil || len(out) == 0 {
		return out, err
	}
	m, known := r.meanings[string(b)]
	if len(b) == 0 {
		m, known = r.meanings[string(a)]
	}
	if !known {
		r.fail(bytesUnknown, "", "joined: %x", b)
		return out, nil
	}
	r.bind(out, m.key, m.key.join(r.meaning(m.key, a), m.view))
	return out, nil
}

// A write is one write of a client, with all its attempts.
type write struct {
	number int
	key    *key
	view   view
	delta  []byte
	acked  bool
	unsure bool // all copies were lost with the memory of a node, or given up as told
	// of a session's: what comes before it
	follows []promise
	shown   bool // somebody has read it
}

func (w *write) String() string { return fmt.Sprintf("write %d of %s", w.number, w.key.name) }

// newWrite makes the delta of a write. It is nobody's yet.
func (r *run) newWrite(k *key) *write {
	r.written++
	w := &write{number: r.written, key: k, view: 1 << len(k.writes)}
	if k.max {
		w.view = view(r.clients.IntN(1000)*4096 + r.written)
	}
	return r.made(w)
}

// made makes the delta of a write.
func (r *run) made(w *write) *write {
	k := w.key
	k.writes = append(k.writes, w)
	var d store.Delta
	var err error
	own := fmt.Sprint(k.name, "/", w.number)
	if k.max {
		d, err = store.Update(r.scratch, own, func(v *crdt.MaxRegister[int64], _ store.Writer) *crdt.MaxRegister[int64] {
			return v.Set(int64(w.view))
		})
	} else {
		d, err = store.Update(r.scratch, own, func(v *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] {
			return v.Add(own)
		})
	}
	if err == nil {
		w.delta, err = d.Bytes()
	}
	if err != nil {
		r.fail(unexplained, k.name, "making a delta: %v", err)
	}
	r.bind(w.delta, k, w.view)
	return w
}

// content reads what is really in a store under a key.
func (r *run) content(s *store.Store, k *key) (v view) {
	var err error
	if k.max {
		_, err = store.View(s, k.name, func(m *crdt.MaxRegister[int64]) {
			x, _ := m.Value()
			v = view(x)
		})
	} else {
		_, err = store.View(s, k.name, func(g *crdt.GSet[string]) {
			for _, w := range k.writes {
				if g.Has(fmt.Sprint(k.name, "/", w.number)) {
					v |= w.view
				}
			}
		})
	}
	if err != nil {
		r.fail(unexplained, k.name, "reading a store: %v", err)
	}
	return v
}

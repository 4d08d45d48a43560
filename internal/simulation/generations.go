package simulation

import (
	"encoding/binary"

	"github.com/eventual-go/eventual/internal/wire"
)

// This file is the model of collection. A generation is known by the records that led
// to it, each of which names keys and what of them is forgotten there: marks, all of
// which were removed or overwritten.

// A generation is one record and what it is on top of.
type generation struct {
	before    *generation
	number    uint64
	residues  map[*ledger]shadow // what the record forgets
	forgotten map[*ledger]shadow // what that and all before it do
}

// genesis is the generation before the first record, as stores name it.
var genesis = generationText(1, 0)

func generationText(number, id uint64) string {
	b := binary.BigEndian.AppendUint64(nil, number)
	return string(binary.BigEndian.AppendUint64(b, id))
}

// since is the generations after one, the oldest first. ok is false if it does not lead
// here.
func (g *generation) since(from *generation) (later []*generation, ok bool) {
	for at := g; at != from; at = at.before {
		if at == nil {
			return nil, false
		}
		later = append([]*generation{at}, later...)
	}
	return later, true
}

// numbered is the generation of a number that led to this one, or nil.
func (g *generation) numbered(number uint64) *generation {
	for g != nil && g.number > number {
		g = g.before
	}
	if g == nil || g.number < number {
		return nil
	}
	return g
}

// settle is what a record makes of a state: the residue is merged, and all of it is
// forgotten if that is all there is.
func (g *generation) settle(l *ledger, s shadow) shadow {
	residue, concerned := g.residues[l]
	if !concerned {
		return s
	}
	if s = l.join(s, residue); s.equal(residue) {
		return shadow{}
	}
	return s
}

// generation finds what is known of one, nil if a store has met nobody.
func (r *run) generation(text string) *generation {
	if text == "" {
		return nil
	}
	g, ok := r.generations[text]
	if !ok {
		r.fail(generationWrong, "", "a generation %x that no record led to", text)
		return r.generations[genesis]
	}
	return g
}

// knows is what a store of a generation has seen, of which it has forgotten a part.
func (g *generation) knows(l *ledger, s shadow) shadow {
	if g == nil {
		return s
	}
	return l.join(s, g.forgotten[l])
}

// A paper is a record, or the proposal of one, as it travels.
type paper struct {
	number, after, id uint64
	items             []residue
	heirs             int // keys that are inherited
}

type residue struct {
	key   string
	value []byte
}

// paper reads a record. Its form is that of package store.
func (r *run) paper(b []byte) (p paper) {
	in, err := wire.NewReader(b)
	if err != nil {
		r.fail(errorUnexplained, "", "a record: %v", err)
		return p
	}
	in.ArrayOf(8)
	in.Uint()
	p.number, p.after, p.id = in.Uint(), in.Uint(), in.Uint()
	for n := in.Array() / 2; n > 0 && in.Err() == nil; n-- {
		p.items = append(p.items, residue{in.String(), in.Bytes()})
	}
	in.Bytes()
	for n := in.Array(); n > 0 && in.Err() == nil; n-- {
		in.Bytes()
	}
	p.heirs = in.Array() / 2
	if in.Err() != nil {
		r.fail(errorUnexplained, "", "a record: %v", in.Err())
	}
	return p
}

func (p *paper) to() string { return generationText(p.number, p.id) }

// decided enters a record into the model, once.
func (r *run) decided(p paper) *generation {
	if g, known := r.generations[p.to()]; known {
		return g
	}
	before := r.generation(generationText(p.number-1, p.after))
	g := &generation{before: before, number: p.number, residues: make(map[*ledger]shadow), forgotten: make(map[*ledger]shadow)}
	for _, l := range r.keys {
		g.forgotten[l] = before.forgotten[l]
	}
	for _, it := range p.items {
		if r.plan.retires {
			break
		}
		l := r.ledger(it.key)
		s := r.meaning(l, it.value)
		if live := s.live(); len(live) > 0 && l.view(s) != (view{}) {
			r.fail(forgottenAlive, it.key, "a record forgets %v", s)
		}
		g.residues[l] = s
		g.forgotten[l] = l.join(g.forgotten[l], s)
		r.did("a key settled")
	}
	r.did("a record settled")
	if p.heirs > 0 {
		r.did("a record by which somebody inherits")
	}
	r.generations[p.to()] = g
	return g
}

// unseal takes a state apart: of which generation it is, and the value.
func unseal(state []byte) (generation string, value []byte) {
	const three = 0x93 // a value is an array of an even length
	if len(state) == 0 || state[0] != three {
		return genesis, state
	}
	in, err := wire.NewReader(state)
	if err != nil {
		return genesis, state
	}
	in.ArrayOf(3)
	number, id := in.Uint(), in.Uint()
	return generationText(number, id), in.Bytes()
}

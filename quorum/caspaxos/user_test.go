package caspaxos

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A user makes calls one after the other, as a [Registers] of its own that holds no keys.
type user struct {
	at    node
	r     *Registers
	c     *call
	e     *event
	known Value
	left  int
	tries int
}

func (w *world) newUser(id uint64) *user {
	at := w.anyone()
	u := &user{at: at, left: 3 + len(w.places), r: &Registers{Self: at, Ring: ringOf{w, at}, Ahead: w.ahead}}
	u.r.proposer.Store(id)
	return u
}

// act has a user begin a call, or lose patience with a rival.
func (w *world) act(u *user) {
	switch {
	case u.c == nil && u.left > 0:
		w.begin(u)
	case u.c != nil && u.c.o.stuck():
		u.c.o.giveUp()
		w.look(u)
	}
}

func (w *world) begin(u *user) {
	u.left--
	w.marks++
	e := &event{kind: kind(w.rng.IntN(int(kindsOfCalls))), mark: string(rune('@' + w.marks)), call: w.clock}
	if e.kind == compares && !u.known.Found {
		e.kind = creates // one that is deleted has a version that its text does not tell
	}
	e.expected = string(u.known.Data)
	u.e, u.tries = e, 0
	u.c = u.r.newCall(context.Background(), context.Background(), "k", e.wish(u.known))
	w.round(u)
}

// wish is what a call of a user who knows a value is for.
func (e *event) wish(known Value) wish {
	when := [...]condition{reads: {}, compares: {whenVersion, known.Version}, creates: {what: whenAbsent}, changes: {what: whenHeld}, deletes: {what: whenHeld}}
	return wish{reads: e.kind == reads, when: when[e.kind], decide: func(v Value) ([]byte, bool, error) {
		switch {
		case e.kind == reads:
			return nil, false, nil
		case e.kind == deletes:
			return nil, true, nil
		case e.kind == compares && v.Version != known.Version, e.kind == creates && v.Found:
			return nil, false, &ConflictError{Current: v}
		}
		return append(slices.Clone(v.Data), e.mark...), true, nil
	}}
}

// round begins a round of a call.
func (w *world) round(u *user) {
	u.tries++
	if u.tries > 2 {
		u.c.looks = 0 // so that reads propose more than they would
	}
	sends, err := u.c.begin()
	if err != nil {
		w.fault = err
		return
	}
	w.post(u, sends)
	w.look(u)
}

// look sees whether a round is over.
func (w *world) look(u *user) {
	switch o := u.c.o.outcome; {
	case o == undecided:
	case o == decided:
		w.finish(u, true)
	case o == failed || u.tries > 8:
		w.finish(u, false)
	default:
		if o == moved {
			w.learn(u.at)
		}
		u.c.looked()
		w.round(u)
	}
}

// finish notes what a user sees of a call.
func (w *world) finish(u *user, ok bool) {
	e, c := u.e, u.c
	u.c = nil
	e.done = w.clock
	v, err := c.close()
	var conflict *ConflictError
	switch {
	case !ok && len(c.o.mine) == 0:
		return // it is known not to have been made
	case !ok:
		e.maybe, e.done = true, 1<<61
	case errors.As(err, &conflict):
		e.conflict = true
		w.saw(u, conflict.Current)
	default:
		w.saw(u, v)
	}
	e.out = string(u.known.Data)
	w.past = append(w.past, e)
}

// saw notes that a version is a text, and always the same.
func (w *world) saw(u *user, v Value) {
	u.known = v
	if text, ok := w.texts[v.Version]; ok && text != string(v.Data) {
		w.fault = fmt.Errorf("version %v is %q and %q", v.Version, text, v.Data)
	}
	w.texts[v.Version] = string(v.Data)
}

package simulation

import (
	"github.com/eventual-go/eventual/vclock"
)

// content is what the simulator knows of some bytes.
//
// Messages are opaque, and the protocols may put any state into any of them. But
// every state in the cluster was once the delta of an update, the load of a key,
// the novelty of a merge or a join of two states, and the simulator is told of all
// of these. So it keeps the shadow beside the bytes, and finds it by them when they
// are merged somewhere else. The encoding is canonical, so bytes have one meaning;
// that they do is checked each time.
type content struct {
	shadow shadow
	bytes  []byte
}

// Of which generation a state is makes no difference to what it means.
func contentKey(key string, state []byte) string {
	_, value := unseal(state)
	return key + "\x00" + string(value)
}

// bind records that state, of the key of l, has the shadow s, and checks that its
// value is the one of the model.
func (r *run) bind(l *ledger, state []byte, s shadow) {
	if len(state) == 0 {
		if !s.empty() {
			r.fail(modelDiffers, l.key, "an empty state stands for %v", s)
		}
		return
	}
	at := contentKey(l.key, state)
	if c, ok := r.content[at]; ok {
		if !c.shadow.equal(s) {
			r.fail(bytesAmbiguous, l.key, "%x is %v and %v", state, c.shadow, s)
		}
		return
	}
	r.content[at] = &content{shadow: s}
	r.bindForms(l, state, s)
	r.checkView(l, state, s)
	r.remark(l, s)
}

// remark counts what is worth counting in a state.
func (r *run) remark(l *ledger, s shadow) {
	for c := range component(components) {
		of := l.of[c]
		if datatypes[c].remark == nil || len(s.seen.intersect(of)) == 0 {
			continue
		}
		if what := datatypes[c].remark(l, shadow{s.seen.intersect(of), s.gone.intersect(of)}); what != "" {
			r.did(c.String() + " " + what)
		}
	}
}

// bindForms checks the other direction: one history has one encoding.
func (r *run) bindForms(l *ledger, state []byte, s shadow) {
	at := l.key + "\x01" + s.word()
	c, ok := r.content[at]
	_, value := unseal(state)
	if !ok {
		r.content[at] = &content{shadow: s, bytes: value}
	} else if string(c.bytes) != string(value) {
		r.fail(bytesDiverse, l.key, "%v is %x and %x", s, c.bytes, value)
	}
}

// meaning is the shadow of a state that was bound before.
func (r *run) meaning(l *ledger, state []byte) shadow {
	if len(state) == 0 {
		return shadow{}
	}
	c, ok := r.content[contentKey(l.key, state)]
	if !ok {
		r.fail(bytesUnknown, l.key, "%x", state)
		return shadow{}
	}
	return c.shadow
}

// checkView compares what state shows with what the model says.
func (r *run) checkView(l *ledger, state []byte, s shadow) {
	got, err := r.show(l, state)
	if err != nil {
		r.fail(errorUnexplained, l.key, "decode %x: %v", state, err)
		return
	}
	if want := l.view(s); got != want {
		r.fail(modelDiffers, l.key, "got %v, want %v: shadow %v, bytes %x", got, want, s, state)
	}
}

// An issue is a dot in the context of one component of one key.
type issue struct {
	key       string
	component component
	dot       vclock.Dot
}

// issue records that a dot was minted.
func (r *run) issue(i issue) {
	if _, twice := r.issued[i]; twice {
		r.fail(dotTwice, i.key, "%v in %v", i.dot, i.component)
	}
	r.issued[i] = struct{}{}
}

// stamped records that a replica made a timestamp and wrote with another one: they
// must be the same, because the clock has observed what is written over, and later
// than all earlier ones.
func (r *run) stamped(l *ledger, made vclock.Timestamp, written ...vclock.Timestamp) {
	last := r.stamps[made.Replica]
	for _, at := range append(written, made) {
		if at.Compare(last) <= 0 || at != made {
			r.fail(stampWrong, l.key, "%v after %v, written as %v", made, last, at)
		}
	}
	r.stamps[made.Replica] = made
}

package placed

import (
	"fmt"
	"strconv"

	"github.com/eventual-go/eventual/quorum"
)

// A key that is raised is a maximum that quorums make linearizable: reads write back what they return, and who
// writes reads first, and writes what is above; both at majorities.

// raiseTurn has somebody read such a key, or raise it.
func (r *run) raiseTurn() {
	s := r.agreeing
	var all []*key
	for _, k := range r.keys {
		if k.use == raised && len(k.past) < maxActs {
			all = append(all, k)
		}
	}
	n := one(s, r.nodes...)
	if len(all) == 0 || !n.serves(r.now) {
		return
	}
	k := one(s, all...)
	a := &act{called: r.moment(), what: "read by " + string(n.id)}
	k.past = append(k.past, a)
	a.step = func(text string) (string, bool) { return text, text == a.out }
	if s.chance(0.5) {
		r.readRaised(n, k, a)
		return
	}
	r.written++
	w := &write{number: r.written, key: k}
	w.view = view((len(k.past)*200+s.IntN(3000))*4096 + w.number)
	r.made(w)
	r.raise(n, k, w, a)
}

// dismiss takes back a call of which it is known that it was not made.
func (k *key) dismiss(a *act) {
	a.maybe, a.returned, a.adds = true, never, dismissed
}

const dismissed = "nothing"

func (r *run) readRaised(n *node, k *key, a *act) {
	k.dismiss(a) // unless there is an answer
	opts := quorum.ReadOptions{Level: quorum.Majority, Repair: quorum.RepairWriteBack}
	if r.options.NoWriteBack {
		opts.Repair = quorum.RepairOff
	}
	r.converse(n, func(v *conversation) {
		res, err := v.Read(r.ctx, k.name, opts)
		if err != nil {
			r.did("a read of what is raised that failed")
			r.mustAnswer(k.name, err)
			return
		}
		r.did("a read of what is raised")
		a.maybe, a.returned, a.adds = false, r.moment(), ""
		a.out = r.number(k, res.State)
	})
}

// number is a maximum, as a text.
func (r *run) number(k *key, state []byte) string {
	return strconv.FormatUint(uint64(r.meaning(k, state)), 10)
}

// raise reads, and writes what is above, if it is. Then it may be made from when it is sent.
func (r *run) raise(n *node, k *key, w *write, a *act) {
	k.dismiss(a)
	to := uint64(w.view)
	a.what = fmt.Sprintf("raise to %d by %s", to, n.id)
	r.converse(n, func(v *conversation) {
		res, err := v.Read(r.ctx, k.name, quorum.ReadOptions{Level: quorum.Majority})
		if err != nil {
			return
		}
		if r.meaning(k, res.State) >= w.view { // then it was a read
			r.did("a raise to less than there is")
			a.maybe, a.returned, a.adds, a.out = false, r.moment(), "", r.number(k, res.State)
			return
		}
		v.write, a.adds = w, strconv.FormatUint(to, 10)
		a.step = func(text string) (string, bool) { return higher(text, to), true }
		_, err = v.Write(r.ctx, k.name, w.delta, quorum.WriteOptions{Level: quorum.Majority})
		if v.gone || err != nil {
			r.did("a raise of which nothing is known")
			return
		}
		r.did("a raise")
		a.maybe, a.returned = false, r.moment()
	})
}

func higher(text string, to uint64) string {
	if most, _ := strconv.ParseUint(text, 10, 64); most >= to {
		return text
	}
	return strconv.FormatUint(to, 10)
}

// checkRaised checks that a key is linearizable.
func (r *run) checkRaised(k *key) {
	seen := make(map[string]bool)
	for _, a := range k.past {
		if !a.maybe {
			seen[a.out] = true
		}
	}
	if !linearizable("0", k.past, func(a *act) bool { return seen[a.adds] }) {
		r.fail(notLinearizable, k.name, "%v", k.past)
	}
}

package placed

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
)

// A register is a key on which nodes agree. Its value is a text, to which each change adds a mark of its own.
type register struct {
	key
	past  []*act
	begun int
	texts map[caspaxos.Ballot]string // what was seen, by versions
}

// A user makes calls on registers, one after the other, each by another node.
type user struct {
	busy  bool
	known map[*register]caspaxos.Value
}

// deleted is the text of a register that was deleted: it has a version, other than one that was never written.
const deleted = "-"

func textOf(v caspaxos.Value) string {
	if !v.Found && !v.Version.IsZero() {
		return deleted
	}
	return string(v.Data)
}

// registerTurn has a user make a call.
func (r *run) registerTurn() {
	s := r.agreeing
	u, g, n := one(s, r.users...), one(s, r.registers...), r.nodes[s.IntN(len(r.nodes))]
	if u.busy || g.begun >= maxActs || !n.serves(r.now) {
		return
	}
	g.begun++
	r.agree(u, g, n, one(s, "read", "read", "compare", "compare", "compare", "create", "change", "delete"))
}

// agree makes a call on a register.
func (r *run) agree(u *user, g *register, n *node, what string) {
	known := u.known[g]
	if !known.Found && (what == "delete" || what == "compare" && textOf(known) == deleted) {
		what = "create"
	}
	p := &proposal{run: r, node: n, user: u, register: g, kind: what,
		act: &act{called: r.moment(), what: what + " by " + string(n.id)}}
	mark := ""
	if what != "read" {
		r.written++
		mark = fmt.Sprintf("%d.", r.written)
	}
	p.begin(known, mark)
}

// specify says what a call does to a register, and to what its proposer says that it is to be changed.
func (p *proposal) specify(known caspaxos.Value, mark string) (change func(caspaxos.Value) ([]byte, error)) {
	a, expected := p.act, textOf(known)
	may := func(text string) bool { return true }
	switch p.kind {
	case "read":
		a.step = func(text string) (string, bool) { return text, text == a.out }
		return nil
	case "compare", "delete":
		may = func(text string) bool { return text == expected }
	case "create":
		may = func(text string) bool { return text == "" || text == deleted }
	}
	after := func(text string) string {
		if p.kind == "delete" {
			return deleted
		}
		return strings.TrimSuffix(text, deleted) + mark
	}
	a.adds = after("")
	a.what += fmt.Sprintf(" of %q if %q", a.adds, expected)
	a.step = func(text string) (string, bool) {
		switch {
		case p.conflict:
			return text, a.out == text && !may(text)
		case !may(text):
			return text, a.maybe // nothing was made of it
		}
		return after(text), a.maybe || a.out == after(text)
	}
	return func(v caspaxos.Value) ([]byte, error) {
		switch {
		case (p.kind == "compare" || p.kind == "delete") && v.Version != known.Version, p.kind == "create" && v.Found:
			return nil, &caspaxos.ConflictError{Key: p.register.name, Expected: known.Version, Current: v}
		case p.kind == "delete":
			return nil, nil
		}
		return append(slices.Clone(v.Data), mark...), nil
	}
}

// agreed notes what a user sees of a call.
func (r *run) agreed(p *proposal, v caspaxos.Value, err error) {
	a := p.act
	a.returned = r.moment()
	_, unknown := errors.AsType[*caspaxos.UnknownError](err)
	conflict, isConflict := errors.AsType[*caspaxos.ConflictError](err)
	switch {
	case unknown:
		a.maybe, a.returned = true, never
		r.did("a register's call of which nothing is known")
	case isConflict:
		p.conflict = true
		p.saw(conflict.Current)
		r.did("a register's conflict")
	case err != nil: // it is known not to have been made
		r.did("a register's call that failed")
		r.excuse(p, err)
		r.mustAnswer(p.register.name, err)
		return
	default:
		p.saw(v)
		r.did("a register's " + p.kind)
		r.tell(p.changing, "a register's call while its partition changes")
	}
	r.say(p.node, "%v", a)
	p.register.past = append(p.register.past, a)
}

func (r *run) excuse(p *proposal, err error) {
	_, unavailable := errors.AsType[*quorum.UnavailableError](err)
	_, timeout := errors.AsType[*quorum.TimeoutError](err)
	if !unavailable && !timeout {
		r.fail(unexplained, p.register.name, "%v: %v", p.act, err)
	}
}

// saw notes that a version is a text, and always the same.
func (p *proposal) saw(v caspaxos.Value) {
	g, text := p.register, textOf(v)
	if before, ok := g.texts[v.Version]; ok && before != text {
		p.run.fail(versionTwice, g.name, "%v is %q and %q", v.Version, text, before)
	}
	g.texts[v.Version] = text
	p.user.known[g] = v
	p.act.out = text
}

// checkRegister checks that a register is linearizable.
func (r *run) checkRegister(g *register) {
	seen := func(a *act) bool {
		return a.adds == deleted || slices.ContainsFunc(g.past, func(b *act) bool { return strings.Contains("."+b.out, "."+a.adds) })
	}
	if !linearizable("", g.past, seen) {
		r.fail(notLinearizable, g.name, "%v", g.past)
	}
}

// unevenRegister says how a register is not with its owners alone, all of them alike.
func (r *run) unevenRegister(g *register) string {
	owners := r.setOf(r.rings[r.latest].Place(g.pos).Owners)
	var first []byte
	for _, n := range r.nodes {
		state, _ := n.replica.Load(r.ctx, g.name)
		switch {
		case owners&n.bit() == 0 && len(state) > 0:
			return fmt.Sprintf("%s has %q, and is no owner", n.id, g.name)
		case owners&n.bit() == 0:
		case first == nil:
			first = append([]byte{}, state...)
		case string(first) != string(state):
			return fmt.Sprintf("%s has another %q", n.id, g.name)
		}
	}
	return ""
}

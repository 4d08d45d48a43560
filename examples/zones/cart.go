package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"unicode/utf8"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

// A change puts an element into a cart, or takes it out.
type change struct {
	Key     string       `json:"key"`
	Element string       `json:"element"`
	Remove  bool         `json:"remove,omitempty"`
	Level   quorum.Level `json:"level"`
	Sloppy  bool         `json:"sloppy,omitempty"`
	// Expected is the revision that the cart must have, as text; empty if any will do.
	Expected string `json:"expected,omitempty"`
}

// written is the answer to a change.
type written struct {
	By      transport.NodeID `json:"by"`                 // the owner that made it
	Acked   int              `json:"acked"`              // owners that have it
	StoodIn int              `json:"stood_in,omitempty"` // others that keep it for one, and counted
	Owners  int              `json:"owners"`
	// Revision is that of the cart as it was expected, with this change; of a change that expected nothing there is none.
	Revision string `json:"revision,omitempty"`
}

// A reply is the outcome of a change that another node has made.
type reply struct {
	Written written  `json:"written"`
	Failure *failure `json:"failure,omitempty"`
}

const maxName = 512

// checkName refuses what cannot be a key or an element. Keys that begin with a zero are not those of carts: what the nodes
// agree on is there.
func checkName(what, name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || name[0] == 0 {
		return badRequest("%s: want 1 to %d bytes of UTF-8, not beginning with a zero", what, maxName)
	}
	return nil
}

// change has an owner make a change: this node if it is one, or one of its zone, or any. An event
// is numbered by the replica that holds the key, so that no number is ever used twice. Which zone is
// the local one says the level: such a change is never passed to another zone.
//
// One that expects a revision goes on to the next owner only if this one has certainly not got it: a second one would meet
// the change of the first, and refuse the client what the client has done.
func (n *node) change(ctx context.Context, c change) (w written, err error) {
	err = errNoMaker
	for range 3 { // rings that follow one another
		for _, id := range n.makers(c) {
			w, err = n.changeAt(ctx, id, c)
			switch failureOf(err).Code {
			case "unreachable": // then the next one
			case errMoved.Code: // it knows of a newer ring
				_ = n.ring.Refresh(ctx, id)
			default:
				return w, err
			}
		}
		if failureOf(err).Code != errMoved.Code {
			return w, err
		}
	}
	return w, err
}

// makers are the owners that may make a change, the nearest first. One that expects a revision goes to the same
// owner from everywhere, as long as that is there: where rivals meet one alone succeeds.
func (n *node) makers(c change) []transport.NodeID {
	p := n.ring.Place(c.Key)
	if c.Expected != "" {
		return slices.Concat(p.Owners, p.Next)
	}
	near := func(id transport.NodeID) bool { return p.Zones[id] == n.config.zone }
	var first, then, last []transport.NodeID
	for _, id := range slices.Concat(p.Owners, p.Next) {
		switch {
		case id == n.config.id:
			first = append(first, id)
		case near(id):
			then = append(then, id)
		case c.Level != quorum.LocalOne && c.Level != quorum.LocalMajority:
			last = append(last, id)
		}
	}
	return slices.Concat(first, then, last)
}

func (n *node) changeAt(ctx context.Context, id transport.NodeID, c change) (w written, err error) {
	if id == n.config.id {
		return n.changeHere(ctx, c)
	}
	req, err := json.Marshal(c)
	if err != nil {
		return w, err
	}
	resp, err := n.caller.Call(ctx, id, "cart/change", req)
	var r reply
	if err == nil {
		err = json.Unmarshal(resp, &r)
	}
	if err != nil && c.Expected != "" && !unsent(err) {
		return w, &unknownError{by: id, err: err}
	}
	if err != nil {
		return w, err
	}
	if r.Failure != nil {
		return w, r.Failure
	}
	return r.Written, nil
}

// unsent reports whether an error of a call proves that nothing of it was sent: nobody knows where the node is, or there is
// no connection to it. One that was lost may have brought the call before; so may one that has ended because a certificate is
// believed no more.
func unsent(err error) bool {
	if refused, ok := errors.AsType[*tcp.HandshakeError](err); ok {
		switch refused.Reason {
		case tcp.ReasonTimeout, tcp.ReasonProtocol, tcp.ReasonPlain, tcp.ReasonVersion, tcp.ReasonBusy:
			return true
		}
		return false
	}
	op, network := errors.AsType[*net.OpError](err)
	return errors.Is(err, errNoAddress) || network && op.Op == "dial"
}

// serveCart makes a change for another node.
func (n *node) serveCart(ctx context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	var c change
	if err := json.Unmarshal(req, &c); err != nil {
		return nil, err
	}
	var r reply
	var err error
	if r.Written, err = n.changeHere(ctx, c); err != nil {
		f := failureOf(err)
		r.Failure = &f
	}
	return json.Marshal(r)
}

// changeHere makes a change, and brings it to as many owners as its level asks for. A removal takes
// away what was read, so it first reads as many as it will write. When that fails the change
// is still here, and spreads.
func (n *node) changeHere(ctx context.Context, c change) (w written, err error) {
	if err := cmp.Or(checkName("key", c.Key), checkName("element", c.Element)); err != nil {
		return w, err
	}
	w.By = n.config.id
	opts := quorum.WriteOptions{Level: c.Level, Applied: true}
	if c.Sloppy { // others may stand in, but a majority of the owners is asked for: so a read by majority sees it
		opts.Fallbacks, opts.Primary = quorum.FallbacksCount, quorum.Majority
	}
	if c.Expected != "" {
		return n.changeIf(ctx, c, opts)
	}
	var state []byte
	if c.Remove {
		read, err := n.coord.Read(ctx, c.Key, quorum.ReadOptions{Level: c.Level})
		if err != nil {
			return w, err
		}
		if w.Acked, w.Owners = read.Answered, read.Owners; !read.Found {
			return w, nil
		}
		state = read.State
	}
	delta, err := n.apply(c, state)
	if err != nil || len(delta) == 0 { // nothing to take out: all that were asked have it
		return w, err
	}
	res, err := n.coord.Write(ctx, c.Key, delta, opts)
	w.Acked, w.StoodIn, w.Owners = res.Answered, res.StoodIn, res.Owners
	return w, err
}

// changeIf makes a change of a cart that is as it was expected, and of no other.
func (n *node) changeIf(ctx context.Context, c change, opts quorum.WriteOptions) (w written, err error) {
	w.By = n.config.id
	expected, err := revision.Parse(c.Expected)
	if err != nil {
		return w, badRequest("%q is the entity tag of no cart", c.Expected)
	}
	tried := false
	res, next, err := n.revisions.Write(ctx, c.Key, expected, func(state []byte) ([]byte, error) {
		delta, err := n.apply(c, state)
		tried = !errors.Is(err, errMoved)
		return delta, err
	}, opts)
	w.Acked, w.StoodIn, w.Owners = res.Answered, res.StoodIn, res.Owners
	switch {
	case err == nil:
		w.Revision = next.String()
	case tried: // it is in this node's store, and spreads
		err = &unknownError{by: n.config.id, err: err}
	}
	return w, err
}

// apply changes the cart in this node's store, if it holds it, and returns the delta: a removal takes away what is in a
// state that was read. Where it holds it no more
// when that is done, the change is handed over with the rest, and acknowledged by those who do.
func (n *node) apply(c change, state []byte) ([]byte, error) {
	if n.ring.Ring() == nil || !n.ring.Holds(n.config.id, c.Key) {
		return nil, errMoved
	}
	gone := new(crdt.ORSet[string])
	if c.Remove {
		read, err := n.elements(state)
		if err != nil {
			return nil, err
		}
		gone = read.Remove(c.Element)
	}
	delta, err := store.Update(n.store, c.Key, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		if c.Remove {
			s.Merge(gone)
			return gone
		}
		return s.Add(by.Replica, c.Element)
	})
	if err != nil || delta.IsZero() {
		return nil, err
	}
	return delta.Bytes()
}

// elements returns the cart in a state.
func (n *node) elements(state []byte) (*crdt.ORSet[string], error) {
	v, err := n.store.Decode(state)
	if err != nil {
		return nil, err
	}
	return crdt.Ensure[*crdt.ORSet[string]](kinds, v)
}

// content is what a revision is the name of: a cart, whatever its store has forgotten since; nothing, if it is empty.
func (n *node) content(state []byte) ([]byte, error) {
	v, err := n.store.Decode(state)
	if err != nil || v.Empty() {
		return nil, err
	}
	return v.AppendBinary(nil)
}

// A cart is the answer to a read.
type cart struct {
	Elements []string `json:"elements"`
	Answered int      `json:"answered"` // owners
	Owners   int      `json:"owners"`
	Stale    bool     `json:"stale,omitempty"` // fewer have answered than were asked for
	Revision string   `json:"revision,omitempty"`
}

// read returns a cart as so many of its owners know it. Any node may ask them.
func (n *node) read(ctx context.Context, key string, opts quorum.ReadOptions) (cart, error) {
	if err := checkName("key", key); err != nil {
		return cart{}, err
	}
	res, err := n.coord.Read(ctx, key, opts)
	if err != nil {
		return cart{}, err
	}
	c := cart{Elements: []string{}, Answered: res.Answered, Owners: res.Owners, Stale: res.Stale}
	if !res.Found {
		return c, errNotFound
	}
	elements, err := n.elements(res.State)
	if err != nil {
		return c, err
	}
	c.Elements = append(c.Elements, slices.Sorted(elements.All())...)
	r, err := n.revisions.Revision(res.State)
	c.Revision = r.String()
	return c, err
}

// tag is the entity tag of an answer, empty if it has none.
func (w written) tag() string { return w.Revision }
func (c cart) tag() string    { return c.Revision }

var errNoMaker = errors.New("the key has no owner yet that could make the change")

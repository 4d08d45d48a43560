package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A kind is one column of the API: what may be written, what is shown, how it is
// emptied. A key may hold several kinds at once; each path sees its own.
type kind struct {
	method string // of a write
	write  func(n *node, key string, body []byte) (delta []byte, err error)
	show   func(n *node, v *crdt.Value) (body any, found bool)
	reset  func(n *node, key string) (delta []byte, err error)
}

var kinds = map[string]kind{
	"counters":  {"POST", writeCounter, showCounter, resetCounter},
	"sets":      {"POST", writeSet, showSet, resetSet},
	"registers": {"PUT", writeRegister, showRegister, resetRegister},
	"values":    {"PUT", writeValue, showValue, resetValue},
}

// shown is the body of GET for everything but values.
type shown struct {
	Value any `json:"value"`
}

// Counters: {"add": -3}

func writeCounter(n *node, key string, body []byte) ([]byte, error) {
	var req struct {
		Add *int64 `json:"add"`
	}
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	if req.Add == nil {
		return nil, badRequest(`want {"add": INTEGER}`)
	}
	return store.Update(n.store, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		return c.Add(by.Replica, *req.Add)
	})
}

func showCounter(n *node, v *crdt.Value) (any, bool) {
	c, ok := crdt.Component[*crdt.PNCounter](n.kinds, v)
	if !ok || c.Empty() {
		return nil, false
	}
	return shown{c.Value()}, true
}

func resetCounter(n *node, key string) ([]byte, error) {
	return store.Update(n.store, key, func(c *crdt.PNCounter, _ store.Writer) *crdt.PNCounter { return c.Reset() })
}

// Sets: {"add": ["x"], "remove": ["y"]}

func writeSet(n *node, key string, body []byte) ([]byte, error) {
	var req struct{ Add, Remove []string }
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	if len(req.Add)+len(req.Remove) == 0 {
		return nil, badRequest(`want {"add": [STRING...], "remove": [STRING...]}, one of them at least`)
	}
	for _, e := range req.Add {
		if slices.Contains(req.Remove, e) {
			return nil, badRequest("%q is both to be added and to be removed", e)
		}
	}
	return store.Update(n.store, key, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		delta := s.Remove(req.Remove...)
		delta.Merge(s.Add(by.Replica, req.Add...))
		return delta
	})
}

func showSet(n *node, v *crdt.Value) (any, bool) {
	s, ok := crdt.Component[*crdt.ORSet[string]](n.kinds, v)
	if !ok || s.Empty() {
		return nil, false
	}
	return shown{slices.Sorted(s.All())}, true
}

func resetSet(n *node, key string) ([]byte, error) {
	return store.Update(n.store, key, func(s *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] { return s.Reset() })
}

// Registers, last write wins: {"value": ANY}

func writeRegister(n *node, key string, body []byte) ([]byte, error) {
	var req struct{ Value json.RawMessage }
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	if req.Value == nil {
		return nil, badRequest(`want {"value": ANY}`)
	}
	return store.Update(n.store, key, func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		return r.Set(by.Stamp(), compact(req.Value))
	})
}

func showRegister(n *node, v *crdt.Value) (any, bool) {
	r, ok := crdt.Component[*crdt.LWWRegister[string]](n.kinds, v)
	if !ok {
		return nil, false
	}
	value, set := r.Value()
	return shown{json.RawMessage(value)}, set
}

func resetRegister(n *node, key string) ([]byte, error) {
	return store.Update(n.store, key, func(r *crdt.LWWRegister[string], _ store.Writer) *crdt.LWWRegister[string] { return r.Reset() })
}

// Values, with siblings where writes raced: {"value": ANY, "context": "..."}

// siblings is the body of GET for values. Its context, sent back with a write,
// says which of them the write replaces.
type siblings struct {
	Values  []json.RawMessage `json:"values"`
	Context string            `json:"context"`
}

func writeValue(n *node, key string, body []byte) ([]byte, error) {
	var req struct {
		Value   json.RawMessage
		Context string
	}
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	if req.Value == nil {
		return nil, badRequest(`want {"value": ANY, "context": "as read, or nothing"}`)
	}
	seen := new(vclock.Context)
	raw, err := base64.RawURLEncoding.DecodeString(req.Context)
	if err == nil && len(raw) > 0 {
		err = seen.UnmarshalBinary(raw)
	}
	if err != nil {
		return nil, badRequest("context is not one that a read gave: %v", err)
	}
	forged := false
	delta, err := store.Update(n.store, key, func(r *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
		// What this replica never wrote, nobody can have read.
		if forged = seen.Max(by.Replica) > r.Context().Max(by.Replica); forged {
			return nil
		}
		return r.Put(by.Replica, seen, compact(req.Value))
	})
	if forged {
		return nil, conflict("context claims writes of %s to this key that never happened", n.id)
	}
	return delta, err
}

func showValue(n *node, v *crdt.Value) (any, bool) {
	r, ok := crdt.Component[*crdt.MVRegister[string]](n.kinds, v)
	if !ok || r.Empty() {
		return nil, false
	}
	context, err := r.Context().AppendBinary(nil)
	if err != nil {
		return nil, false
	}
	body := siblings{Context: base64.RawURLEncoding.EncodeToString(context)}
	for _, value := range r.Values() {
		body.Values = append(body.Values, json.RawMessage(value))
	}
	return body, true
}

func resetValue(n *node, key string) ([]byte, error) {
	return store.Update(n.store, key, func(r *crdt.MVRegister[string], _ store.Writer) *crdt.MVRegister[string] { return r.Reset() })
}

// decode reads a JSON body into req: one value, no field that req does not know.
func decode(body []byte, req any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(req); err != nil {
		return badRequest("body: %v", err)
	}
	if d.More() {
		return badRequest("body: more than one JSON value")
	}
	return nil
}

// compact writes JSON without white space, so that equal values look equal. The
// input has been parsed before, so it cannot fail.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return string(raw)
	}
	return b.String()
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// A kind is one column of the API: what may be written, what is shown, how it is
// emptied. A key may hold several kinds at once; each path sees its own.
type kind struct {
	method string // of a write
	write  func(n *node, r request) (delta []byte, err error)
	show   func(n *node, key string, v *crdt.Value) (body any, found bool)
	reset  func(n *node, key string) (delta []byte, err error)
}

// A request is one write. If the key is full, it must not add to what is there.
type request struct {
	key  string
	body []byte
	full bool
}

var errFull = &clientError{http.StatusRequestEntityTooLarge, "too_large",
	fmt.Sprintf("the key holds more than %d bytes: remove something first", maxState)}

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

func writeCounter(n *node, r request) ([]byte, error) {
	var req struct {
		Add *int64 `json:"add"`
	}
	if err := decode(r.body, &req); err != nil {
		return nil, err
	}
	if req.Add == nil {
		return nil, badRequest(`want {"add": INTEGER}`)
	}
	return encoded(store.Update(n.store, r.key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		return c.Add(by.Replica, *req.Add)
	}))
}

func showCounter(n *node, _ string, v *crdt.Value) (any, bool) {
	c, ok := crdt.Component[*crdt.PNCounter](n.kinds, v)
	if !ok || c.Empty() {
		return nil, false
	}
	return shown{c.Value()}, true
}

func resetCounter(n *node, key string) ([]byte, error) {
	return encoded(store.Update(n.store, key, func(c *crdt.PNCounter, _ store.Writer) *crdt.PNCounter { return c.Reset() }))
}

// Sets: {"add": ["x"], "remove": ["y"]}

func writeSet(n *node, r request) ([]byte, error) {
	var req struct{ Add, Remove []string }
	if err := decode(r.body, &req); err != nil {
		return nil, err
	}
	if len(req.Add)+len(req.Remove) == 0 {
		return nil, badRequest(`want {"add": [STRING...], "remove": [STRING...]}, one of them at least`)
	}
	added := make(map[string]bool, len(req.Add))
	for _, e := range req.Add {
		added[e] = true
	}
	for _, e := range req.Remove {
		if added[e] {
			return nil, badRequest("%q is both to be added and to be removed", e)
		}
	}
	if r.full && len(req.Add) > 0 {
		return nil, errFull
	}
	return encoded(store.Update(n.store, r.key, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		delta := s.Remove(req.Remove...)
		delta.Merge(s.Add(by.Replica, req.Add...))
		return delta
	}))
}

func showSet(n *node, _ string, v *crdt.Value) (any, bool) {
	s, ok := crdt.Component[*crdt.ORSet[string]](n.kinds, v)
	if !ok || s.Empty() {
		return nil, false
	}
	return shown{slices.Sorted(s.All())}, true
}

func resetSet(n *node, key string) ([]byte, error) {
	return encoded(store.Update(n.store, key, func(s *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] { return s.Reset() }))
}

// Registers, last write wins: {"value": ANY}

func writeRegister(n *node, r request) ([]byte, error) {
	var req struct{ Value json.RawMessage }
	if err := decode(r.body, &req); err != nil {
		return nil, err
	}
	if req.Value == nil {
		return nil, badRequest(`want {"value": ANY}`)
	}
	return encoded(store.Update(n.store, r.key, func(v *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		return v.Set(by.Stamp(), compact(req.Value))
	}))
}

func showRegister(n *node, _ string, v *crdt.Value) (any, bool) {
	r, ok := crdt.Component[*crdt.LWWRegister[string]](n.kinds, v)
	if !ok {
		return nil, false
	}
	value, set := r.Value()
	return shown{json.RawMessage(value)}, set
}

func resetRegister(n *node, key string) ([]byte, error) {
	return encoded(store.Update(n.store, key, func(r *crdt.LWWRegister[string], _ store.Writer) *crdt.LWWRegister[string] { return r.Reset() }))
}

// Values, with siblings where writes raced: {"value": ANY, "context": "..."}

// siblings is the body of GET for values. Its context, sent back with a write,
// says which of them the write replaces.
type siblings struct {
	Values  []json.RawMessage `json:"values"`
	Context string            `json:"context"`
}

func writeValue(n *node, r request) ([]byte, error) {
	var req struct {
		Value   json.RawMessage
		Context string
	}
	if err := decode(r.body, &req); err != nil {
		return nil, err
	}
	if req.Value == nil {
		return nil, badRequest(`want {"value": ANY, "context": "as read, or nothing"}`)
	}
	seen, err := n.open(r.key, req.Context)
	if err != nil {
		return nil, err
	}
	if r.full && seen == nil {
		return nil, errFull
	}
	delta, err := encoded(store.Update(n.store, r.key, func(v *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
		return v.Put(by.Replica, seen, compact(req.Value))
	}))
	if err == nil && len(delta) == 0 {
		return nil, errors.New("this replica cannot number another write") // after 2^64 of them
	}
	return delta, err
}

func showValue(n *node, key string, v *crdt.Value) (any, bool) {
	r, ok := crdt.Component[*crdt.MVRegister[string]](n.kinds, v)
	if !ok || r.Empty() {
		return nil, false
	}
	body := siblings{Context: n.seal(key, r.Context())}
	for _, value := range r.Values() {
		body.Values = append(body.Values, json.RawMessage(value))
	}
	return body, true
}

func resetValue(n *node, key string) ([]byte, error) {
	return encoded(store.Update(n.store, key, func(r *crdt.MVRegister[string], _ store.Writer) *crdt.MVRegister[string] { return r.Reset() }))
}

// decode reads a JSON body into req: one value, no field that req does not know.
func decode(body []byte, req any) error {
	if !utf8.Valid(body) {
		return badRequest("body: not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	switch err := d.Decode(req); {
	case errors.Is(err, io.EOF):
		return badRequest("body: empty")
	case err != nil:
		return badRequest("body: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
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

// encoded is a change as it is written to the other replicas.
func encoded(delta store.Delta, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return delta.Bytes()
}

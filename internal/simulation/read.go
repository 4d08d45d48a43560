package simulation

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/eventual-go/eventual/crdt"
)

// show decodes a state and reads every component of it.
func (r *run) show(l *ledger, state []byte) (out view, err error) {
	_, value := unseal(state)
	v, err := r.kinds.Decode(value)
	if err != nil {
		return view{}, err
	}
	for c := range component(components) {
		out[c] = datatypes[c].read(r.kinds, v, l)
	}
	return out, nil
}

// read is a reader of the type P: it shows nothing of a state that is empty.
func read[P interface {
	crdt.State[P]
	Empty() bool
}](show func(v P, l *ledger) string) reader {
	return func(k *crdt.Kinds, v *crdt.Value, l *ledger) string {
		c, ok := crdt.Component[P](k, v)
		if !ok || c.Empty() {
			return ""
		}
		return show(c, l)
	}
}

var (
	readGCounter  = read(func(c *crdt.GCounter, _ *ledger) string { return strconv.FormatUint(c.Value(), 10) })
	readPNCounter = read(func(c *crdt.PNCounter, _ *ledger) string { return strconv.FormatInt(c.Value(), 10) })
	readMax       = read(func(c *crdt.MaxRegister[int64], _ *ledger) string { return number(c.Value()) })
	readMin       = read(func(c *crdt.MinRegister[int64], _ *ledger) string { return number(c.Value()) })
	readLWW       = read(func(c *crdt.LWWRegister[string], _ *ledger) string { return text(c.Value()) })
	readMV        = read(func(c *crdt.MVRegister[string], _ *ledger) string { return list(c.Values()) })
	readGSet      = read(func(c *crdt.GSet[string], _ *ledger) string { return all(c.All()) })
	readTwoPhase  = read(func(c *crdt.TwoPhaseSet[string], _ *ledger) string { return all(c.All()) })
	readORSet     = read(func(c *crdt.ORSet[string], _ *ledger) string { return all(c.All()) })
	readRWSet     = read(func(c *crdt.RWSet[string], _ *ledger) string { return all(c.All()) })
	readLWWSet    = read(func(c *crdt.LWWSet[string], _ *ledger) string { return all(c.All()) })
	readLWWMap    = read(showLWWMap)
	readLog       = read(showLog)
	readMap       = read(func(c *crdt.ORMap[string], _ *ledger) string { return list(showFields(nil, c, nil)) })
)

func number(n int64, ok bool) string { return text(strconv.FormatInt(n, 10), ok) }

func text(s string, ok bool) string {
	if !ok {
		return "nothing, and not empty"
	}
	return s
}

func all(seq iter.Seq[string]) string { return list(slices.Collect(seq)) }

func showLWWMap(m *crdt.LWWMap[string, string], _ *ledger) string {
	var bindings []string
	for key, v := range m.All() {
		bindings = append(bindings, key+":"+v)
	}
	return list(bindings)
}

func showLog(c *crdt.Log[string], _ *ledger) string {
	var texts []string
	for _, v := range c.All() {
		texts = append(texts, v)
	}
	return strings.Join(texts, " ")
}

// showFields appends a line for each field in f, which is at a path, and below.
func showFields(lines []string, f fields, at path) []string {
	for key, kind := range f.All() {
		p := append(slices.Clone(at), key)
		if kind == crdt.FieldMap {
			lines = showFields(lines, f.Map(key), p)
			continue
		}
		lines = append(lines, field(p.String(), kind, showField(f, key, kind)))
	}
	return lines
}

func showField(f fields, key string, kind crdt.FieldKind) string {
	switch kind {
	case crdt.FieldCounter:
		return strconv.FormatInt(f.Counter(key).Value(), 10)
	case crdt.FieldSet:
		return all(f.Set(key).All())
	case crdt.FieldLWWRegister:
		return text(f.LWWRegister(key).Value())
	case crdt.FieldMVRegister:
		return list(f.MVRegister(key).Values())
	}
	if f.Flag(key).Enabled() {
		return "on"
	}
	return "off, and there"
}

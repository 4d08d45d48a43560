package store

import (
	"cmp"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/wire"
)

// A bundle is the deltas of several keys on their way together: who merges it, merges all of them in one step. It is
// merged under any key, and what of it was new to a store is one again. Its wire form is an array of
//
//	[1, number, id, [key, ...], [value, ...]]
//
// with the two numbers of the generation, keys in ascending order, and the encoded value of each as bytes. A value has
// an even number of elements, and a state of a later generation three, so they are told apart.
type bundle struct {
	at    stamp
	items []item // two at least, in ascending order of keys
}

const (
	formBundle    = "bundle"
	bundleVersion = 1
	bundleHead    = 0x95 // of an array of five
)

func isBundle(state []byte) bool { return len(state) > 0 && state[0] == bundleHead }

// bundled returns the items as a state to be merged under key: the state of that key, if there is no other.
func bundled(at stamp, key string, items []item) []byte {
	if len(items) == 0 {
		return nil
	}
	if len(items) == 1 && items[0].key == key {
		return at.seal(items[0].value)
	}
	size := 32
	for _, it := range items {
		size += len(it.key) + len(it.value) + itemOverhead
	}
	at = at.plainly()
	w := wire.NewWriter(make([]byte, 0, size))
	w.Array(5)
	w.Uint(bundleVersion)
	w.Uint(at.number)
	w.Uint(at.id)
	w.Array(len(items))
	for _, it := range items {
		w.String(it.key)
	}
	w.Array(len(items))
	for _, it := range items {
		w.Bytes(it.value)
	}
	return w.Done()
}

// unbundle returns what is in a bundle. The values in it are those of b.
func unbundle(b []byte) (*bundle, error) {
	r, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(formBundle, err)
	}
	r.ArrayOf(5)
	if v := r.Uint(); r.Err() == nil && v > bundleVersion {
		return nil, &crdt.VersionError{Kind: formBundle, Version: v, Supported: bundleVersion}
	} else if v != bundleVersion {
		r.Fail("not a bundle")
	}
	at, ok := stamp{r.Uint(), r.Uint()}.known()
	if !ok {
		r.Fail("no such generation")
	}
	u := &bundle{at: at}
	for range r.Array() {
		if r.Err() != nil {
			break
		}
		u.items = append(u.items, item{key: r.String()})
	}
	if n := r.Array(); n != len(u.items) || n == 0 {
		r.Fail("keys without values")
	}
	for i := range u.items {
		if u.items[i].value = r.Bytes(); len(u.items[i].value) == 0 {
			r.Fail("empty value")
		}
		if i > 0 && u.items[i].key <= u.items[i-1].key {
			r.Fail("keys out of order")
		}
		if r.Err() != nil {
			break
		}
	}
	return u, corrupt(formBundle, r.Close())
}

// parts returns what is in a delta under key, bundle or not.
func parts(key string, delta []byte) (at stamp, items []item, err error) {
	if !isBundle(delta) {
		at, value, err := unseal(delta)
		return at, []item{{key, value}}, err
	}
	u, err := unbundle(delta)
	if err != nil {
		return stamp{}, nil, err
	}
	return u.at, u.items, nil
}

// joinDeltas joins deltas that were made under a key in one pass, at O(their sizes); if one is a bundle, they all become one.
// It returns nil if that fails, or if they are of several generations, which says the same as a delta that was lost.
func joinDeltas(k *crdt.Kinds, key string, deltas [][]byte) []byte {
	if len(deltas) == 1 {
		return deltas[0]
	}
	whole := make(map[string]*crdt.Value)
	var all stamp
	for i, delta := range deltas {
		at, items, err := parts(key, delta)
		if err != nil || i > 0 && at != all {
			return nil // what was written before the store was emptied is not to come along
		}
		all = at
		for _, it := range items {
			v, err := k.Decode(it.value)
			if err != nil {
				return nil
			}
			if whole[it.key] == nil {
				whole[it.key] = v
			} else {
				whole[it.key].Merge(v)
			}
		}
	}
	items, err := encodeAll(whole)
	if err != nil {
		return nil
	}
	return bundled(all, key, items)
}

// encodeAll returns values in encoded form, in ascending order of their keys.
func encodeAll(values map[string]*crdt.Value) (items []item, err error) {
	for key, v := range values {
		b, err := v.AppendBinary(nil)
		if err != nil {
			return nil, err
		}
		if len(b) > 0 {
			items = append(items, item{key, b})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.key, b.key) })
	return items, nil
}

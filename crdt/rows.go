package crdt

import (
	"iter"
	"maps"
)

// rows is a map that holds a single row without a hash table: most deltas have no more, and a table for one is as
// large as for eight.
type rows[K comparable, R any] struct {
	many map[K]R
	one  *row[K, R] // in place of many
}

type row[K comparable, R any] struct {
	key K
	row R
}

func (t rows[K, R]) get(k K) (r R, ok bool) {
	if t.one == nil {
		r, ok = t.many[k]
	} else if t.one.key == k {
		return t.one.row, true
	}
	return r, ok
}

func (t *rows[K, R]) put(k K, r R) {
	switch {
	case t.many != nil:
		t.many[k] = r
	case t.one == nil:
		t.one = &row[K, R]{k, r}
	case t.one.key == k:
		t.one.row = r
	default:
		t.many = map[K]R{t.one.key: t.one.row, k: r}
		t.one = nil
	}
}

func (t rows[K, R]) len() int {
	if t.one != nil {
		return 1
	}
	return len(t.many)
}

func (t rows[K, R]) all() iter.Seq2[K, R] {
	return func(yield func(K, R) bool) {
		if t.one != nil {
			yield(t.one.key, t.one.row)
			return
		}
		for k, r := range t.many {
			if !yield(k, r) {
				return
			}
		}
	}
}

func (t rows[K, R]) clone() rows[K, R] {
	if t.one != nil {
		own := *t.one
		return rows[K, R]{one: &own}
	}
	return rows[K, R]{many: maps.Clone(t.many)}
}

// delete takes out the row of k, if there is one.
func (t *rows[K, R]) delete(k K) {
	switch {
	case t.one == nil:
		delete(t.many, k)
	case t.one.key == k:
		t.one = nil
	}
}

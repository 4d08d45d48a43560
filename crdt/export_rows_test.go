package crdt

import "iter"

// Rows is the table in which maps and sets have their rows.
type Rows[K comparable, R any] struct{ t rows[K, R] }

func (t *Rows[K, R]) Row(k K) (R, bool)    { return t.t.get(k) }
func (t *Rows[K, R]) Put(k K, r R)         { t.t.put(k, r) }
func (t *Rows[K, R]) Delete(k K)           { t.t.delete(k) }
func (t *Rows[K, R]) Len() int             { return t.t.len() }
func (t *Rows[K, R]) All() iter.Seq2[K, R] { return t.t.all() }
func (t *Rows[K, R]) Clone() *Rows[K, R]   { return &Rows[K, R]{t.t.clone()} }

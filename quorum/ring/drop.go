package ring

import (
	"context"
	"maps"
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// strays has this node hand over what it has in partitions that are not its own. What it
// held by an earlier ring it knows of anyhow; other things come by a write that was let in
// before the ring changed, by a hint, or by an application that writes wherever it is.
func (r *runner) strays(ctx context.Context) {
	if r.Store == nil || r.Ring() == nil {
		return
	}
	index := r.Store.Index()
	_ = r.inTurn(ctx, func(t *Transition) error {
		t.Find(func(in merkle.Range) bool { return count(index, in) > 0 })
		return nil
	})
}

func count(t *merkle.Tree, ranges ...merkle.Range) (n int) {
	for _, in := range ranges {
		_, some := t.Sum(in)
		n += some
	}
	return n
}

// remember notes what there is before a partition is reconciled with anybody in order to
// hand it over. Only that may be discarded after it. Who calls it has the turn.
func (r *runner) remember(t *Transition, tasks []Task) {
	if r.Store == nil {
		return
	}
	var index *merkle.Tree
	for _, task := range tasks {
		for _, p := range task.parts {
			if _, owed := slices.BinarySearch(t.owed, p); !owed || r.held[p] != nil {
				continue
			}
			if index == nil {
				index = r.Store.Index()
			}
			r.held[p] = index
		}
	}
}

// forget drops what was remembered of partitions that are not to be handed over any more, because they
// are this node's own again. Who calls it has the turn.
func (k *Keeper) forget() {
	maps.DeleteFunc(k.held, func(p int, _ *merkle.Tree) bool {
		_, owed := slices.BinarySearch(k.t.owed, p)
		return !owed
	})
}

// drop forgets what was handed over. It has the turn, so that no ring is adopted meanwhile by which
// this node would hold it again.
func (r *runner) drop(ctx context.Context) {
	if r.Stats().Gives == 0 {
		return
	}
	var ranges []merkle.Range
	err := r.inTurn(ctx, func(t *Transition) error {
		parts := t.Droppable()
		if len(parts) == 0 {
			return nil
		}
		ranges = t.rangesOf(parts)
		again, err := r.discard(ctx, t, parts)
		if err != nil {
			return err
		}
		t.Again(again)
		for _, p := range parts {
			delete(r.held, p)
		}
		return t.Dropped(slices.DeleteFunc(parts, func(p int) bool { return slices.Contains(again, p) }), r.save)
	})
	if len(ranges) > 0 {
		r.Events.dropped(ranges, err)
	}
}

// discard forgets what was handed over of some partitions, and returns those of which there
// is more by now, to be handed over in its turn.
func (r *runner) discard(ctx context.Context, t *Transition, parts []int) (again []int, err error) {
	if r.Store == nil {
		return nil, nil
	}
	byIndex := make(map[*merkle.Tree][]int)
	for _, p := range parts {
		byIndex[r.held[p]] = append(byIndex[r.held[p]], p)
	}
	left := len(byIndex[nil]) // of these nothing was noted: what there is goes again
	delete(byIndex, nil)
	for held, parts := range byIndex {
		kept, err := r.Store.Discard(ctx, held, t.rangesOf(parts))
		if err != nil {
			return nil, err
		}
		left += kept
	}
	if left == 0 {
		return nil, nil
	}
	index := r.Store.Index()
	for _, p := range parts {
		if count(index, t.rangesOf([]int{p})...) > 0 {
			again = append(again, p)
		}
	}
	return again, nil
}

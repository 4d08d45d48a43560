package antientropy

import (
	"context"
	"slices"
)

// A store that is empty is filled from one peer at a time, however many it starts
// with: the others would send the same. If that peer fails, the next goes on from
// where it stopped. All is compared with each of them in any case.

// fill waits until this exchange may stream, if that is what its round is about to
// do. If another one has filled the store meanwhile, the round compares anew.
func (l *Loop) fill(ctx context.Context, d *driving, round *Round) error {
	if !round.streaming() || d.filling {
		return nil
	}
	d.vacate()
	select {
	case l.filling <- struct{}{}:
		d.filling = true
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.stillEmpty(d, round) {
		return nil
	}
	d.unfill()
	round.startOver()
	return nil
}

// stillEmpty has the round go on from where others have come, and reports false if
// they have come to the end.
func (l *Loop) stillEmpty(d *driving, round *Round) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.fills != l.fills {
		d.fills = l.fills
		return false
	}
	if slices.Equal(d.ranges, l.cursorOf) && round.Resume().before(l.cursor) {
		round.seek(l.cursor)
	}
	return true
}

// filled notes how far the round has come.
func (l *Loop) filled(d *driving, round *Round) {
	if !d.filling {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursor, l.cursorOf = round.Resume(), d.ranges
	if !round.streaming() {
		l.fills++
		d.fills = l.fills
		d.unfill()
	}
}

// unfill lets others fill the store.
func (d *driving) unfill() {
	if d.filling {
		d.filling = false
		<-d.fillers
	}
}

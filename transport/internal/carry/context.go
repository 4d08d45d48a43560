package carry

import (
	"context"
	"math"
	"time"
)

// Ended returns the error of ctx once its deadline has passed, even if its timer
// has not fired yet: the other side's may have fired first.
func Ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return nil
}

// Left returns how many microseconds are left until the deadline of ctx, rounded
// up and at least one; 0 if there is none.
func Left(ctx context.Context) uint64 {
	d, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return uint64(max(time.Until(d)+time.Microsecond-1, time.Microsecond) / time.Microsecond)
}

// Deadline is the inverse of Left: the zero time for 0, and for more than a
// time.Duration holds.
func Deadline(left uint64, now time.Time) time.Time {
	if left == 0 || left > math.MaxInt64/uint64(time.Microsecond) {
		return time.Time{}
	}
	return now.Add(time.Duration(left) * time.Microsecond)
}

// WithLeft returns a context that ends when so many microseconds have passed, at the
// Deadline of them if there is one.
func WithLeft(ctx context.Context, left uint64) (context.Context, context.CancelFunc) {
	if d := Deadline(left, time.Now()); !d.IsZero() {
		return context.WithDeadline(ctx, d)
	}
	return context.WithCancel(ctx)
}

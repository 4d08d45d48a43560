package vclock_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/eventual-go/eventual/vclock"
)

// Import only a clock: which of two versions came first?
func Example() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b vclock.Clock // ready to use
	a.Tick(paris)
	b.Tick(tokyo)
	fmt.Println(a.Compare(&b))
	b.Merge(&a)
	fmt.Println(a.Compare(&b), b.String())
	// Output:
	// concurrent
	// before {paris:1 tokyo:1}
}

// Events arrive out of order; what is missing stays missing until it comes.
func ExampleContext() {
	paris := vclock.Named("paris")
	var seen vclock.Context
	for _, seq := range []uint64{1, 2, 5, 4} {
		seen.Add(vclock.Dot{Replica: paris, Seq: seq})
	}
	fmt.Println(seen.String(), seen.Has(vclock.Dot{Replica: paris, Seq: 3}), seen.Next(paris))
	// Output: {paris:1-2,4-5} false paris:6
}

// What a peer has and I lack.
func ExampleContext_Diff() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var mine, theirs vclock.Context
	mine.AddSpan(vclock.Span{Replica: paris, Lo: 1, Hi: 4})
	theirs.AddSpan(vclock.Span{Replica: paris, Lo: 3, Hi: 9})
	theirs.Add(vclock.Dot{Replica: tokyo, Seq: 1})
	for span := range theirs.Diff(&mine).All() {
		fmt.Println(span)
	}
	// Output:
	// paris:5-9
	// tokyo:1
}

// A stamp after an observation is later than what was observed, though the clock here is behind.
func ExampleHLC() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := vclock.HLC{Replica: vclock.Named("paris"), Now: func() time.Time { return now }}
	fmt.Println(clock.Stamp())

	remote := vclock.Timestamp{Wall: now.Add(time.Second).UnixNano(), Replica: vclock.Named("tokyo")}
	if err := clock.Observe(remote); err != nil {
		fmt.Println(err)
	}
	fmt.Println(clock.Stamp())

	remote.Wall = now.Add(time.Hour).UnixNano()
	if drift, ok := errors.AsType[*vclock.DriftError](clock.Observe(remote)); ok {
		fmt.Println("refused:", drift.Ahead, "ahead")
	}
	// Output:
	// 2026-03-01T12:00:00Z@paris
	// 2026-03-01T12:00:01Z#1@paris
	// refused: 1h0m0s ahead
}

// Keep what was stamped last, and start above it.
func ExampleHLC_Floor() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := vclock.HLC{Replica: vclock.Named("paris"), Now: func() time.Time { return now }}
	before.Stamp()
	saved, _ := before.Last().AppendBinary(nil)

	now = now.Add(-time.Minute) // the machine came back with its clock behind
	after := vclock.HLC{Replica: vclock.Named("paris"), Now: func() time.Time { return now }}
	var floor vclock.Timestamp
	if err := floor.UnmarshalBinary(saved); err != nil {
		fmt.Println(err)
	}
	after.Floor(floor)
	fmt.Println(after.Stamp())
	// Output: 2026-03-01T12:00:00Z#1@paris
}

func ExampleNamed() {
	fmt.Println(vclock.Named("paris"))
	fmt.Println(vclock.Named("paris.eu-west-3.example.com"))
	// Output:
	// paris
	// paris-af9125429ab113cb3b24
}

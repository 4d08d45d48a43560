package crdt_test

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func ExampleLWWMap() {
	paris := vclock.HLC{Replica: vclock.Named("paris")}
	tokyo := vclock.HLC{Replica: vclock.Named("tokyo")}
	var a, b crdt.LWWMap[string, string]
	b.Merge(a.Set(paris.Stamp(), "theme", "light"))

	a.Remove(paris.Stamp(), "theme")
	b.Set(tokyo.Stamp(), "theme", "dark") // at the same time, and a little later
	b.Set(tokyo.Stamp(), "language", "ja")
	a.Merge(&b)
	b.Merge(&a)
	fmt.Println(a.Value("theme"))
	fmt.Println(b.Value("language"))
	fmt.Println(a.Len(), b.Len())
	// Output:
	// dark true
	// ja true
	// 2 2
}

func ExampleLog() {
	paris := vclock.HLC{Replica: vclock.Named("paris")}
	tokyo := vclock.HLC{Replica: vclock.Named("tokyo")}
	var a, b crdt.Log[string]
	b.Merge(a.Append(paris.Stamp(), "who is there?"))
	b.Append(tokyo.Stamp(), "it is me")
	a.Append(paris.Stamp(), "hello?") // at the same time, and a little later

	a.Merge(b.Delta(a.Context())) // what a lacks: one entry
	for _, line := range a.All() {
		fmt.Println(line)
	}
	for at, line := range a.Tail(1) {
		fmt.Println(at.Replica, "had the last word:", line)
	}
	// Output:
	// who is there?
	// it is me
	// hello?
	// paris had the last word: hello?
}

func ExampleBoundedCounter() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.BoundedCounter // tickets
	a.Increment(paris, 100)
	a.Transfer(paris, tokyo, 40)
	b.Merge(&a)

	sold, err := b.Decrement(tokyo, 38) // asks nobody
	fmt.Println(b.Value(), err)
	_, err = b.Decrement(tokyo, 5)
	fmt.Println(err)

	a.Merge(sold)
	if short, ok := errors.AsType[*crdt.InsufficientError](err); ok {
		a.Merge(b.Request(tokyo, short.Want-short.Have))
	}
	for who, n := range a.Requests() { // paris answers, but keeps half of what it has
		delta, granted := a.Grant(paris, who, a.Rights(paris)/2)
		b.Merge(delta)
		fmt.Println(who, "asked for", n, "and gets", granted)
	}
	_, err = b.Decrement(tokyo, 5)
	fmt.Println(b.Value(), err)
	// Output:
	// 62 <nil>
	// crdt: tokyo has rights to 2, not 5
	// tokyo asked for 3 and gets 3
	// 57 <nil>
}

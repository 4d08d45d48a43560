package main

import (
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func main() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.ORSet[string] // one shopping cart, two replicas

	delta := a.Add(paris, "milk", "bread") // applies here, returns the change
	b.Merge(delta)                         // however it travelled

	// The line is down. Both sides stay writable.
	removed := b.Remove("milk")
	bought := b.Add(tokyo, "jam")
	again := a.Add(paris, "milk") // at the same time: an add wins

	// The line is back. Late, twice, out of order: it does not matter.
	a.Merge(bought)
	a.Merge(removed)
	a.Merge(removed)
	b.Merge(again)

	fmt.Println(slices.Sorted(a.All())) // [bread jam milk]
	fmt.Println(slices.Sorted(b.All())) // [bread jam milk]
}

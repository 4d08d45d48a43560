package crdt_test

import (
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func ExampleCausal() {
	paris := vclock.Named("paris")
	var a, b crdt.ORSet[string]
	b.Merge(a.Add(paris, "milk", "bread", "salt"))
	a.Remove("bread")
	a.Add(paris, "eggs")

	delta := a.Delta(b.Context()) // what b lacks
	fmt.Println(delta.Len(), "element, and knows of", delta.Context())
	b.Merge(delta)
	fmt.Println(b.Len(), b.Has("eggs"), b.Has("bread"))
	// Output:
	// 1 element, and knows of {paris:2,4}
	// 3 true false
}

func ExampleORSet_Explain() {
	var a, b crdt.ORSet[string]
	a.Add(vclock.Named("paris"), "milk")
	b.Add(vclock.Named("tokyo"), "milk")
	a.Merge(&b)
	fmt.Println(a.Explain("milk"))
	// Output: here: for paris:1 tokyo:1
}

func ExamplePNCounter_Handover() {
	paris, tokyo, oslo := vclock.Named("paris"), vclock.Named("tokyo"), vclock.Named("oslo")
	var a, b crdt.PNCounter
	a.Add(paris, 5)
	a.Add(oslo, 2)
	b.Merge(&a)

	cut := a.Clone() // agreed: paris and oslo are gone for good, and this is what they left
	estate := vclock.Named("estate-1")
	for _, replica := range []*crdt.PNCounter{&a, &b} {
		if _, err := replica.Handover(cut, estate, paris, oslo); err != nil {
			fmt.Println(err)
		}
	}
	b.Merge(a.Add(tokyo, 1))
	fmt.Println(b.Value())
	for _, share := range b.Explain() {
		fmt.Println(share.Replica, share.Added)
	}
	// Output:
	// 8
	// estate-1 7
	// tokyo 1
}

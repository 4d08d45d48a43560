package crdt_test

import (
	"encoding/json"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func ExampleORMap() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.ORMap[string]
	b.Merge(a.Counter("likes").Add(paris, 5))
	b.Merge(a.Map("profile").Set("tags").Add(paris, "go", "crdt"))

	removal := a.Remove("likes", "profile") // saw 5 likes and two tags
	b.Counter("likes").Add(tokyo, 3)        // at the same time
	b.Map("profile").Set("tags").Add(tokyo, "new")
	b.Merge(removal)

	text, _ := json.Marshal(&b)
	fmt.Println(string(text))
	fmt.Println(b.Counter("likes").Value(), b.Map("profile").Set("tags").Has("go"))
	// Output:
	// {"likes":3,"profile":{"tags":["new"]}}
	// 3 false
}

func ExampleORMap_Fold() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.ORMap[string]
	for range 1000 {
		a.Counter("likes").Add(paris, 1)
	}
	b.Merge(&a)
	b.Counter("likes").Add(tokyo, 10)
	a.Merge(&b) // there are no other members: what is in b's context is settled

	before, _ := a.AppendBinary(nil)
	b.Merge(a.Fold(paris, b.Context())) // 1000 increments become one
	b.Merge(a.Fold(paris, b.Context())) // b has the fold by now, so what it stands for is forgotten
	after, _ := a.AppendBinary(nil)
	fmt.Println(a.Counter("likes").Value(), b.Counter("likes").Value(), len(before), len(after))
	// Output: 1010 1010 5681 72
}

package crdt_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func Example() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.ORSet[string]   // ready to use
	b.Merge(a.Add(paris, "milk")) // a mutator applies here and returns the delta; a delta is a state
	delta := b.Remove("milk")     // mints nothing, so takes no replica
	a.Add(tokyo, "milk")          // concurrent with the removal: the add wins
	a.Merge(delta)

	fmt.Println(a.Has("milk"), b.Has("milk"))
	b.Merge(&a)
	fmt.Println(a.Has("milk"), b.Has("milk"))
	// Output:
	// true false
	// true true
}

func ExamplePNCounter() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.PNCounter
	b.Merge(a.Add(paris, 5))

	reset := a.Reset()       // saw 5
	added := b.Add(tokyo, 3) // at the same time
	a.Merge(added)
	b.Merge(reset)
	fmt.Println(a.Value(), b.Value())
	// Output: 3 3
}

func ExampleLWWRegister() {
	clock := vclock.HLC{Replica: vclock.Named("paris")}
	var title, copied crdt.LWWRegister[string]
	title.Set(clock.Stamp(), "Draft")
	copied.Merge(&title)
	title.Merge(copied.Set(clock.Stamp(), "Final"))
	fmt.Println(title.Value())
	// Output: Final true
}

func ExampleMVRegister_Put() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.MVRegister[string]
	a.Set(paris, "tea")
	b.Merge(&a)

	read := a.Context() // a client reads "tea" ...
	b.Set(tokyo, "coffee")
	a.Merge(&b)
	a.Put(paris, read, "cocoa") // ... and writes over it, not knowing of "coffee"
	fmt.Println(a.Values())
	a.Put(paris, a.Context(), "water") // having seen both
	fmt.Println(a.Values())
	// Output:
	// [cocoa coffee]
	// [water]
}

func ExampleORSet_MergeNovel() {
	paris := vclock.Named("paris")
	var a, b crdt.ORSet[string]
	b.Merge(a.Add(paris, "bread", "milk"))
	a.Add(paris, "salt")

	novel, changed := b.MergeNovel(&a) // pass on what was new, not what was sent
	text, _ := json.Marshal(novel)
	fmt.Println(string(text), changed)
	_, changed = b.MergeNovel(&a)
	fmt.Println(changed)
	// Output:
	// ["salt"] true
	// false
}

func ExampleKinds_Join() {
	kinds, err := crdt.Standard().With(crdt.NewKind[crdt.ORSet[int]](64, "numbers"))
	if err != nil {
		panic(err)
	}
	paris := vclock.Named("paris")
	var counter crdt.PNCounter
	var numbers crdt.ORSet[int]
	a, _ := crdt.Wrap(kinds, counter.Add(paris, 7))
	b, _ := crdt.Wrap(kinds, numbers.Add(paris, 30, 4))

	left, _ := a.AppendBinary(nil)
	right, _ := b.AppendBinary(nil)
	joined, err := kinds.Join(left, right)
	if err != nil {
		panic(err)
	}
	value, err := kinds.Decode(joined)
	if err != nil {
		panic(err)
	}
	text, _ := json.Marshal(value)
	fmt.Println(string(text))
	_, err = crdt.Standard().Decode(joined)
	unknown, ok := errors.AsType[*crdt.UnknownKindError](err)
	fmt.Println(ok, unknown)
	// Output:
	// {"numbers":[4,30],"pncounter":7}
	// true crdt: no kind with tag 64
}

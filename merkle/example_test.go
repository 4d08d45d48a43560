package merkle_test

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/merkle"
)

// What differs between these two maps?
func Example() {
	h := merkle.NewHasher([]byte("a secret that both sides have"))
	index := func(m map[string]string) *merkle.Tree {
		tree := merkle.New(h)
		for key, value := range m {
			tree.Set(key, h.Sum([]byte(value)))
		}
		return tree
	}
	here := index(map[string]string{"apples": "3", "pears": "5", "plums": "8"})
	there := index(map[string]string{"apples": "3", "pears": "6", "quinces": "1"})

	s := merkle.NewSession(here, merkle.SessionConfig{})
	r := merkle.NewResponder(there, merkle.SessionConfig{})
	for msg := s.Start(); msg != nil; {
		reply, err := r.Step(msg) // on the other side of some network
		if err != nil {
			panic(err)
		}
		if msg, err = s.Step(reply); err != nil {
			panic(err)
		}
	}
	for _, d := range s.Diff() {
		fmt.Println("push", d.Keys, "pull", d.Theirs)
		for key := range there.Range(d.Range) {
			fmt.Println("  there:", key)
		}
	}
	// Unordered output:
	// push [plums] pull false
	// push [pears] pull true
	//   there: pears
	// push [] pull true
	//   there: quinces
}

func ExampleTree() {
	h := merkle.NewHasher([]byte("secret"))
	tree := merkle.New(h)
	tree.Set("apples", h.Sum([]byte("3")))
	before := tree.Snapshot()

	tree.Set("pears", h.Sum([]byte("5")))
	fmt.Println(before.Len(), tree.Len(), before.Root() == tree.Root())

	tree.Delete("pears")
	fmt.Println(before.Len(), tree.Len(), before.Root() == tree.Root())
	// Output:
	// 1 2 false
	// 1 1 true
}

func ExampleTree_Sum() {
	h := merkle.NewHasher([]byte("secret"))
	tree := merkle.New(h)
	for _, key := range []string{"apples", "pears", "plums"} {
		tree.Set(key, h.Sum([]byte("1")))
	}
	// A partition of a ring is a range of positions. Sums of ranges add up.
	low, n := tree.Sum(merkle.Range{From: 0, To: 1<<63 - 1})
	high, m := tree.Sum(merkle.Range{From: 1 << 63, To: merkle.Full.To})
	fmt.Println(n+m, low.Add(high) == tree.Root())
	// Output: 3 true
}

func ExampleIncomparableError() {
	mine := merkle.New(merkle.NewHasher([]byte("secret")))
	theirs := merkle.New(merkle.NewHasher([]byte("another")))

	s := merkle.NewSession(mine, merkle.SessionConfig{})
	reply, _ := merkle.NewResponder(theirs, merkle.SessionConfig{}).Step(s.Start())
	_, err := s.Step(reply)
	if e, ok := errors.AsType[*merkle.IncomparableError](err); ok {
		fmt.Println(e.Aspect)
	}
	// Output: secret
}

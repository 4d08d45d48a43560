package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// grave collects dots whose lives ended, in any order. A context takes many of them far more quickly when they
// come in order: each then goes to its end.
type grave []vclock.Dot

// fewDots is for how many there is room that costs no memory: mostly an element has one.
const fewDots = 4

func (g grave) into(c *vclock.Context) {
	if !slices.IsSortedFunc(g, vclock.Dot.Compare) {
		slices.SortFunc(g, vclock.Dot.Compare)
	}
	for _, d := range g {
		c.Add(d)
	}
}

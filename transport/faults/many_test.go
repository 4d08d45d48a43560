package faults

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
)

// traceOf is a trace of these steps, one in a microsecond.
func traceOf(steps []Step) *Trace {
	t := new(Trace)
	for i, s := range steps {
		t.events = append(t.events, Event{At: time.Duration(i) * time.Microsecond, What: "step", Step: s.action()})
	}
	return t
}

// A drawing takes about as long as its trace is: with a comparison of each fault with
// each other one these would take hours.
func TestDrawingOfManyFaults(t *testing.T) {
	const nodes = 256
	node := func(i int) transport.NodeID { return transport.NodeID(fmt.Sprint("n", i)) }
	var cuts, mixed, pairs []Step
	for i := range nodes * nodes {
		a, b := node(i/nodes), node(i%nodes)
		cuts = append(cuts, Step{Do: "cut", From: a, To: b})
		mixed = append(mixed, []Step{
			{Do: "cut", From: a, To: b}, {Do: "slow", From: b, By: time.Duration(1 + i)},
			{Do: "link", From: a, To: b, Link: Link{Loss: 0.5}}, {Do: "heal"},
			{Do: "partition", Groups: [][]transport.NodeID{{a}, {b}}},
		}[i%5])
		pairs = append(pairs, []Step{{Do: "freeze", From: a}, {Do: "thaw", From: a}}[i%2])
	}
	for name, steps := range map[string][]Step{
		"all at once":      cuts,
		"and all mended":   append(slices.Clone(cuts[:len(cuts)-1]), Step{Do: "heal"}),
		"of all kinds":     mixed,
		"after each other": pairs,
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, Drawing{Trace: traceOf(steps)}.WriteSVG(&b))
			require.Less(t, b.Len(), 500*len(steps))
			require.Contains(t, b.String(), " faults</text>")
		})
	}
}

// slowLayers is what layers does, by looking at every row for every band.
func slowLayers(v *timeline, letter time.Duration) (row []int, n int) {
	var free []time.Duration
	for _, b := range v.bands {
		from := max(b.from, v.from)
		i := slices.IndexFunc(free, func(at time.Duration) bool { return at <= from })
		if i < 0 {
			i = len(free)
			free = append(free, 0)
		}
		free[i] = v.taken(b, letter)
		row = append(row, i)
	}
	return row, len(free)
}

// Each band is in the first row that is free, and its row is as few as there can be.
func TestLayersAreThoseOfTheFirstFreeRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.IntRange(0, 60).Draw(t, "time")) })
		v := &timeline{from: span.Draw(t, "from"), to: time.Minute}
		at := time.Duration(0)
		for range rapid.IntRange(0, 40).Draw(t, "bands") {
			at += span.Draw(t, "pause") / 10
			v.bands = append(v.bands, band{from: at, to: at + span.Draw(t, "length"), step: Step{Do: "freeze", From: "a"}})
		}
		letter := span.Draw(t, "letter") / 20
		wantRow, wantN := slowLayers(v, letter)
		row, n := v.layers(letter)
		require.Equal(t, wantRow, row)
		require.Equal(t, wantN, n)
	})
}

// slowBands is what bands does, for all faults that there are at every step.
func slowBands(events []Event, until time.Duration) (all []band) {
	var open []band
	for _, e := range events {
		s, err := parseAction(e.Step)
		if err != nil {
			continue
		}
		goes := slices.IndexFunc(open, func(b band) bool { return b.step.action() == s.action() })
		if goes >= 0 {
			continue
		}
		open = slices.DeleteFunc(open, func(b band) bool {
			over := b.step.key() == s.key() || s.Do == "heal" && b.step.Do == "cut"
			if over {
				b.to = e.At
				all = append(all, b)
			}
			return over
		})
		if s.isFault() {
			open = append(open, band{from: e.At, step: s})
		}
	}
	for _, b := range open {
		b.to = until
		all = append(all, b)
	}
	return all
}

func TestBandsAreFromTheirBeginningToTheirEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SampledFrom([]transport.NodeID{"a", "b", "c"})
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Step {
			a, b := nodes.Draw(t, "from"), nodes.Draw(t, "to")
			return rapid.SampledFrom([]Step{
				{Do: "cut", From: a, To: b}, {Do: "cut", From: a, To: b}, {Do: "restore", From: a, To: b}, {Do: "heal"},
				{Do: "partition", Groups: [][]transport.NodeID{{a}, {b}}}, {Do: "freeze", From: a}, {Do: "thaw", From: a},
				{Do: "slow", From: a, By: 1}, {Do: "slow", From: a, By: 2}, {Do: "slow", From: a},
				{Do: "links", Link: Link{Loss: 1}}, {Do: "links"}, {Do: "down", From: b}, {Do: "up", From: b},
			}).Draw(t, "step")
		}), 0, 30).Draw(t, "steps")
		events := traceOf(steps).Events()
		until := time.Duration(len(events)) * time.Microsecond
		got := bands(events, until)
		require.ElementsMatch(t, slowBands(events, until), got)
		require.True(t, slices.IsSortedFunc(got, func(a, b band) int { return int(a.from - b.from) }))
	})
}

// Whatever time is asked for, there is a picture of it.
func TestDrawingOfAnyTime(t *testing.T) {
	trace := traceOf([]Step{{Do: "freeze", From: "a"}, {Do: "thaw", From: "a"}})
	trace.events = append(trace.events, Event{At: far, What: "send", From: "a", To: "b", Delays: []time.Duration{far, far}})
	times := []time.Duration{math.MinInt64, -1, 0, 1, time.Hour, far, far + 1, 4 * far, math.MaxInt64}
	for _, of := range []*Trace{nil, new(Trace), trace} {
		for _, from := range times {
			for _, to := range times {
				for _, width := range []int{math.MinInt, 0, math.MaxInt} {
					var b strings.Builder
					require.NoError(t, Drawing{Trace: of, From: from, To: to, Width: width, Arrows: width}.WriteSVG(&b))
					require.Less(t, b.Len(), 1<<20)
					require.NotContains(t, b.String(), "NaN")
					require.NotContains(t, b.String(), "Inf")
					require.NoError(t, xml.Unmarshal([]byte(b.String()), new(struct{ XMLName xml.Name })))
				}
			}
		}
	}
}

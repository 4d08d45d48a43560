package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/transport"
)

const everything = `
# a comment; empty lines do not count

1s link a b latency=20ms jitter=5ms loss=0.05 duplicate=0.01 reorder=0.1 bandwidth=1MB/s burst=64kB
	1s link b a delay=wan   # one of the names
1s links loss=1e-3
2s cut a b
2s every 10s until 60s restore a b
2.5s every 1500ms cut b a
5s partition a "b c" | c d | "ü"
8s heal
3s freeze node-1.example:80
4s thaw node-1.example:80
4s slow d 20ms
9s slow d 0s
9s unlink a b
10s down a
12s up a`

const canonical = `1s link a b latency=20ms jitter=5ms loss=0.05 duplicate=0.01 reorder=0.1 bandwidth=1MB/s burst=64kB
1s link b a delay=wan
1s links loss=0.001
2s cut a b
2s every 10s until 1m0s restore a b
2.5s every 1.5s cut b a
5s partition a "b c" | c d | "ü"
8s heal
3s freeze node-1.example:80
4s thaw node-1.example:80
4s slow d 20ms
9s slow d 0s
9s unlink a b
10s down a
12s up a
`

func TestScriptsAreRead(t *testing.T) {
	s, err := Parse(everything)
	require.NoError(t, err)
	require.Equal(t, Step{At: time.Second, Do: "link", From: "a", To: "b", Link: Link{
		Latency: 20 * time.Millisecond, Jitter: 5 * time.Millisecond,
		Loss: 0.05, Duplicate: 0.01, Reorder: 0.1, Bandwidth: 1e6, Burst: 64e3,
	}}, s[0])
	require.Equal(t, [][]transport.NodeID{{"a", "b c"}, {"c", "d"}, {"ü"}}, s[6].Groups)
	require.Equal(t, canonical, s.String())
}

func TestWhatIsNoScriptIsRefusedWithItsLine(t *testing.T) {
	for _, c := range []struct{ line, reason string }{
		{"cut a b", `"cut" is not a time`},
		{"-1s cut a b", `"-1s" is not a time`},
		{"9999999h cut a b", `"9999999h" is not a time`},
		{"1s", "what to do is missing"},
		{"1s jump a", `nothing is called "jump"`},
		{"1s cut a", "the name of a node is missing"},
		{"1s cut a b c", "there is more on the line than belongs there"},
		{"1s cut a b#c", `the name "b#c" needs quotes`},
		{`1s cut a ""`, "the name of a node has 1 to 255 bytes"},
		{`1s cut a "b`, "a quote without its end"},
		{`1s cut a b"c"`, "a quote within a word"},
		{`1s cut a "b"c`, "a quote within a word"},
		{"1s every cut a b", `"cut" is not a time after every`},
		{"1s every 0s cut a b", "every is at least 1ms"},
		{"1s every 1us cut a b", "every is at least 1ms"},
		{"2s every 1s until 1s cut a b", "until goes with every, and is not before the first time"},
		{"1s until 5s cut a b", `nothing is called "until"`},
		{"1s partition", "a group has nodes"},
		{"1s partition a | | b", "a group has nodes"},
		{"1s link a b loss=2", "a probability is from 0 to 1"},
		{"1s link a b loss=NaN", "a probability is from 0 to 1"},
		{"1s link a b loss=x", `"x" is nothing that "loss" can be`},
		{"1s link a b loss=0.1 loss=0.1", `"loss" is set twice`},
		{"1s link a b =5", "an equals sign without what it sets"},
		{"1s link a b speed=5", `"5" is nothing that "speed" can be`},
		{"1s link a b fast", `"fast" is not a setting of a link`},
		{"1s link a b bandwidth=1MB", `"1MB" is nothing that "bandwidth" can be`},
		{"1s link a b bandwidth=3GB/s", `"3GB/s" is nothing that "bandwidth" can be`},
		{"1s link a b burst=5", `"5" is nothing that "burst" can be`},
		{"1s link a b latency=-5ms", "latency, jitter, bandwidth and burst are not negative"},
		{"1s link a b delay=", `"" is nothing that "delay" can be`},
		{"1s slow a", "a time is missing"},
	} {
		s, err := Parse("1s heal\n\n" + c.line + "\n2s heal")
		require.Nil(t, s)
		var syntax *SyntaxError
		require.ErrorAs(t, err, &syntax, c.line)
		require.Equal(t, SyntaxError{Line: 3, Reason: c.reason}, *syntax, c.line)
	}
}

var drawName = rapid.OneOf(
	rapid.SampledFrom([]transport.NodeID{"a", "b", "c", "every", "|", "#", "a=b", `"`, "link", "\xff", "ü x"}),
	rapid.Custom(func(t *rapid.T) transport.NodeID { return transport.NodeID(rapid.StringN(1, 10, 40).Draw(t, "name")) }),
)

// drawStep makes a step with only the fields that mean something.
var drawStep = rapid.Custom(func(t *rapid.T) Step {
	a, b := drawName.Draw(t, "from"), drawName.Draw(t, "to")
	span := func(what string) time.Duration { return time.Duration(rapid.Int64Range(0, int64(far)).Draw(t, what)) }
	chance := rapid.Float64Range(0, 1)
	bytes := rapid.OneOf(rapid.IntRange(0, maxSize), rapid.Map(rapid.IntRange(0, 2000), func(n int) int { return n * 1e6 }))
	l := Link{
		Latency: span("latency"), Jitter: span("jitter"),
		Loss: chance.Draw(t, "loss"), Duplicate: chance.Draw(t, "duplicate"), Reorder: chance.Draw(t, "reorder"),
		Bandwidth: bytes.Draw(t, "bandwidth"), Burst: bytes.Draw(t, "burst"),
	}
	delay := rapid.SampledFrom([]string{"", "wan", "far away"}).Draw(t, "delay")
	groups := rapid.SliceOfN(rapid.SliceOfN(drawName, 1, 3), 1, 3).Draw(t, "groups")
	s := rapid.SampledFrom([]Step{
		{Do: "cut", From: a, To: b}, {Do: "restore", From: a, To: b}, {Do: "unlink", From: a, To: b},
		{Do: "link", From: a, To: b, Link: l, Delay: delay}, {Do: "links", Link: l, Delay: delay},
		{Do: "partition", Groups: groups}, {Do: "heal"},
		{Do: "freeze", From: a}, {Do: "thaw", From: a}, {Do: "down", From: a}, {Do: "up", From: a},
		{Do: "slow", From: a, By: span("by")},
	}).Draw(t, "step")
	s.At = span("at")
	if rapid.Bool().Draw(t, "again") {
		s.Every = time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(far)).Draw(t, "every"))
		s.Until = rapid.SampledFrom([]time.Duration{0, s.At + 1}).Draw(t, "until")
	}
	return s
})

// What is written is read as the same, and written alike again.
func TestScriptsComeBackAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Script(rapid.SliceOfN(drawStep, 1, 5).Draw(t, "script"))
		s = slices.DeleteFunc(s, func(step Step) bool { return step.check() != nil })
		again, err := Parse(s.String())
		require.NoError(t, err, s.String())
		require.Equal(t, s.String(), again.String())
		require.Equal(t, append(Script(nil), s...), again)
	})
}

func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add("1s cut a \"b\" # c\n\r\t2s heal")
	f.Add("1s link a b loss=-0")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Nil(t, s)
			return
		}
		again, err := Parse(s.String())
		require.NoError(t, err, s.String())
		require.Equal(t, s.String(), again.String())
		for range s.All() {
			break
		}
	})
}

func TestStepsAreDoneInOrderOfTheirTimes(t *testing.T) {
	s, err := Parse("3s every 2s until 8s cut a b\n1s heal\n3s heal\n0s every 4s until 4s restore a b\n")
	require.NoError(t, err)
	var got []string
	for at, step := range s.All() {
		got = append(got, at.String()+" "+step.Do)
	}
	require.Equal(t, []string{"0s restore", "1s heal", "3s cut", "3s heal", "4s restore", "5s cut", "7s cut"}, got)

	endless, err := Parse("0s every 1ms heal")
	require.NoError(t, err)
	n := 0
	for range endless.All() {
		if n++; n == 1000 {
			break
		}
	}
	require.Equal(t, 1000, n)
}

// A recorder is a target that writes down what is done to it and when.
type recorder struct {
	began time.Time
	done  []string
	fails string
}

func (r *recorder) Apply(s Step) error {
	if s.Do == r.fails {
		return fmt.Errorf("%w: refused", ErrStep)
	}
	r.done = append(r.done, time.Since(r.began).String()+" "+s.action())
	return nil
}

func TestScriptsRunOnTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Parse("3s heal\n1s every 1s until 2s cut a b\n1s freeze c")
		require.NoError(t, err)
		r := &recorder{began: time.Now()}
		require.NoError(t, s.Run(t.Context(), r))
		require.Equal(t, []string{"1s cut a b", "1s freeze c", "2s cut a b", "3s heal"}, r.done)
		require.Equal(t, 3*time.Second, time.Since(r.began))

		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		r = &recorder{began: time.Now()}
		require.Equal(t, context.DeadlineExceeded, s.Run(ctx, r))
		require.Equal(t, []string{"1s cut a b", "1s freeze c"}, r.done)
		require.Equal(t, context.DeadlineExceeded, s.Run(ctx, r), "nothing is done when it is over before")

		err = s.Run(t.Context(), &recorder{fails: "freeze"})
		require.ErrorIs(t, err, ErrStep)
		require.ErrorContains(t, err, `"1s freeze c"`)
		require.ErrorIs(t, Script{{Do: "dance"}}.Run(t.Context(), r), ErrStep)
		require.Empty(t, slices.Collect(func(yield func(Step) bool) {
			for _, step := range (Script{{Do: "dance"}}).All() {
				yield(step)
			}
		}))
	})
}

// Whatever the seed and the bounds: a random script is one, keeps its bounds, is the
// same for the same seed, and leaves nothing behind.
func TestRandomScriptsLeaveNothingBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Random{
			Nodes:   rapid.SliceOfNDistinct(drawName, 0, 6, rapid.ID).Draw(t, "nodes"),
			Length:  time.Duration(rapid.Int64Range(-1, int64(time.Hour)).Draw(t, "length")),
			Longest: time.Duration(rapid.Int64Range(-1, int64(time.Hour)).Draw(t, "longest")),
			Faults:  rapid.IntRange(-1, 30).Draw(t, "faults"),
			Worst: Link{
				Latency: time.Duration(rapid.Int64().Draw(t, "latency")), Loss: rapid.Float64().Draw(t, "loss"),
				Bandwidth: int(rapid.Int32().Draw(t, "bandwidth")), Burst: int(rapid.Int32Min(0).Draw(t, "burst")),
			},
		}
		seed := rapid.Uint64().Draw(t, "seed")
		s := r.Script(seed)
		require.Equal(t, s, r.Script(seed))
		again, err := Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s.String(), again.String())

		var net Network
		length := max(r.Length, 0)
		if length == 0 {
			length = 30 * time.Second
		}
		for at, step := range s.All() {
			require.LessOrEqual(t, at, length)
			require.NoError(t, net.Apply(step))
		}
		requireWhole(t, &net)
	})
}

func requireWhole(t require.TestingT, n *Network) {
	require.Empty(t, n.frozen)
	require.Empty(t, n.slow)
	require.Nil(t, n.groups)
	for _, l := range n.links {
		require.Nil(t, l.own)
		require.False(t, l.cut)
	}
}

func TestRandomScriptsHaveFaultsOfAllKinds(t *testing.T) {
	r := Random{Nodes: []transport.NodeID{"a", "b", "c"}, Faults: 200, Down: true}
	text := r.Script(1).String()
	for _, do := range []string{"cut", "restore", "link", "unlink", "partition", "heal", "freeze", "thaw", "slow", "down", "up"} {
		require.Contains(t, text, " "+do)
	}
	require.NotEqual(t, text, r.Script(2).String())
	require.Equal(t, 400, strings.Count(text, "\n"))
	require.Empty(t, Random{}.Script(1))
}

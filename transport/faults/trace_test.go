package faults_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum/pbs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/transport/mem"
)

// story is a small trace with a bit of everything in it.
func story(t *testing.T) *faults.Trace {
	trace := new(faults.Trace)
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: 50 * time.Millisecond}}
		net.Faults().Trace = trace
		a, b := pair(net)
		c := net.Node("c", echoer)
		s, err := faults.Parse(`
			0s slow c 20ms
			355ms cut a c
			555ms heal
			675ms partition a b | c
			895ms heal
			1115ms freeze b
			1275ms thaw b
			1.4s link a c latency=10ms duplicate=1
			1.5s down b
			1.7s up b`)
		require.NoError(t, err)
		go func() { require.NoError(t, s.Run(t.Context(), net)) }()
		for i := range 12 {
			for _, call := range []struct {
				from transport.Caller
				to   transport.NodeID
			}{{a, "b"}, {b, "c"}, {c, "a"}, {a, "c"}}[i%4:][:1] {
				ctx, cancel := context.WithTimeout(t.Context(), 180*time.Millisecond)
				_, _ = call.from.Call(ctx, call.to, "story/tell", make([]byte, 10*i))
				cancel()
			}
			time.Sleep(10 * time.Millisecond)
		}
		_, _ = a.Call(t.Context(), "a", "story/tell", nil)
		go a.Call(t.Context(), "b", "story/tell", nil)
		time.Sleep(20 * time.Millisecond)
		trace.Record(faults.Event{What: "mark", Method: "the end"})
		net.Down("a") // what is under way stays so
		net.Faults().Cut("a", "b")
	})
	return trace
}

func TestTraceTellsWhatHappened(t *testing.T) {
	trace := new(faults.Trace)
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: 5 * time.Millisecond}}
		net.Faults().Trace = trace
		a, _ := pair(net)
		_, err := try(t, a, "b")
		require.NoError(t, err)
		net.Faults().SetLink("a", "b", mem.Link{Loss: 1})
		_, err = try(t, a, "b")
		require.Error(t, err)
		net.Faults().SetLink("a", "b", mem.Link{Latency: 2 * time.Millisecond, Duplicate: 1})
		time.AfterFunc(time.Millisecond, func() { net.Cut("a", "b") })
		_, err = try(t, a, "b")
		require.Error(t, err)
		net.Faults().Send(faults.Message{From: "a", To: "b", Size: 7}, nil)
		net.Faults().Freeze("a")
		net.Faults().Send(faults.Message{From: "a", To: "b"}, nil) // is never sent
	})
	var b strings.Builder
	_, err := trace.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, `{"trace":1,"dropped":0}
{"at":0,"what":"send","from":"a","to":"b","method":"m","size":1,"delays":[5000000]}
{"at":5000000,"what":"arrive","from":"a","to":"b","method":"m","size":1}
{"at":5000000,"what":"send","from":"b","to":"a","kind":"reply","method":"m","size":1,"delays":[5000000]}
{"at":10000000,"what":"arrive","from":"b","to":"a","kind":"reply","method":"m","size":1}
{"at":10000000,"what":"call","from":"a","to":"b","method":"m","size":1,"took":10000000}
{"at":10000000,"what":"step","step":"link a b loss=1"}
{"at":10000000,"what":"send","from":"a","to":"b","n":1,"method":"m","size":1}
{"at":10000000,"what":"lose","from":"a","to":"b","n":1,"method":"m","size":1,"why":"loss"}
{"at":10010000000,"what":"call","from":"a","to":"b","method":"m","size":1,"why":"context deadline exceeded","took":10000000000}
{"at":10010000000,"what":"step","step":"link a b latency=2ms duplicate=1"}
{"at":10010000000,"what":"send","from":"a","to":"b","n":2,"method":"m","size":1,"delays":[2000000,3779770]}
{"at":10011000000,"what":"step","step":"cut a b"}
{"at":10012000000,"what":"lose","from":"a","to":"b","n":2,"method":"m","size":1,"why":"cut"}
{"at":10013779770,"what":"lose","from":"a","to":"b","n":2,"method":"m","size":1,"why":"cut"}
{"at":20010000000,"what":"call","from":"a","to":"b","method":"m","size":1,"why":"context deadline exceeded","took":10000000000}
{"at":20010000000,"what":"send","from":"a","to":"b","n":3,"size":7,"delays":[2000000,3374606]}
{"at":20010000000,"what":"lose","from":"a","to":"b","n":3,"size":7,"why":"cut"}
{"at":20010000000,"what":"step","step":"freeze a"}
`, b.String())
}

func TestTracesComeBackAsTheyWereWritten(t *testing.T) {
	trace := story(t)
	var text bytes.Buffer
	n, err := trace.WriteTo(&text)
	require.NoError(t, err)
	require.Equal(t, int64(text.Len()), n)
	again, err := faults.ReadTrace(bytes.NewReader(text.Bytes()))
	require.NoError(t, err)
	require.Equal(t, trace.Events(), again.Events())
	var second bytes.Buffer
	_, err = again.WriteTo(&second)
	require.NoError(t, err)
	require.Equal(t, text.String(), second.String())
}

func TestTracesAreBounded(t *testing.T) {
	trace := &faults.Trace{Limit: 10}
	for i := range 25 {
		trace.Record(faults.Event{What: "mark", Size: i})
	}
	events := trace.Events()
	require.Len(t, events, 10)
	for i, e := range events {
		require.Equal(t, 15+i, e.Size)
	}
	require.Equal(t, uint64(15), trace.Dropped())
	var text bytes.Buffer
	_, err := trace.WriteTo(&text)
	require.NoError(t, err)
	again, err := faults.ReadTrace(&text)
	require.NoError(t, err)
	require.Equal(t, uint64(15), again.Dropped())
	again.Record(faults.Event{What: "mark"})
	require.Len(t, again.Events(), 10)
}

func TestWhatIsNoTraceIsRefusedWithItsLine(t *testing.T) {
	const head = `{"trace":1}` + "\n"
	for text, want := range map[string]faults.SyntaxError{
		"":                                  {Line: 1, Reason: "no heading of a trace"},
		"{}":                                {Line: 1, Reason: "version 0 of traces is not known"},
		`{"trace":2}`:                       {Line: 1, Reason: "version 2 of traces is not known"},
		"not json":                          {Line: 1, Reason: "no heading of a trace: invalid character 'o' in literal null (expecting 'u')"},
		head + `{"at":0}`:                   {Line: 2, Reason: "an event without what it is"},
		head + `{"at":-1,"what":"x"}`:       {Line: 2, Reason: "times are from 0 to 36 years, and delays are two at most"},
		head + `{"what":"x"}` + "\n[":       {Line: 3, Reason: "unexpected end of JSON input"},
		head + `{"what":"x","kind":"ping"}`: {Line: 2, Reason: `no kind of message "ping"`},
		head + `{"what":"send","delays":[1,2,3]}`: {Line: 2, Reason: "times are from 0 to 36 years, and delays are two at most"},
		head + `{"what":"send","delays":[-1]}`:    {Line: 2, Reason: "delays are from 0 to 36 years"},
		head + strings.Repeat(" ", 1<<20+1):       {Line: 2, Reason: "over 1048576 bytes"},
		strings.Repeat(" ", 1<<20+1):              {Line: 1, Reason: "no heading of a trace"},
	} {
		_, err := faults.ReadTrace(strings.NewReader(text))
		var syntax *faults.SyntaxError
		require.ErrorAs(t, err, &syntax, "%.60s", text)
		require.Equal(t, want, *syntax)
	}
	broken := errors.New("broken")
	_, err := faults.ReadTrace(iotest.ErrReader(broken))
	require.Equal(t, broken, err)
	_, err = faults.ReadTrace(io.MultiReader(strings.NewReader(head+head), iotest.ErrReader(broken)))
	require.Error(t, err)
	_, err = new(faults.Trace).WriteTo(failing{broken})
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, faults.Drawing{Trace: new(faults.Trace)}.WriteHTML(failing{broken}), broken)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzReadTrace reads anything, and draws what is a trace, which must be an image.
func FuzzReadTrace(f *testing.F) {
	f.Add([]byte(`{"trace":1}` + "\n" + `{"at":5,"what":"send","from":"a","to":"b\u0000<","delays":[7]}` + "\n" + `{"at":9,"what":"step","step":"slow <b 5ms"}`))
	f.Add([]byte(`{"trace":1}` + "\n" + `{"what":"step","step":"freeze \"&\""}` + "\n" + `{"at":1152921504606846976,"what":"call","from":"a","why":"<"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		trace, err := faults.ReadTrace(bytes.NewReader(text))
		if err != nil {
			var syntax *faults.SyntaxError
			require.ErrorAs(t, err, &syntax)
			return
		}
		var b bytes.Buffer
		_, err = trace.WriteTo(&b)
		require.NoError(t, err)
		requireImage(t, faults.Drawing{Trace: trace, Arrows: 2})
		trace.Script()
	})
}

// requireImage draws, and reads what was drawn.
func requireImage(t require.TestingT, d faults.Drawing) string {
	var b bytes.Buffer
	require.NoError(t, d.WriteSVG(&b))
	dec := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		_, err := dec.Token()
		if err == io.EOF {
			return b.String()
		}
		require.NoError(t, err)
	}
}

// A run whose decisions are those of a trace loses, repeats and delays the same
// messages, whatever its seed and its links are.
func TestReplay(t *testing.T) {
	run := func(seed uint64, replay *faults.Trace, link mem.Link) (outcome []string, trace *faults.Trace) {
		trace = new(faults.Trace)
		synctest.Test(t, func(t *testing.T) {
			net := &mem.Network{Seed: seed, Link: link}
			net.Faults().Trace, net.Faults().Replay = trace, replay
			a, b := pair(net)
			for i := range 50 {
				from, to := a, transport.NodeID("b")
				if i%3 == 0 {
					from, to = b, "a"
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := from.Call(ctx, to, "m", nil)
				outcome = append(outcome, fmt.Sprint(err, time.Now()))
				cancel()
			}
		})
		return outcome, trace
	}
	bad := mem.Link{Loss: 0.2, Duplicate: 0.2, Reorder: 0.2, Jitter: 50 * time.Millisecond, Bandwidth: 1000}
	first, trace := run(1, nil, bad)
	other, _ := run(2, nil, bad)
	require.NotEqual(t, first, other)
	again, _ := run(2, trace, mem.Link{})
	require.Equal(t, first, again)

	var text bytes.Buffer
	_, err := trace.WriteTo(&text)
	require.NoError(t, err)
	read, err := faults.ReadTrace(&text)
	require.NoError(t, err)
	again, second := run(3, read, mem.Link{Loss: 1})
	require.Equal(t, first, again)
	require.Equal(t, trace.Events(), second.Events())
}

// A distribution is recorded by its name, if it can be told to have one.
func TestTraceNamesDistributions(t *testing.T) {
	sum := pbs.Sum{pbs.Constant(1), pbs.Constant(2)} // cannot be compared
	net := faults.Network{Trace: new(faults.Trace), Delays: map[string]faults.Distribution{"wan": pbs.Constant(3), "sum": sum}}
	net.SetLink("a", "b", faults.Link{Delay: pbs.Constant(3), Loss: 0.5})
	net.SetLinks(faults.Link{Delay: sum})
	net.SetLinks(faults.Link{Delay: pbs.Constant(4)})
	var steps []string
	for _, e := range net.Trace.Events() {
		steps = append(steps, e.Step)
	}
	require.Equal(t, []string{"link a b delay=wan loss=0.5", "links", "links"}, steps)
}

// What a script did can be done again from the trace of it.
func TestTraceGivesItsScript(t *testing.T) {
	require.Equal(t, `0s slow c 20ms
355ms cut a c
555ms heal
675ms partition a b | c
895ms heal
1.115s freeze b
1.275s thaw b
1.4s link a c latency=10ms duplicate=1
1.5s down b
1.7s up b
`, story(t).Script()[:10].String())
}

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func TestDrawingIsAsItWas(t *testing.T) {
	const golden = "testdata/story.svg"
	got := requireImage(t, faults.Drawing{Trace: story(t)})
	if *rewrite {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
	for _, part := range []string{`class="a req"`, `class="a rep"`, `class="a dup"`, `class="a lost"`, `class="a way"`, `class="f"`,
		"lost: cut", "under way", "came again after", "cut a → c", "partition a b | c", "freeze b", "slow c 20ms", "down b", "a → c: latency=10ms duplicate=1", "frozen"} {
		require.Contains(t, got, part)
	}
}

// Many messages become fewer lines, and are all counted.
func TestDrawingGathersMessages(t *testing.T) {
	trace := new(faults.Trace)
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: time.Millisecond}}
		net.Faults().Trace = trace
		a, _ := pair(net)
		for range 2000 {
			_, err := try(t, a, "b")
			require.NoError(t, err)
		}
	})
	all := requireImage(t, faults.Drawing{Trace: trace, Arrows: 5000})
	few := requireImage(t, faults.Drawing{Trace: trace, Arrows: 1000})
	require.Equal(t, 4000, strings.Count(all, "m, 1 B"))
	require.NotContains(t, all, "thicker")
	require.Less(t, strings.Count(few, `class="a `), 1000)
	require.Contains(t, few, "4000 messages")
	require.Contains(t, few, "a line stands for the messages alike within 10ms")
	part := requireImage(t, faults.Drawing{Trace: trace, From: time.Second, To: 1100 * time.Millisecond})
	require.Contains(t, part, "102 messages") // one ends, and one begins, at the very bounds
}

// Nothing that a name or a text has in it gets out of its place, and an empty trace is
// a picture too.
func TestDrawingHoldsWhatIsInIt(t *testing.T) {
	trace := new(faults.Trace)
	bad := transport.NodeID("</svg><script>\x00\"&")
	trace.Record(faults.Event{What: "send", From: bad, To: bad, Method: "<b>", Delays: []time.Duration{1}})
	trace.Record(faults.Event{What: "arrive", From: bad, To: bad})
	trace.Record(faults.Event{What: "call", From: bad, To: bad, Why: "<b>"})
	trace.Record(faults.Event{What: "step", Step: faults.Step{Do: "freeze", From: bad}.String()[3:]})
	got := requireImage(t, faults.Drawing{Trace: trace})
	require.NotContains(t, got, "<script>")
	require.NotContains(t, got, "<b>")
	requireImage(t, faults.Drawing{Trace: new(faults.Trace), From: time.Hour, To: -1, Width: -5, Arrows: -1})
	requireImage(t, faults.Drawing{})
}

func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	var b strings.Builder
	require.NoError(t, faults.Drawing{Trace: story(t)}.WriteHTML(&b))
	page := strings.ReplaceAll(b.String(), `xmlns="http://www.w3.org/2000/svg"`, "")
	for _, outside := range []string{"http:", "https:", "src=", "href=", "@import", "fetch("} {
		require.NotContains(t, page, outside)
	}
}

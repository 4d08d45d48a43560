package faults

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Drawing is a picture of a trace: a lane for each node, an arrow for each message,
// a band for each fault, over time. It shows 3 to 12 nodes and some thousand messages
// well; where there are more messages, those that are alike are drawn as one. What is
// shown can be told apart without colours. It is no use to draw a trace while it
// is recorded: the drawing is of one moment.
//
// A trace of n events is drawn in time O(n log n), and memory and an image in proportion
// to n: half a kilobyte an event, and the names in it. Of faults that last at the same
// time 14 are named, and the others counted.
type Drawing struct {
	// Trace is what is drawn.
	Trace *Trace

	// From and To bound the time that is shown. If To is zero, to the end.
	From, To time.Duration

	// Width is how wide the picture is, in pixels. If zero, 1,200 to 16,000, by the number
	// of messages.
	Width int

	// Arrows is the most arrows that are drawn before those that are alike become one. If
	// zero, two for three pixels of Width, and at most 6,000.
	Arrows int
}

// WriteSVG writes the drawing as an SVG image. It needs nothing from elsewhere, holds
// no script, and is the same for the same trace. A message says what it was when the
// pointer rests on it.
func (d Drawing) WriteSVG(w io.Writer) error {
	p := d.picture()
	b := bufio.NewWriter(w)
	p.w = b
	p.draw()
	return b.Flush()
}

// Sizes in pixels.
const (
	left, right = 96, 40
	axisHeight  = 30
	bandHeight  = 18
	letter      = 6.4 // of a label, about
	maxRows     = 14  // of bands
)

// A picture is a timeline with its measures.
type picture struct {
	*timeline
	w           io.Writer
	width       int
	plot        float64 // width of what goes with time
	lane        float64 // height of one
	top, bottom float64 // of the lanes
	height      float64
	row         []int // of each band
	rows        int
	y           map[transport.NodeID]float64
}

func (d Drawing) picture() *picture {
	p := &picture{timeline: look(d.Trace, d.From, d.To), y: make(map[transport.NodeID]float64)}
	p.width = min(max(d.Width, 0), 1<<16)
	if p.width == 0 {
		p.width = min(max(1200, 6*len(p.arrows)), 16000)
	}
	p.width = max(p.width, 400)
	p.plot = float64(p.width - left - right)
	p.gather(cmp.Or(max(d.Arrows, 0), min(int(p.plot/1.5), 6000)))
	p.row, p.rows = p.layers(time.Duration(letter/p.plot*float64(p.to-p.from)) + 1)
	p.lane = min(max(560/float64(max(len(p.nodes), 1)), 48), 96)
	p.top = axisHeight + float64(min(p.rows, maxRows))*bandHeight + 8
	for i, id := range p.nodes {
		p.y[id] = p.top + p.lane*(float64(i)+0.5)
	}
	p.bottom = p.top + p.lane*float64(len(p.nodes))
	p.height = p.bottom + 58
	return p
}

func (p *picture) x(t time.Duration) float64 {
	t = min(max(t, p.from), p.to)
	return left + p.plot*float64(t-p.from)/float64(p.to-p.from)
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

// text makes a text fit for XML.
func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// The colours are those of Okabe and Ito, which all eyes tell apart.
const style = `
text{font:12px system-ui,sans-serif;fill:#222}
.t{font-size:11px;fill:#444}.h{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-opacity:.7}.n{font-weight:600}.g{stroke:#e4e4e4}.l{stroke:#999}
.a{fill:none;stroke-width:1.2}.a:hover{stroke-width:4}.many .a{opacity:.5}
.req{stroke:#0072b2}.rep{stroke:#009e73;stroke-dasharray:6 3}.dup{stroke:#cc79a7;stroke-dasharray:2 3}
.lost{stroke:#d55e00}.way{stroke:#999;stroke-dasharray:1 3}
.x{stroke:#d55e00;stroke-width:2;fill:none}.f{fill:#d55e00;stroke:#222}
.b{stroke:#444;stroke-width:.6}
.partition{fill:#e69f00}.cut{fill:#e58b5c}.link,.links{fill:#ccc}.freeze{fill:#56b4e9}.slow{fill:#f0e442}.down{fill:#aaa}
`

func (p *picture) draw() {
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img" aria-label="time line">`+"\n", p.width, p.height, p.width, p.height)
	p.printf("<style>%s</style>\n<defs>\n", style)
	for _, m := range []struct{ id, colour string }{{"req", "#0072b2"}, {"rep", "#009e73"}, {"dup", "#cc79a7"}} {
		p.printf(`<marker id="%s" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.5L8,4L0,7.5z" fill="%s"/></marker>`+"\n", m.id, m.colour)
	}
	p.printf(`</defs><rect width="100%%" height="100%%" fill="#fff"/>` + "\n")
	p.shades()
	p.axis()
	p.lanes()
	p.messages()
	p.calls()
	p.strip()
	p.names()
	p.legend()
	p.printf("</svg>\n")
}

// axis draws the times, and a line down from each.
func (p *picture) axis() {
	span := p.to - p.from
	step := tick(time.Duration(float64(span) / p.plot * 110))
	for t := (p.from + step - 1) / step * step; t <= p.to; t += step {
		x := p.x(t)
		p.printf(`<line class="g" x1="%.1f" x2="%.1f" y1="%d" y2="%.1f"/><text class="t" x="%.1f" y="18" text-anchor="middle">%s</text>`+"\n",
			x, x, axisHeight-6, p.bottom, x, t)
	}
}

// tick is a round time of at least d.
func tick(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		for _, n := range []time.Duration{1, 2, 5} {
			if t := n * unit; t >= d || t > far {
				return t
			}
		}
	}
}

func (p *picture) lanes() {
	for _, id := range p.nodes {
		p.printf(`<line class="l" x1="%d" x2="%.1f" y1="%.1f" y2="%.1f"/>`+"\n", left, left+p.plot, p.y[id], p.y[id])
	}
}

// names stand before the lanes; a page may move them.
func (p *picture) names() {
	p.printf(`<g class="names"><rect x="0" y="%d" width="%d" height="%.1f" fill="#fff" fill-opacity=".85"/>`+"\n", axisHeight-6, left-4, p.bottom-axisHeight+6)
	if p.rows > 0 {
		p.printf(`<text class="t" x="%d" y="%d" text-anchor="end">faults</text>`+"\n", left-10, axisHeight+13)
	}
	for _, id := range p.nodes {
		p.printf(`<text class="n" x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-10, p.y[id]+4, text(short(string(id), 12)))
	}
	p.printf("</g>\n")
}

func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// shades lie behind the lanes: of a node's fault behind its own, of a partition
// behind all.
func (p *picture) shades() {
	for _, b := range p.bands {
		x, width := p.x(b.from), p.x(b.to)-p.x(b.from)
		switch b.step.Do {
		case "partition":
			p.printf(`<rect class="partition" x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill-opacity=".13"/>`+"\n", x, p.top, width, p.bottom-p.top)
		case "freeze", "slow", "down":
			p.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill-opacity=".45"/>`+"\n", b.step.Do, x, p.y[b.step.From]-p.lane*0.3, width, p.lane*0.6)
			if width > 6*letter {
				p.printf(`<text class="t h" x="%.1f" y="%.1f">%s</text>`+"\n", x+3, p.y[b.step.From]-p.lane*0.3+10, map[string]string{"freeze": "frozen", "slow": "slow", "down": "down"}[b.step.Do])
			}
		}
	}
}

// strip draws all faults above the lanes, with what they are.
func (p *picture) strip() {
	more := 0
	for i, b := range p.bands {
		if p.row[i] >= maxRows {
			more++
			continue
		}
		x, y := p.x(b.from), float64(axisHeight+p.row[i]*bandHeight)
		p.printf(`<rect class="b %s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2"><title>%s, %s to %s</title></rect><text class="t h" x="%.1f" y="%.1f">%s</text>`+"\n",
			b.step.Do, x, y, max(p.x(b.to)-x, 2), bandHeight-4, text(label(b.step)), b.from, b.to,
			x+4, y+11, text(short(label(b.step), max(int((float64(p.width)-x)/letter)-1, 2))))
	}
	if more > 0 {
		p.printf(`<text class="t" x="%d" y="%.1f">and %d more faults</text>`+"\n", left, p.top-1, more)
	}
}

// messages draws the arrows; those that were lost on top, since they are looked for.
func (p *picture) messages() {
	class := "messages"
	if p.column > 0 {
		class += " many"
	}
	p.printf("<g class=\"%s\">\n", class)
	for _, late := range []bool{false, true} {
		for i := range p.arrows {
			if a := &p.arrows[i]; late == (a.end == lost) {
				p.arrow(a)
			}
		}
	}
	p.printf("</g>\n")
}

// arrow draws a message from lane to lane.
func (p *picture) arrow(a *arrow) {
	class, head := "req", ` marker-end="url(#req)"`
	if a.Kind == Reply {
		class, head = "rep", ` marker-end="url(#rep)"`
	}
	x1, y1, x2, y2 := p.x(a.At), p.y[a.From], p.x(a.ends), p.y[a.To]
	share := 1.0 // of the way
	switch a.end {
	case repeated:
		class, head = "dup", ` marker-end="url(#dup)"`
	case underway:
		class, head = "way", ""
		share = min(1, float64(p.to-a.At)/float64(max(a.ends-a.At, 1)))
		y2 = y1 + (y2-y1)*share
	case lost:
		class, head = "lost", ""
		x2, y2 = p.stub(a, x1, y1, x2, y2)
	}
	thick := ""
	if a.count > 1 {
		thick = fmt.Sprintf(` style="stroke-width:%.1f"`, 1.2+0.8*math.Log2(float64(a.count)))
	}
	p.printf(`<path class="a %s"%s%s d="%s"><title>%s</title></path>`+"\n", class, thick, head, line(x1, y1, x2, y2, a.From == a.To), text(a.title()))
	if a.end == lost {
		p.printf(`<path class="x" d="M%.1f,%.1fl7,7m0,-7l-7,7"/>`+"\n", x2-3.5, y2-3.5)
	}
}

// stub is where a message was lost: near where it began, or just before it would
// have arrived.
func (p *picture) stub(a *arrow, x1, y1, x2, y2 float64) (x, y float64) {
	if x2-x1 < 1 {
		return x1 + 5, y1 + (y2-y1)*0.3*min(1, 60/max(math.Abs(y2-y1), 1))
	}
	return x1 + (x2-x1)*0.85, y1 + (y2-y1)*0.85
}

func line(x1, y1, x2, y2 float64, self bool) string {
	if self {
		return fmt.Sprintf("M%.1f,%.1fC%.1f,%.1f %.1f,%.1f %.1f,%.1f", x1, y1, x1, y1-22, x2+8, y1-22, x2+4, y1)
	}
	return fmt.Sprintf("M%.1f,%.1fL%.1f,%.1f", x1, y1, x2, y2)
}

// title says what a message was.
func (a *arrow) title() string {
	on := fmt.Sprintf("%s → %s %s", a.From, a.To, a.Kind)
	if a.count > 1 {
		return fmt.Sprintf("%d × %s around %s%s", a.count, on, a.At.Round(time.Microsecond), a.fate(""))
	}
	return fmt.Sprintf("%s %d %s, %d B, sent %s%s", on, a.N, a.Method, a.Size, a.At, a.fate(" "+(a.ends-a.At).String()))
}

func (a *arrow) fate(took string) string {
	switch a.end {
	case lost:
		return ", lost: " + a.why
	case underway:
		return ", under way"
	case repeated:
		return ", came again after" + cmp.Or(took, " others")
	}
	if took == "" {
		return ""
	}
	return ", took" + took
}

// calls marks those that failed, where the caller heard of it.
func (p *picture) calls() {
	p.printf("<g class=\"failed\">\n")
	for _, e := range p.failed {
		x, y := p.x(e.At), p.y[e.From]
		p.printf(`<path class="f" d="M%.1f,%.1fl5,9h-10z"><title>%s</title></path>`+"\n", x, y-4.5,
			text(fmt.Sprintf("call of %s at %s failed at %s after %s: %s", e.Method, e.To, e.At, e.Took, e.Why)))
	}
	p.printf("</g>\n")
}

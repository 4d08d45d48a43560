package faults

import (
	"fmt"
	"strings"
)

// legend says what is drawn how, and how much of it there is.
func (p *picture) legend() {
	p.printf(`<g class="legend">` + "\n")
	x, y := float64(left), p.bottom+20
	for _, m := range []struct{ class, head, says string }{
		{"req", "req", "request"}, {"rep", "rep", "reply"}, {"dup", "dup", "second copy"}, {"lost", "", "lost"}, {"way", "", "under way"},
	} {
		head := ""
		if m.head != "" {
			head = fmt.Sprintf(` marker-end="url(#%s)"`, m.head)
		}
		p.printf(`<path class="a %s"%s d="M%.1f,%.1fh28"/><text x="%.1f" y="%.1f">%s</text>`+"\n", m.class, head, x, y-4, x+34, y, m.says)
		if m.class == "lost" {
			p.printf(`<path class="x" d="M%.1f,%.1fl7,7m0,-7l-7,7"/>`+"\n", x+24, y-7.5)
		}
		x += 48 + 7*float64(len(m.says))
	}
	p.printf(`<path class="f" d="M%.1f,%.1fl5,9h-10z"/><text x="%.1f" y="%.1f">call failed</text>`+"\n", x+5, y-9, x+16, y)
	p.printf(`<text class="t" x="%d" y="%.1f">%s</text>`+"\n</g>\n", left, y+22, text(p.summary()))
}

func (p *picture) summary() string {
	says := []string{plural(p.sent, "message"), fmt.Sprintf("%d lost", p.lost), fmt.Sprintf("%d came twice", p.twice),
		plural(len(p.failed), "call") + " failed", plural(len(p.bands), "fault")}
	if p.column > 0 {
		says = append(says, fmt.Sprintf("a line stands for the messages alike within %s, the thicker the more", p.column.Round(max(p.column/100, 1))))
	}
	if p.dropped > 0 {
		says = append(says, fmt.Sprintf("%d earlier events are not in the trace", p.dropped))
	}
	return strings.Join(says, " · ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

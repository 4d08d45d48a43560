package transportprom

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/tcp"
)

// A Collector shows what one node counts. The fields are set before it is registered
// and not changed afterwards. Sources that are nil are left out. Several may be
// registered at one registry, if their Node differs.
//
// The functions are called once a scrape, by any goroutine and with no lock held. A
// scrape costs what they cost, and some microseconds for each method, of which there
// are as many as Calls returns: an [intercept.Metrics] bounds them, whatever peers call.
type Collector struct {
	// Node becomes the label "node" of all metrics. If empty, there is none; then the
	// instance of the target tells nodes apart.
	Node string

	// Calls is the Stats of an [intercept.Metrics].
	Calls func() intercept.Stats

	// Denied is the Denied of an [intercept.Access].
	Denied func() uint64

	// TCP is the Stats of a [tcp.Transport].
	TCP func() tcp.Stats
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	if c.Calls != nil {
		ch <- calls.desc(c, "method", "direction", "result")
		ch <- latency.desc(c, "method", "direction")
		for _, m := range methods {
			ch <- m.desc(c, "method", "direction")
		}
	}
	if c.Denied != nil {
		ch <- denied.desc(c)
	}
	if c.TCP != nil {
		for _, m := range connections {
			ch <- m.desc(c)
		}
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	if c.Calls != nil {
		s := c.Calls()
		c.calls(ch, s.Called, "called")
		c.calls(ch, s.Served, "served")
	}
	if c.Denied != nil {
		ch <- denied.metric(denied.desc(c), c.Denied())
	}
	if c.TCP != nil {
		s := c.TCP()
		for _, m := range connections {
			ch <- m.metric(m.desc(c), &s)
		}
	}
}

// calls shows the calls of one direction. Metrics of a kind have one description.
func (c *Collector) calls(ch chan<- prometheus.Metric, all []intercept.MethodStats, direction string) {
	counts, times := calls.desc(c, "method", "direction", "result"), latency.desc(c, "method", "direction")
	others := make([]*prometheus.Desc, len(methods))
	for i, m := range methods {
		others[i] = m.desc(c, "method", "direction")
	}
	for i := range all {
		s, method := &all[i], label(all[i].Method)
		for r, n := range s.Results {
			if r := intercept.Result(r); n > 0 || r == intercept.OK {
				ch <- calls.metric(counts, n, method, direction, r.String())
			}
		}
		ch <- histogram(times, &s.Latency, method, direction)
		for i, m := range methods {
			ch <- m.metric(others[i], s, method, direction)
		}
	}
}

// label is a name as a label can have it, which is UTF-8. Different names are different
// labels, also where peers choose them: what begins with a quote is quoted too.
func label(name string) string {
	if utf8.ValidString(name) && !strings.HasPrefix(name, `"`) {
		return name
	}
	return strconv.QuoteToASCII(name)
}

package quorumprom

import (
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
)

// A Collector shows what one node counts. The fields are set before it is registered
// and not changed afterwards. Sources that are nil are left out. A Collector must not
// be copied; several may be registered at one registry, if their Node differs.
//
// The functions are called once a scrape, by any goroutine and with no lock held. A
// scrape costs what they cost, and some microseconds for each node and peer.
type Collector struct {
	// Node becomes the label "node" of all metrics. If empty, there is none; then the
	// instance of the target tells nodes apart.
	Node string

	// Quorum is the Stats of a [quorum.Coordinator].
	Quorum func() quorum.Stats

	// AntiEntropy is the Stats of an [antientropy.Loop].
	AntiEntropy func() antientropy.Stats

	// Hints is the Stats of a [handoff.Handoff].
	Hints func() handoff.Stats

	mu      sync.Mutex
	windows windows // guarded by mu
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	if c.Quorum != nil || c.AntiEntropy != nil {
		ch <- lag.desc(c, "source")
	}
	if c.Quorum != nil {
		describe(c, ch, levels)
		describe(c, ch, calls)
		describe(c, ch, nodes, "peer")
	}
	if c.Hints != nil {
		describe(c, ch, hints)
	}
	if c.AntiEntropy != nil {
		describe(c, ch, exchanges)
		describe(c, ch, peers, "peer")
	}
}

// Collect implements [prometheus.Collector]. Each call is a sample of the sliding
// windows.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	if c.Quorum != nil {
		c.quorum(ch)
	}
	if c.Hints != nil {
		show(c, ch, hints, hintsAt{c.Hints(), time.Now()})
	}
	if c.AntiEntropy != nil {
		c.antiEntropy(ch)
	}
}

func (c *Collector) quorum(ch chan<- prometheus.Metric) {
	now, s := time.Now(), c.Quorum()
	h := ofLag(&s.Lag)
	ch <- h.metric(lag.desc(c, "source"), "write")
	show(c, ch, levels, c.rates(now, &s))
	show(c, ch, calls, &s)
	showEach(c, ch, nodes, s.Nodes, func(n *quorum.NodeStats) string { return string(n.Node) })
}

func (c *Collector) rates(now time.Time, s *quorum.Stats) rates {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.windows.rates(now, tally{
		conflicts: s.Conflicts,
		writes:    s.Writes, writeErrors: s.WriteErrors,
		repairs: s.Repairs, repairErrors: s.RepairErrors,
	})
}

func (c *Collector) antiEntropy(ch chan<- prometheus.Metric) {
	s := c.AntiEntropy()
	h := ofDelays(&s.Delays)
	ch <- h.metric(lag.desc(c, "source"), "antientropy")
	show(c, ch, exchanges, &s)
	showEach(c, ch, peers, s.Peers, func(p *antientropy.PeerStats) string { return string(p.Peer) })
}

func (m metric[S]) desc(c *Collector, labels ...string) *prometheus.Desc {
	var always prometheus.Labels
	if c.Node != "" {
		always = prometheus.Labels{"node": label(c.Node)}
	}
	return prometheus.NewDesc(m.name, m.help, labels, always)
}

func describe[S any](c *Collector, ch chan<- *prometheus.Desc, all []metric[S], labels ...string) {
	for _, m := range all {
		ch <- m.desc(c, labels...)
	}
}

func show[S any](c *Collector, ch chan<- prometheus.Metric, all []metric[S], s S) {
	for _, m := range all {
		ch <- m.metric(m.desc(c), s)
	}
}

func showEach[S any](c *Collector, ch chan<- prometheus.Metric, all []metric[*S], each []S, name func(*S) string) {
	for _, m := range all {
		desc := m.desc(c, "peer")
		for i := range each {
			ch <- m.metric(desc, &each[i], label(name(&each[i])))
		}
	}
}

func (m metric[S]) metric(desc *prometheus.Desc, s S, labels ...string) prometheus.Metric {
	got, err := prometheus.NewConstMetric(desc, m.kind, m.of(s), labels...)
	return valid(desc, got, err)
}

// valid has a scrape report what cannot be shown, instead of a panic.
func valid(desc *prometheus.Desc, m prometheus.Metric, err error) prometheus.Metric {
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

// label is a name as a label can have it, which is UTF-8. Different names are different
// labels: what begins with a quote is quoted too.
func label(name string) string {
	if utf8.ValidString(name) && !strings.HasPrefix(name, `"`) {
		return name
	}
	return strconv.QuoteToASCII(name)
}

package hosts

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
)

// A status is what is looked at of GET /v1/status.
type status struct {
	Root  string
	Peers []struct {
		ID        string
		Reachable bool
	}
}

func (h *host) status() (s status) {
	h.t.Helper()
	require.Equal(h.t, http.StatusOK, h.do("GET", "/v1/status", "", &s))
	return s
}

// do makes a request and returns its status. The answer goes to v, unless that is nil.
func (h *host) do(method, path, body string, v any) int {
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.name+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	resp, err := h.web.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || v != nil && json.Unmarshal(text, v) != nil {
		return 0
	}
	return resp.StatusCode
}

// A ledger is what clients have written, and what must be there in the end.
type ledger struct {
	phase int // of writing

	mu               sync.Mutex
	triedSum, sum    int // of the counter "visits"; what was acknowledged
	added            map[string]bool
	removed, perhaps map[string]bool // from the set; what may or may not have come about
	tried, last      map[string]int  // by register that one client writes
	common           map[string]bool // what was tried for the register that all write
	acked, failed    atomic.Int64
}

func newLedger() *ledger {
	return &ledger{
		added: make(map[string]bool), removed: make(map[string]bool), perhaps: make(map[string]bool),
		tried: make(map[string]int), last: make(map[string]int), common: make(map[string]bool),
	}
}

// noting changes what is known.
func (l *ledger) noting(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

const clients = 4 // of each host, at a time

// write has the clients of hosts write at a level. Clients of each have so many turns together.
func (l *ledger) write(level string, turns int, hosts ...*host) {
	l.phase++
	var group sync.WaitGroup
	for _, h := range hosts {
		for i := range clients {
			group.Go(func() {
				c := &client{ledger: l, host: h, level: level, name: fmt.Sprintf("%s-%d", h.name, i)}
				for n := i; n < turns; n += clients {
					c.next(fmt.Sprintf("%d-%s-%d", l.phase, h.name, n), n)
				}
			})
		}
	}
	group.Wait()
}

// A client does one thing after the other.
type client struct {
	ledger *ledger
	host   *host
	level  string
	name   string
}

// put reports whether a write was acknowledged.
func (c *client) put(method, path, body string) bool {
	ok := c.host.do(method, path+"?level="+c.level, body, nil) == http.StatusOK
	if ok {
		c.ledger.acked.Add(1)
	} else {
		c.ledger.failed.Add(1)
	}
	return ok
}

// next makes one write or two, of each kind by turns. Nothing is written twice.
func (c *client) next(what string, n int) {
	switch n / clients % 4 {
	case 0:
		c.count(n + 1)
	case 1:
		c.register(what)
	case 2:
		c.add(what)
	case 3:
		c.add(what)
		c.remove(what)
	}
}

func (c *client) count(n int) {
	l := c.ledger
	l.noting(func() { l.triedSum += n })
	if c.put("POST", "/v1/counters/visits", fmt.Sprintf(`{"add": %d}`, n)) {
		l.noting(func() { l.sum += n })
	}
}

func (c *client) add(element string) {
	l := c.ledger
	l.noting(func() { l.perhaps[element] = true })
	if c.put("POST", "/v1/sets/guests", fmt.Sprintf(`{"add": [%q]}`, element)) {
		l.noting(func() { delete(l.perhaps, element); l.added[element] = true })
	}
}

// remove takes away what the client has added itself, so its replica has seen it.
func (c *client) remove(element string) {
	l := c.ledger
	l.noting(func() { delete(l.added, element); l.perhaps[element] = true })
	if c.put("POST", "/v1/sets/guests", fmt.Sprintf(`{"remove": [%q]}`, element)) {
		l.noting(func() { delete(l.perhaps, element); l.removed[element] = true })
	}
}

func (c *client) register(value string) {
	l, n := c.ledger, 0
	l.noting(func() { l.tried[c.name]++; n = l.tried[c.name]; l.common[value] = true })
	if c.put("PUT", "/v1/registers/of-"+c.name, fmt.Sprintf(`{"value": %d}`, n)) {
		l.noting(func() { l.last[c.name] = n })
	}
	c.put("PUT", "/v1/registers/common", fmt.Sprintf(`{"value": %q}`, value))
}

// check reads all from a host alone.
func (l *ledger) check(h *host) {
	read := func(path string, v any) {
		require.Equal(h.t, http.StatusOK, h.do("GET", path+"?level=one", "", v), path)
	}
	var visits struct{ Value int }
	read("/v1/counters/visits", &visits)
	require.GreaterOrEqual(h.t, visits.Value, l.sum, "%s: what was acknowledged is counted", h.name)
	require.LessOrEqual(h.t, visits.Value, l.triedSum, "%s: and nothing twice", h.name)

	var guests struct{ Value []string }
	read("/v1/sets/guests", &guests)
	found := make(map[string]bool)
	for _, e := range guests.Value {
		found[e] = true
		require.True(h.t, l.added[e] || l.perhaps[e], "%s: %s was removed, or never added", h.name, e)
	}
	for e := range l.added {
		require.True(h.t, found[e], "%s: %s is lost", h.name, e)
	}
	for name, last := range l.last {
		var register struct{ Value int }
		read("/v1/registers/of-"+name, &register)
		require.GreaterOrEqual(h.t, register.Value, last, "%s: register of %s", h.name, name)
		require.LessOrEqual(h.t, register.Value, l.tried[name], "%s: register of %s", h.name, name)
	}
	var common struct{ Value string }
	read("/v1/registers/common", &common)
	require.True(h.t, l.common[common.Value], "%s: nobody wrote %q", h.name, common.Value)
}

// agree waits until all have one root, and says how long that took.
func agree(hosts []*host) time.Duration {
	since := time.Now()
	within(hosts[0].t, "all have one root", func() bool {
		root := hosts[0].status().Root
		for _, h := range hosts[1:] {
			if h.status().Root != root {
				return false
			}
		}
		return true
	})
	return time.Since(since)
}

package intercept

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/eventual-go/eventual/transport"
)

// errPanicked is the outcome of a call that neither returned a response nor an error.
var errPanicked = errors.New("intercept: panic")

// A MethodStats is what was counted of one method. Counts only grow, but InFlight.
type MethodStats struct {
	Method        string          // or Other
	Results       [results]uint64 // calls that have ended, by Result
	InFlight      int             // calls that have not
	RequestBytes  uint64          // of the calls that have ended
	ResponseBytes uint64          // likewise
	Latency       Latency         // from the call to its end, also of those that failed
}

// Calls is how many calls have ended.
func (s *MethodStats) Calls() (n uint64) {
	for _, c := range s.Results {
		n += c
	}
	return n
}

// Stats is what [Metrics] has counted, by method in ascending order, methods without
// calls left out. Counters are read one by one while calls go on, so they may differ
// by those.
type Stats struct {
	Called []MethodStats // calls that the node has made
	Served []MethodStats // calls of others that it has served
}

// Stats returns the counts up to now. It costs O(methods).
func (m *Metrics) Stats() Stats {
	return Stats{Called: m.called.stats(), Served: m.served.stats()}
}

// A table has the rows of one direction. Rows are added and never removed; the map is
// replaced, never changed, so that to find one takes no lock.
type table struct {
	other  row
	mu     sync.Mutex
	rows   atomic.Pointer[map[string]*row]
	chance atomic.Int64 // rows of methods that nobody named before
}

type row struct {
	results             [results]atomic.Uint64
	inFlight            atomic.Int64
	requests, responses atomic.Uint64
	latency             latency
}

func (t *table) all() map[string]*row {
	if p := t.rows.Load(); p != nil {
		return *p
	}
	return nil
}

// row returns the row of a method, other if it has none yet.
func (t *table) row(method string) *row {
	if r := t.all()[method]; r != nil {
		return r
	}
	return &t.other
}

// add returns the row of a method, which it makes if there is room for it. There always
// is for those that were named.
func (t *table) add(method string, m *Metrics, named bool) *row {
	full := func() bool { return !named && t.chance.Load() >= m.most() }
	if method == Other || len(method) > transport.MaxName || full() {
		return t.row(method)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.all()
	if old[method] != nil || full() {
		return t.row(method)
	}
	next := make(map[string]*row, len(old)+1)
	maps.Copy(next, old)
	r := new(row)
	next[strings.Clone(method)] = r
	t.rows.Store(&next)
	if !named {
		t.chance.Add(1)
	}
	return r
}

// most is how many rows there are of methods that nobody named.
func (m *Metrics) most() int64 { return int64(max(cmp.Or(m.MaxMethods, 100), 0)) }

func (t *table) stats() (all []MethodStats) {
	for method, r := range t.all() {
		all = append(all, r.stats(method))
	}
	if s := t.other.stats(Other); s.InFlight > 0 || s.Calls() > 0 {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b MethodStats) int { return cmp.Compare(a.Method, b.Method) })
	return all
}

func (r *row) stats(method string) MethodStats {
	s := MethodStats{
		Method:        method,
		InFlight:      int(r.inFlight.Load()),
		RequestBytes:  r.requests.Load(),
		ResponseBytes: r.responses.Load(),
		Latency:       r.latency.load(),
	}
	for i := range s.Results {
		s.Results[i] = r.results[i].Load()
	}
	return s
}

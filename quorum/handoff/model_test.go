package handoff

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// long makes keys of which three fit into a message.
var long = strings.Repeat(".", 290)

// place is where something is kept.
type place struct {
	to  transport.NodeID
	key string
}

// A message is a batch under way, or its answer.
type message struct {
	to   transport.NodeID
	id   uint64
	req  Batch
	resp []byte
	life int
}

// A model is a holder with a log, its targets, and what is owed to them.
type model struct {
	*rapid.T
	b        *Buffer
	log      *rows
	now      time.Time
	life     int
	targets  map[transport.NodeID]*sets
	owed     map[place]string // acknowledged by Keep, and not known to have been dropped
	messages []message
}

var limits = Limits{MaxBytes: 6 * 500, MaxTargetBytes: 4*500 + 30, MaxTargetHints: 4, MaxTargets: 2, MaxAge: time.Minute, MaxMessage: 1024}

func newModel(t *rapid.T) *model {
	m := &model{T: t, log: new(rows), now: epoch, targets: map[transport.NodeID]*sets{}, owed: map[place]string{}}
	for _, id := range nodes {
		m.targets[id] = new(sets)
	}
	m.restart()
	return m
}

var nodes = []transport.NodeID{"x", "y", "z"}

func (m *model) node() transport.NodeID { return rapid.SampledFrom(nodes).Draw(m.T, "node") }

// restart opens what the log has.
func (m *model) restart() {
	m.life++
	m.b = &Buffer{Join: union, Limits: limits, Seed: 7}
	m.b.Tick(m.now)
	require.NoError(m, m.b.Load(m.log.All()))
	m.b.check(m, m.log)
}

// settle makes durable what has changed, and takes note of what was dropped: each key of
// which something is neither held nor delivered must have been told.
func (m *model) settle() {
	c := m.b.Changes()
	m.log.put(c.Rows)
	told := map[transport.NodeID]int{}
	for _, d := range c.Dropped {
		told[d.Target] += d.Hints
	}
	for p, owed := range m.owed {
		if m.missing(p, owed) != "" {
			told[p.to]--
			require.GreaterOrEqual(m, told[p.to], 0, "%v: %q is lost and nobody was told", p, m.missing(p, owed))
			delete(m.owed, p)
		}
	}
	m.b.check(m, m.log)
	require.LessOrEqual(m, m.b.bytes, limits.MaxBytes)
	require.LessOrEqual(m, len(m.b.targets), limits.MaxTargets)
	for _, t := range m.b.targets {
		require.LessOrEqual(m, t.bytes, limits.MaxTargetBytes)
		require.LessOrEqual(m, len(t.hints), limits.MaxTargetHints)
	}
}

// missing is what is owed and nowhere.
func (m *model) missing(p place, owed string) (missing string) {
	there := string(m.b.state(p.to, p.key)) + m.targets[p.to].values[p.key]
	for _, c := range owed {
		if !slices.Contains([]rune(there), c) {
			missing += string(c)
		}
	}
	return missing
}

func (m *model) keep(t *rapid.T) {
	p := place{m.node(), fmt.Sprint("k", rapid.IntRange(0, 5).Draw(t, "key"), long)}
	delta := string(rune('a' + rapid.IntRange(0, 25).Draw(t, "delta")))
	err := m.b.Keep(p.to, p.key, []byte(delta))
	if rapid.IntRange(0, 20).Draw(t, "crash") == 0 {
		m.restart() // before it was durable
		return
	}
	m.settle()
	if err == nil {
		owed, _ := union([]byte(m.owed[p]), []byte(delta))
		m.owed[p] = string(owed)
		require.Empty(m, m.missing(p, m.owed[p]))
		return
	}
	full, ok := err.(*FullError)
	require.True(m, ok)
	if known := m.b.targets[p.to]; known != nil {
		require.True(m, known.marks.has(incomplete))
		require.Equal(m, full.Reason == TooOld, known.marks.has(overdue))
	} else {
		require.Equal(m, TooMany, full.Reason)
	}
}

func (m *model) batch(t *rapid.T) {
	to := m.node()
	if req, ok := m.b.Batch(to); ok {
		m.messages = append(m.messages, message{to: to, id: req.ID, req: req, life: m.life})
		_, again := m.b.Batch(to)
		require.False(m, again, "one at a time")
	}
	m.settle()
}

// arrive has a message arrive, once more or for the last time.
func (m *model) arrive(t *rapid.T) {
	if len(m.messages) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.messages)-1).Draw(t, "message")
	msg := m.messages[i]
	if rapid.Bool().Draw(t, "last") {
		m.messages = slices.Delete(m.messages, i, i+1)
	}
	if msg.resp == nil {
		s := m.targets[msg.to]
		if refuse := rapid.IntRange(0, 3).Draw(t, "refuse"); refuse == 0 {
			s.refuse = func(key string) error {
				if key < "k3" {
					return errBad
				}
				return nil
			}
		}
		msg.resp = serveAll(m, s, msg.req)
		s.refuse = nil
		m.messages = append(m.messages, msg)
		return
	}
	if msg.life == m.life {
		_, err := m.b.Acked(msg.to, msg.id, msg.resp)
		require.NoError(m, err)
		m.settle()
	}
}

// lose has the call of a batch fail. It may arrive nevertheless.
func (m *model) lose(t *rapid.T) {
	if len(m.messages) == 0 {
		return
	}
	msg := m.messages[rapid.IntRange(0, len(m.messages)-1).Draw(t, "message")]
	if msg.life == m.life {
		m.b.Failed(msg.to, msg.id, transport.ErrUnreachable)
		m.settle()
	}
}

func (m *model) pass(t *rapid.T) {
	most := rapid.SampledFrom([]int{200, 5000, 70_000}).Draw(t, "most")
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, most).Draw(t, "ms")) * time.Millisecond)
	m.b.Tick(m.now)
	m.settle()
}

// deliver sends all that is held, to targets that take everything.
func (m *model) deliver() {
	for range 1000 {
		ready, _ := m.b.Ready()
		for _, id := range nodes {
			m.b.Kick(id)
		}
		for _, id := range ready {
			if req, ok := m.b.Batch(id); ok {
				_, err := m.b.Acked(id, req.ID, serveAll(m, m.targets[id], req))
				require.NoError(m, err)
				m.settle()
			}
		}
		if len(m.b.targets) == 0 {
			return
		}
	}
	require.Empty(m, m.b.targets)
}

func runModel(t *rapid.T) {
	m := newModel(t)
	for range rapid.IntRange(1, 200).Draw(t, "steps") {
		switch n := rapid.IntRange(0, 99).Draw(t, "step"); {
		case n < 30:
			m.keep(t)
		case n < 50:
			m.batch(t)
		case n < 80:
			m.arrive(t)
		case n < 85:
			m.lose(t)
		case n < 90:
			m.pass(t)
		case n < 97:
			m.b.Kick(m.node())
		case n < 99:
			m.restart()
		default:
			m.b.Forget(m.node())
			m.settle()
		}
	}
	m.messages = nil
	m.restart()
	m.deliver()
	for p, owed := range m.owed {
		require.Empty(m, m.missing(p, owed), "%v", p)
	}
	require.Empty(m, m.log.rows, "nothing is left of what was delivered")
}

// Whatever is kept is delivered, or told to have been dropped: over lost and repeated
// messages, refusals, restarts, and bounds. What is in the log is what is held.
func TestModel(t *testing.T) {
	if planted.Bug != "" {
		t.Skip("with a bug")
	}
	rapid.Check(t, runModel)
}

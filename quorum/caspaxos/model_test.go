package caspaxos

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
)

var rounds = flag.Int("rounds", 2, "how many ballots two proposers have together, in the model that visits every state")

// A moment is a state of three acceptors and two proposers, each with a change to make. Messages arrive any number of
// times, in any order, or never; states are copied at any time; a proposer may give up any round for the next one.
type moment struct {
	acceptors [3]State
	logs      [2][]said        // what each proposer was told: from it, it is made again
	asked     []request        // that acceptors were ever asked to accept
	votes     map[Ballot]uint8 // who has accepted, or holds it firmly
}

// said is a round that began, if to is empty, or an answer.
type said struct {
	to    node
	reply reply
}

var modelled = quorum.Placement{Owners: []node{"a", "b", "c"}}

// proposer makes a proposer from its log, and what it asks for at present.
func proposer(id int, log []said) (o *proposal, asks []send) {
	o = &proposal{key: "k", decide: func(v Value) ([]byte, bool, error) { return append(v.Data, byte('A'+id)), true, nil }}
	for n, s := range log {
		if s.to == "" {
			asks = o.prepare(modelled, Ballot{uint64(o.round + 1), uint64(id + 1)}, condition{})
			continue
		}
		at := slices.IndexFunc(asks, func(a send) bool { return a.to == s.to })
		if next := o.answer(&asks[at], &log[n].reply, nil); next != nil {
			asks = next
		}
	}
	return o, asks
}

// key tells moments apart that differ in what may follow.
func (m *moment) key() string {
	var b bytes.Buffer
	for i := range m.acceptors {
		s := &m.acceptors[i]
		fmt.Fprint(&b, s.pledge, s.accepted)
	}
	for id, log := range m.logs {
		o, asks := proposer(id, log)
		fmt.Fprint(&b, o.round, o.step, o.outcome, o.best, o.even, len(o.mine))
		for _, a := range asks {
			fmt.Fprint(&b, o.step != over && answered(log, a.to))
		}
	}
	for _, q := range m.asked {
		fmt.Fprintf(&b, "%v%x%b", q.ballot, q.record, m.votes[q.ballot])
	}
	return b.String()
}

// answered reports whether a node has answered the present step: since the last round began there were two answers that
// made a majority, at most.
func answered(log []said, by node) bool {
	n, at := 0, 0
	for i := len(log) - 1; i >= 0 && log[i].to != ""; i-- {
		n++
	}
	if n >= 2 {
		at = 2
	}
	return slices.ContainsFunc(log[len(log)-n+at:], func(s said) bool { return s.to == by })
}

func (m *moment) clone() *moment {
	c := *m
	for i := range c.logs {
		c.logs[i] = slices.Clip(c.logs[i])
	}
	c.asked, c.votes = slices.Clip(c.asked), make(map[Ballot]uint8, len(m.votes))
	for b, v := range m.votes {
		c.votes[b] = v
	}
	return &c
}

// serve has an acceptor answer.
func (m *moment) serve(i int, q *request) reply {
	p, add := m.acceptors[i].answer(q)
	if add != nil {
		m.acceptors[i].Merge(add)
	}
	if q.ask == askAccept && p.said == saidYes {
		m.votes[q.ballot] |= 1 << i
	}
	return p
}

// follow calls each with every moment that may come next.
func (m *moment) follow(each func(*moment)) {
	begun := 0
	for id, log := range m.logs {
		o, asks := proposer(id, log)
		begun += o.round
		for i := range asks {
			if o.step == over || answered(log, asks[i].to) {
				continue
			}
			at := int(asks[i].to[0] - 'a')
			n := m.clone()
			if p := n.serve(at, &asks[i].request); p.said == saidYes {
				n.logs[id] = append(n.logs[id], said{asks[i].to, p})
				if next, after := proposer(id, n.logs[id]); next.step == accepting && o.step == preparing {
					n.asked = append(n.asked, after[0].request)
				}
			}
			each(n)
			n = m.clone()
			n.serve(at, &asks[i].request) // and the answer is lost
			each(n)
		}
	}
	for id := range m.logs {
		if o, _ := proposer(id, m.logs[id]); o.outcome != decided && o.round < 2 && begun < *rounds {
			n := m.clone()
			n.logs[id] = append(n.logs[id], said{})
			each(n)
		}
	}
	for i := range m.acceptors {
		for _, q := range m.asked {
			n := m.clone()
			n.serve(i, &q)
			each(n)
		}
		for j := range m.acceptors {
			n := m.clone()
			if n.acceptors[i].Merge(&m.acceptors[j]) {
				each(n)
			}
		}
	}
}

// judge says what is wrong. What a majority has accepted is what every later proposal that a majority accepts follows
// from; to hold a proposal firmly is as good as to have accepted it, since reads rely on that.
func (m *moment) judge() error {
	for i := range m.acceptors {
		if s := &m.acceptors[i]; !s.accepted.IsZero() && s.firm() {
			m.votes[s.accepted] |= 1 << i
		}
	}
	var last *request
	slices.SortFunc(m.asked, func(a, b request) int { return a.ballot.Compare(b.ballot) })
	for i := range m.asked {
		q := &m.asked[i]
		if v := m.votes[q.ballot]; v&(v-1) == 0 {
			continue
		}
		if last != nil {
			before, _ := decodeRecord(last.record)
			after, _ := decodeRecord(q.record)
			if !slices.Contains(after.changes, before.version()) {
				return fmt.Errorf("%q by %v does not follow from %q by %v", after.data, q.ballot, before.data, last.ballot)
			}
			if bytes.Count(after.data, []byte("A")) > 1 || bytes.Count(after.data, []byte("B")) > 1 {
				return fmt.Errorf("%q: a change was made twice", after.data)
			}
		}
		last = q
	}
	return nil
}

// visit goes everywhere.
func visit() (n int, err error) {
	first := &moment{votes: make(map[Ballot]uint8)}
	seen, left := map[string]bool{first.key(): true}, []*moment{first}
	for len(left) > 0 && err == nil {
		m := left[len(left)-1]
		left = left[:len(left)-1]
		n++
		m.follow(func(next *moment) {
			if e := next.judge(); e != nil {
				err = e
			}
			if key := next.key(); !seen[key] {
				seen[key] = true
				left = append(left, next)
			}
		})
	}
	return n, err
}

func TestEveryState(t *testing.T) {
	n, err := visit()
	require.NoError(t, err)
	t.Logf("%d states", n)
}

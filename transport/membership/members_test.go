package membership

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func TestMembersFindEachOther(t *testing.T) {
	a, b, c := member(t, "a"), member(t, "b"), member(t, "c")
	b.Zone, b.Weight, b.Addr = "north", 2.5, "b.example:7001"
	join(t, []*runner{a, b, c})
	require.Equal(t, []transport.NodeID{"b", "c"}, a.Peers())

	m, ok := c.find("b")
	require.True(t, ok)
	require.Equal(t, Member{ID: "b", Status: Alive, Since: m.Since, Zone: "north", Weight: 2.5, Addr: "b.example:7001", Gossip: b.gossip()}, m)
	addr, err := c.Resolve(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, "b.example:7001", addr)
	addr, err = c.Resolve(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7000", addr, "the host is that of the gossip")
	_, err = c.Resolve(t.Context(), "nobody")
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.Equal(t, 3, a.Stats().Alive)
	require.ErrorIs(t, a.Run(t.Context()), ErrRunning)
}

// Who is killed is dead after a while; it comes back at another address and is found there.
func TestKilledAndBackElsewhere(t *testing.T) {
	t.Parallel()
	all := joined(t, "a", "b", "c")
	a, b, c := all[0], all[1], all[2]
	b.kill()
	eventually(t, "b is dead", func() bool { return a.status("b") == Dead && c.status("b") == Dead })
	require.Equal(t, []transport.NodeID{"c"}, a.Peers())
	addr, err := a.Resolve(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7000", addr, "where it was")

	back := member(t, "b")
	back.Addr, back.Listen = ":7100", "127.0.0.2:0"
	back.start()
	require.NoError(t, back.Join(t.Context(), c.gossip()))
	eventually(t, "b is found at its new address", func() bool {
		addr, _ := a.Resolve(t.Context(), "b")
		return a.status("b") == Alive && addr == "127.0.0.2:7100"
	})
	told := a.heard("b")
	require.Contains(t, told, Dead)
	require.Equal(t, Alive, told[len(told)-1])
}

func (r *runner) heard(id transport.NodeID) []Status {
	var out []Status
	eventually(r.t, "what is known is told", func() bool {
		r.note(func() { out = append([]Status(nil), r.statuses[id]...) })
		return len(out) > 0 && out[len(out)-1] == r.status(id)
	})
	return out
}

// Who moves before it was missed is in conflict with itself until then.
func TestMovedBeforeItWasMissed(t *testing.T) {
	t.Parallel()
	all := joined(t, "a", "b", "c")
	a, b := all[0], all[1]
	b.kill()
	back := member(t, "b")
	back.Addr, back.Listen = ":7100", "127.0.0.2:0"
	back.start()
	_ = back.Join(t.Context(), a.gossip())
	eventually(t, "b is found at its new address", func() bool {
		m, _ := a.find("b")
		return m.Status == Alive && m.Gossip == back.gossip()
	})
}

// Who is started again at its address, before it was missed, is another process.
func TestStartedAgainIsNoticed(t *testing.T) {
	all := joined(t, "a", "b")
	a, b := all[0], all[1]
	before, _ := a.find("b")
	b.kill()
	b.Listen = before.Gossip
	b.start()
	require.NoError(t, b.Join(t.Context(), a.gossip()))
	eventually(t, "b is another process", func() bool {
		m, _ := a.find("b")
		return m.Status == Alive && m.Since.After(before.Since)
	})
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	all := joined(t, "a", "b", "c")
	a, b, c := all[0], all[1], all[2]
	require.NoError(t, b.Leave(t.Context()))
	require.Equal(t, Leaving, b.status("b"))
	eventually(t, "all know that b leaves", func() bool { return a.status("b") == Leaving && c.status("b") == Leaving })
	require.Equal(t, []transport.NodeID{"b", "c"}, a.Peers(), "it is here until it ends")
	b.stop()
	require.NoError(t, <-b.done, "it has left")
	close(b.done)
	eventually(t, "b has left", func() bool { return a.status("b") == Left && c.status("b") == Left })

	b.start()
	require.NoError(t, b.Join(t.Context(), c.gossip()))
	eventually(t, "b is back, and does not leave", func() bool { return a.status("b") == Alive && c.status("b") == Alive })
}

// A second process under one name is told of, and not adopted.
func TestConflictOfNames(t *testing.T) {
	all := joined(t, "a", "b", "c")
	a := all[0]
	before, _ := a.find("b")
	second := member(t, "b")
	second.Addr = ":7200"
	second.start()
	_ = second.Join(t.Context(), a.gossip())
	eventually(t, "a and the second one know of the conflict", func() bool {
		return a.Stats().Conflicts > 0 && second.Stats().Conflicts > 0
	})
	var got *ConflictError
	eventually(t, "it is told", func() bool {
		a.note(func() {
			if len(a.conflicts) > 0 {
				got = a.conflicts[0]
			}
		})
		return got != nil
	})
	require.Equal(t, ConflictError{Node: "b", Gossip: before.Gossip, OtherGossip: second.gossip(), OtherAddr: ":7200"}, *got)
	after, _ := a.find("b")
	require.Equal(t, before.Gossip, after.Gossip)
	require.True(t, after.Since.After(before.Since), "it is doubted")
	self, _ := second.find("b")
	require.Equal(t, second.gossip(), self.Gossip, "nobody takes another's place by himself")
	began, _ := all[1].find("b")
	eventually(t, "as long as it goes on, all say so", func() bool {
		first, _ := all[1].find("b")
		return a.Stats().Conflicts > 3 && second.Stats().Conflicts > 3 && first.Since.After(began.Since)
	})
}

// A process that has a clock behind that of its predecessor is believed all the same, once it was told.
func TestClockThatWasAhead(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(before Member) (listen string, missed bool){
		"there, before it was missed":     func(m Member) (string, bool) { return m.Gossip, false },
		"there, after it was missed":      func(m Member) (string, bool) { return m.Gossip, true },
		"elsewhere, before it was missed": func(Member) (string, bool) { return "127.0.0.2:0", false },
		"elsewhere, after it was missed":  func(Member) (string, bool) { return "127.0.0.2:0", true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b, c := member(t, "a"), member(t, "b"), member(t, "c")
			b.version = uint64(time.Now().Add(time.Hour).UnixNano())
			join(t, []*runner{a, b, c})
			before, _ := a.find("b")
			b.kill()
			back := member(t, "b")
			back.Addr = ":7100"
			listen, missed := at(before)
			if back.Listen = listen; missed {
				eventually(t, "b is missed", func() bool { return a.status("b") == Dead && c.status("b") == Dead })
			}
			back.start()
			_ = back.Join(t.Context(), a.gossip())
			eventually(t, "it is believed", func() bool {
				m, _ := a.find("b")
				o, _ := c.find("b")
				return m.Status == Alive && m.Addr == ":7100" && o.Status == Alive && o.Addr == ":7100"
			})
		})
	}
}

func TestOtherClustersAndOtherKeysAreRefused(t *testing.T) {
	a := member(t, "a").start()
	for name, change := range map[string]func(*Members){
		"another cluster":  func(m *Members) { m.Cluster = "other" },
		"no cluster":       func(m *Members) { m.Cluster = "" },
		"another key":      func(m *Members) { m.Keys = [][]byte{[]byte("fedcba9876543210")} },
		"plain":            func(m *Members) { m.Keys, m.Plain = nil, true },
		"plain, elsewhere": func(m *Members) { m.Keys, m.Plain, m.Cluster = nil, true, "other" },
	} {
		t.Run(name, func(t *testing.T) {
			b := member(t, "b")
			change(b.Members)
			b.start()
			err := b.Join(t.Context(), a.gossip())
			var seed *SeedError
			require.ErrorAs(t, err, &seed)
			require.ErrorIs(t, err, transport.ErrUnreachable)
			t.Log(err)
			require.Empty(t, b.Peers())
			require.Empty(t, a.Peers())
		})
	}
}

func TestJoiningNobody(t *testing.T) {
	t.Parallel()
	a := member(t, "a").start()
	require.NoError(t, a.Join(t.Context(), a.gossip()), "all seeds are this node")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln.Close()
	err = a.Join(t.Context(), ln.Addr().String(), "no address")
	require.ErrorIs(t, err, transport.ErrUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, a.Join(ctx, ln.Addr().String()))

	// Somebody begins there after all, and is found.
	b := member(t, "b")
	b.Listen = ln.Addr().String()
	b.start()
	eventually(t, "the seed is tried again", func() bool { return len(b.Peers()) == 1 && len(a.Peers()) == 1 })

	idle := member(t, "c")
	require.Equal(t, context.Canceled, idle.Join(ctx, a.gossip()), "it waits for Run")
	require.Equal(t, context.Canceled, idle.Leave(ctx))
	require.Equal(t, context.Canceled, idle.Run(ctx))
}

func TestWrongFields(t *testing.T) {
	for want, change := range map[string]func(*Members){
		"Self":            func(m *Members) { m.Self = "" },
		"1 to 255":        func(m *Members) { m.Self = transport.NodeID(strings.Repeat("x", 256)) },
		"Weight":          func(m *Members) { m.Weight = -1 },
		"Keys is empty":   func(m *Members) { m.Keys = nil },
		"Plain":           func(m *Members) { m.Plain = true },
		"not 5":           func(m *Members) { m.Keys = [][]byte{key, []byte("short")} },
		"Listen is empty": func(m *Members) { m.Listen = "" },
		"set Advertise":   func(m *Members) { m.Listen = ":0" },
		"missing port":    func(m *Members) { m.Listen = "127.0.0.1" },
	} {
		m := member(t, "a").Members
		change(m)
		require.ErrorContains(t, m.Run(t.Context()), want)
	}

	var large *transport.TooLargeError
	m := member(t, "a").Members
	m.Zone, m.Addr = strings.Repeat("z", 255), strings.Repeat("a", 255)
	require.ErrorAs(t, m.Run(t.Context()), &large)
	require.Equal(t, "metadata", large.What)
	m.Zone = strings.Repeat("z", 256)
	require.ErrorAs(t, m.Run(t.Context()), &large)
	require.Equal(t, 255, large.Limit)
}

func TestAdvertised(t *testing.T) {
	a := member(t, "a")
	a.Listen, a.Advertise = ":0", "127.0.0.1:0"
	a.start()
	require.Equal(t, "127.0.0.1", a.gossip()[:9])
	require.NotEqual(t, "0", port(a.gossip()))
	b := member(t, "b").start()
	require.NoError(t, b.Join(t.Context(), "localhost:"+port(a.gossip())))
	eventually(t, "they meet", func() bool { return len(a.Peers()) == 1 && len(b.Peers()) == 1 })
}

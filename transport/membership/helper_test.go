package membership

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// fast has members notice within two seconds or so who is gone.
var fast = Pace{Probe: 200 * time.Millisecond, ProbeTimeout: 100 * time.Millisecond, Suspicion: 4, Gossip: 10 * time.Millisecond,
	Sync: 200 * time.Millisecond, Timeout: 2 * time.Second}

var key = []byte("0123456789abcdef0123456789abcdef")

// A runner is members that run, and what they have told.
type runner struct {
	*Members
	t    *testing.T
	stop context.CancelFunc
	done chan error

	told      sync.Mutex
	statuses  map[transport.NodeID][]Status // as told, one after the other
	conflicts []*ConflictError
	refused   []*RefusedError
}

// member returns members that are not started, and gossip on an address of their own.
func member(t *testing.T, id transport.NodeID) *runner {
	r := &runner{t: t, statuses: map[transport.NodeID][]Status{}}
	r.Members = &Members{
		Self: id, Cluster: "test", Zone: "z", Addr: ":7000", Listen: "127.0.0.1:0", Keys: [][]byte{key}, Pace: fast,
		Events: Events{
			OnMember: func(m Member) {
				r.note(func() { r.statuses[m.ID] = append(r.statuses[m.ID], m.Status) })
			},
			OnConflict: func(e *ConflictError) { r.note(func() { r.conflicts = append(r.conflicts, e) }) },
			OnRefused:  func(e *RefusedError) { r.note(func() { r.refused = append(r.refused, e) }) },
		},
	}
	return r
}

func (r *runner) note(f func()) {
	r.told.Lock()
	defer r.told.Unlock()
	f()
}

// start runs the members until stop or the end of the test.
func (r *runner) start() *runner {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r.stop, r.done = stop, done
	go func() { done <- r.Run(ctx) }()
	r.t.Cleanup(r.kill)
	_, err := r.running(r.t.Context())
	require.NoError(r.t, err)
	return r
}

// kill ends the members, without a word unless they are leaving.
func (r *runner) kill() {
	r.stop()
	err, ok := <-r.done
	if !ok {
		return
	}
	close(r.done)
	if err != nil && !errors.Is(err, context.Canceled) {
		require.NoError(r.t, err)
	}
}

func (r *runner) gossip() string {
	m, _ := r.find(r.Self)
	return m.Gossip
}

func (r *runner) find(id transport.NodeID) (Member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table.member(id)
}

func (r *runner) status(id transport.NodeID) Status {
	m, _ := r.find(id)
	return m.Status
}

// joined starts members with these names, of which all know all.
func joined(t *testing.T, ids ...transport.NodeID) []*runner {
	var all []*runner
	for _, id := range ids {
		all = append(all, member(t, id))
	}
	return join(t, all)
}

func join(t *testing.T, all []*runner) []*runner {
	for _, r := range all {
		r.start()
		require.NoError(t, r.Join(t.Context(), all[0].gossip()))
	}
	eventually(t, "all know all", func() bool {
		for _, r := range all {
			if len(r.Peers()) != len(all)-1 {
				return false
			}
		}
		return true
	})
	return all
}

// eventually waits until something is so, for at most twenty seconds.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	require.Eventually(t, so, 20*time.Second, 5*time.Millisecond, what)
}

// A wall cuts one member's links to some addresses, outwards.
type wall struct {
	memberlist.NodeAwareTransport
	mu  *sync.Mutex
	cut map[string]bool
}

// walled has a member's links cut as wished, before it is started.
func walled(r *runner) *wall {
	w := &wall{mu: new(sync.Mutex), cut: map[string]bool{}}
	r.tap = func(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
		w.NodeAwareTransport = t
		return w
	}
	return w
}

func (w *wall) set(cut bool, others ...*runner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range others {
		w.cut[o.gossip()] = cut
	}
}

func (w *wall) through(addr string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.cut[addr]
}

func (w *wall) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if !w.through(a.Addr) {
		return time.Now(), nil
	}
	return w.NodeAwareTransport.WriteToAddress(b, a)
}

func (w *wall) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	if !w.through(a.Addr) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("cut")}
	}
	return w.NodeAwareTransport.DialAddressTimeout(a, d)
}

// port is the port of "ip:port".
func port(addr string) string {
	return netip.MustParseAddrPort(addr).String()[len(netip.MustParseAddrPort(addr).Addr().String())+1:]
}

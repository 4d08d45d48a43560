package transporttest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/transporttest"
)

// A flaw is what is wrong with a network. The zero value is that nothing is.
type flaw struct {
	closed    bool // calls under way fail as if they had not been made
	deaf      bool // handlers do not see that a caller is closed
	leaks     bool // a call that is given up leaves something behind
	unshared  bool // one node may take every place
	blocked   bool // an answer that is not read stands in the way of others
	credulous bool // a node is who it says
}

// A network has all that the suite asks for, on a network in memory, but for a flaw.
type network struct {
	flaw
	mem.Network
	limit int
	over  context.Context // ends with the test

	mu      sync.Mutex
	stalled map[transport.NodeID]bool
	running map[transport.NodeID]int
	total   int
	writing sync.Mutex // an answer, if answers stand in line
}

func newNetwork(t *testing.T, f flaw) *network {
	return &network{flaw: f, Network: mem.Network{MaxMessage: 128 << 10}, limit: 1000, over: t.Context(),
		stalled: map[transport.NodeID]bool{}, running: map[transport.NodeID]int{}}
}

func (n *network) MaxMessage() int { return n.Network.MaxMessage }

func (n *network) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	if h == nil {
		h = new(transport.Mux)
	}
	return &node{n, n.Node(id, handler{n, h})}
}

func (n *network) Stop(id transport.NodeID) { n.Down(id) }

func (n *network) Limit(calls int) { n.limit = calls }

func (n *network) Stall(id transport.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stalled[id] = true
}

func (n *network) reads(id transport.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.stalled[id]
}

func (n *network) Pose(id, as transport.NodeID, h transport.Handler) transport.Caller {
	if id == as || n.credulous {
		return n.Start(as, h)
	}
	return refused{}
}

type refused struct{}

func (refused) Call(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
	return nil, transport.ErrUnreachable
}

// enter takes a place for a call.
func (n *network) enter(from transport.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.total >= n.limit || !n.unshared && n.running[from] >= n.limit/2 {
		return false
	}
	n.total++
	n.running[from]++
	return true
}

func (n *network) leave(from transport.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.total--
	n.running[from]--
}

type handler struct {
	n    *network
	next transport.Handler
}

func (h handler) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	if !h.n.enter(from) {
		return nil, errors.New("too many calls")
	}
	defer h.n.leave(from)
	if h.n.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	resp, err := h.next.ServeCall(ctx, from, method, req)
	if h.n.blocked {
		h.n.writing.Lock()
		defer h.n.writing.Unlock()
	}
	if !h.n.reads(from) {
		<-h.n.over.Done()
	}
	return resp, err
}

type node struct {
	n *network
	*mem.Node
}

func (c *node) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	resp, err := c.Node.Call(ctx, to, method, req)
	switch {
	case err == nil:
		return resp, nil
	case c.n.closed && strings.Contains(err.Error(), "under way"):
		return nil, transport.ErrClosed
	case c.n.leaks && ctx.Err() != nil:
		go func() { select {} }()
	}
	return nil, err
}

// flaws are which part of the suite is to find what.
var flaws = map[string]struct {
	part string
	flaw flaw
}{
	"calls under way are as if never made": {"CloseUnderWay", flaw{closed: true}},
	"handlers go on":                       {"CloseUnderWay", flaw{deaf: true}},
	"goroutines are left":                  {"NothingIsLeft", flaw{leaks: true}},
	"one takes all":                        {"FloodStarvesNobody", flaw{unshared: true}},
	"answers stand in line":                {"SlowReaderBlocksNobody", flaw{blocked: true}},
	"anybody is believed":                  {"Identity", flaw{credulous: true}},
}

// A network without a flaw passes all of the suite, of which it skips nothing but that
// its nodes leave.
func TestSoundNetwork(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Network { return newNetwork(t, flaw{}) })
}

// flawed names the flaw that a process is to run the suite with.
const flawed = "TRANSPORTTEST_FLAW"

// TestFlawed fails: TestFlawsAreFound runs it in other processes.
func TestFlawed(t *testing.T) {
	f, ok := flaws[os.Getenv(flawed)]
	if !ok {
		t.Skip("without a flaw there is nothing to find")
	}
	transporttest.Hurry()
	transporttest.Run(t, func(t *testing.T) transporttest.Network { return newNetwork(t, f.flaw) })
}

// The part of the suite that is for a flaw finds it, and others run beside it.
func TestFlawsAreFound(t *testing.T) {
	for name, f := range flaws {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", fmt.Sprintf("^TestFlawed$/^(Echo|%s)$", f.part))
			cmd.Env = append(os.Environ(), flawed+"="+name)
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), "--- FAIL: TestFlawed/"+f.part+" ", string(out))
			require.Contains(t, string(out), "--- PASS: TestFlawed/Echo ", string(out))
			require.NotContains(t, string(out), "panic:")
		})
	}
}

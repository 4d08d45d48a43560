package outage

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/vclock"
)

// The three members; "a" is the process of the test, whose clients are in it.
var names = []transport.NodeID{"a", "b", "c"}

// A member is one node of the cluster: a store in memory, and what asks and answers for it.
type member struct {
	kinds  *crdt.Kinds
	store  *store.Store
	quorum *quorum.Coordinator
	hints  *handoff.Handoff
	net    *tcp.Transport
}

func newMember(self transport.NodeID, addrs map[transport.NodeID]string) *member {
	kinds := crdt.Standard()
	s := store.New(store.Config{Replica: vclock.NewReplicaID(string(self)), Kinds: kinds})
	n := &tcp.Transport{Self: self, Cluster: "outage", Plain: true, Peers: addrs}
	hints := &handoff.Handoff{Self: self, Join: s.Join, Caller: n, Replica: s}
	return &member{
		kinds: kinds, store: s, net: n, hints: hints,
		quorum: &quorum.Coordinator{
			Self: self, Local: s, Ring: quorum.Everywhere(names), Caller: n, Join: s.Join, Hints: hints,
			Buckets: []quorum.Bucket{{Read: quorum.ReadOptions{Level: quorum.Two}, Write: quorum.WriteOptions{Level: quorum.Two}}},
		},
	}
}

// run serves until ctx ends.
func (m *member) run(ctx context.Context, ln net.Listener) error {
	var mux transport.Mux
	mux.Handle("quorum/", m.quorum.Handler())
	mux.Handle("handoff/", m.hints.Handler())
	go m.hints.Run(ctx)
	return m.net.Serve(ctx, ln, &mux)
}

type register = *crdt.LWWRegister[string]

func (m *member) put(ctx context.Context, key, value string) error {
	delta, err := store.Update(m.store, key, func(r register, by store.Writer) register { return r.Set(by.Stamp(), value) })
	if err != nil {
		return err
	}
	state, err := delta.Bytes()
	if err != nil {
		return err
	}
	_, err = m.quorum.Write(ctx, key, state, quorum.WriteOptions{Applied: true})
	return err
}

func (m *member) get(ctx context.Context, key string) (string, error) {
	res, err := m.quorum.Read(ctx, key, quorum.ReadOptions{})
	if err != nil {
		return "", err
	}
	v, err := m.store.Decode(res.State)
	if err != nil {
		return "", err
	}
	r, _ := crdt.Component[register](m.kinds, v)
	value, _ := r.Value()
	return value, nil
}

const asMember = "EVENTUAL_OUTAGE_MEMBER" // its name and all addresses

// TestMain is also what the other members run.
func TestMain(m *testing.M) {
	if spec := os.Getenv(asMember); spec != "" {
		fields := strings.Split(spec, " ")
		if err := serve(transport.NodeID(fields[0]), parse(fields[1:])); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func parse(fields []string) map[transport.NodeID]string {
	addrs := make(map[transport.NodeID]string)
	for _, f := range fields {
		name, addr, _ := strings.Cut(f, "=")
		addrs[transport.NodeID(name)] = addr
	}
	return addrs
}

func serve(self transport.NodeID, addrs map[transport.NodeID]string) error {
	ln, err := net.Listen("tcp", addrs[self])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return newMember(self, addrs).run(context.Background(), ln)
}

// A process is a member of its own.
type process struct {
	t     *testing.T
	name  transport.NodeID
	addrs map[transport.NodeID]string
	cmd   *exec.Cmd
}

func (p *process) start() {
	p.cmd = exec.Command(os.Args[0])
	spec := string(p.name)
	for _, name := range names {
		spec += " " + string(name) + "=" + p.addrs[name]
	}
	p.cmd.Env = append(os.Environ(), asMember+"="+spec)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Start())
	line := make([]byte, len("ready\n"))
	_, err = out.Read(line)
	require.NoError(p.t, err)
}

func (p *process) signal(s syscall.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

package merkle_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
)

var rewrite = flag.Bool("rewrite", false, "write the golden traces anew")

// Whole sessions, message by message: by ranges, a sketch, a table. A change of these
// files is a change of the protocol: it needs a new message version unless old peers
// understand it.
func TestTraceOfASession(t *testing.T) {
	h := merkle.NewHasher([]byte("golden"))
	part := merkle.SessionConfig{Ranges: []merkle.Range{{From: 0x0123 << 48, To: merkle.Full.To}}}
	for _, c := range []struct {
		name string
		n    int
		cfg  merkle.SessionConfig
	}{
		{"testdata/session.golden", 100, part},
		{"testdata/sketch.golden", 300, merkle.SessionConfig{}},
		{"testdata/table.golden", 300, part},
	} {
		a, b := numbered(c.n), numbered(c.n)
		delete(b, "3")
		b["7"] = state(1234)
		for i := range c.n / 100 {
			b[fmt.Sprint("only b", i)] = state(1)
		}
		got := trace(t, merkle.NewSession(a.tree(h), c.cfg), merkle.NewResponder(b.tree(h), merkle.SessionConfig{}))
		if *rewrite {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(c.name, []byte(got), 0o644))
		}
		want, err := os.ReadFile(c.name)
		require.NoError(t, err)
		require.Equal(t, string(want), got, "run with -rewrite, and review the difference")
	}
}

func trace(t *testing.T, s *merkle.Session, r *merkle.Responder) string {
	var out strings.Builder
	_, err := run(s, func(msg []byte) ([]byte, error) {
		reply, err := r.Step(msg)
		for _, m := range [][]byte{msg, reply} {
			fmt.Fprintln(&out, strings.Join(s.Describe(m), "\n"))
			fmt.Fprintf(&out, "    = %x\n", m)
		}
		return reply, err
	})
	require.NoError(t, err)
	for _, d := range s.Diff() {
		fmt.Fprintln(&out, "differs:", d.Range, d.Keys, "mine:", d.Mine, "theirs:", d.Theirs)
	}
	fmt.Fprintln(&out, "verified:", s.Verified())
	return out.String()
}

// The refusals, which all versions must understand for ever.
func TestTraceOfRefusals(t *testing.T) {
	h := merkle.NewHasher([]byte("golden"))
	r := merkle.NewResponder(merkle.New(h), merkle.SessionConfig{Epoch: 5})
	for _, c := range []struct{ request, answer string }{
		{"\x95\x00\x04\x01\x07\x05", "\x95\x02\x03\x02\xce\x10\xd5\x64\xab\x05"}, // of a later version, of another length
		{"\x95\x00\x01\x09\x07\x05", "\x95\x02\x03\x02\xce\x10\xd5\x64\xab\x05"},
	} {
		reply, err := r.Step([]byte(c.request))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%x", c.answer), fmt.Sprintf("%x", reply))
	}
}

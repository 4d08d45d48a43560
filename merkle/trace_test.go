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

// A whole session, message by message. A change of this file is a change of the
// protocol: it needs a new message version unless old peers understand it.
func TestTraceOfASession(t *testing.T) {
	h := merkle.NewHasher([]byte("golden"))
	a := numbered(100)
	b := numbered(100)
	delete(b, "3")
	b["7"] = state(1234)
	b["only b"] = state(1)

	var out strings.Builder
	s := merkle.NewSession(a.tree(h), merkle.SessionConfig{Ranges: []merkle.Range{{From: 0x0123 << 48, To: merkle.Full.To}}})
	r := merkle.NewResponder(b.tree(h), merkle.SessionConfig{})
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

	const name = "testdata/session.golden"
	if *rewrite {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, []byte(out.String()), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String(), "run with -rewrite, and review the difference")
}

// The refusals, which all versions must understand for ever.
func TestTraceOfRefusals(t *testing.T) {
	h := merkle.NewHasher([]byte("golden"))
	r := merkle.NewResponder(merkle.New(h), merkle.SessionConfig{Epoch: 5})
	for _, c := range []struct{ request, answer string }{
		{"\x95\x00\x03\x01\x07\x05", "\x95\x02\x02\x02\xce\x10\xd5\x64\xab\x05"}, // of a later version, of another length
		{"\x95\x00\x01\x09\x07\x05", "\x95\x02\x02\x02\xce\x10\xd5\x64\xab\x05"},
	} {
		reply, err := r.Step([]byte(c.request))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%x", c.answer), fmt.Sprintf("%x", reply))
	}
}

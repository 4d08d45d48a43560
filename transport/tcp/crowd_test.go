package tcp

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A crowd is checked against a list of who came when: who has to leave is the oldest
// of a place with the most, and nobody else.
func TestCrowd(t *testing.T) {
	type came struct{ from, guest int }
	rapid.Check(t, func(t *rapid.T) {
		c := crowd[int, int]{limit: rapid.IntRange(1, 8).Draw(t, "limit"), loyal: rapid.Bool().Draw(t, "loyal")}
		var in []came // in the order of arrival
		for guest := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(in) > 0 && rapid.IntRange(0, 3).Draw(t, "leave") == 0 {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "who")
				c.leave(in[i].from, in[i].guest)
				c.leave(in[i].from, in[i].guest) // once is enough
				in = slices.Delete(in, i, i+1)
			}
			new := came{rapid.IntRange(0, 4).Draw(t, "from"), guest}
			in = append(in, new)
			share := make(map[int]int)
			for _, x := range in {
				share[x.from]++
			}
			most := 0
			for _, n := range share {
				most = max(most, n)
			}
			out, full := c.enter(new.from, new.guest)
			require.Equal(t, len(in) > c.limit, full)
			if full {
				i := slices.IndexFunc(in, func(x came) bool { return share[x.from] == most })
				if most == 1 && c.loyal {
					i = len(in) - 1
				}
				require.Equal(t, in[i].guest, out)
				in = slices.Delete(in, i, i+1)
			}
			require.Equal(t, len(in), c.size)
			require.Len(t, slices.Collect(c.all()), len(in))
			for _, x := range in {
				require.Contains(t, slices.Collect(c.all()), x.guest)
			}
			require.LessOrEqual(t, len(c.places), len(in))
		}
	})
}

// from is a connection from some address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", f.addr)
	if err != nil {
		return &net.UnixAddr{Name: f.addr}
	}
	return addr
}

// Who has a network of 64 bits has one share.
func TestOrigin(t *testing.T) {
	for addr, want := range map[string]string{
		"10.0.0.1:7001":              "10.0.0.1",
		"[::ffff:10.0.0.1]:1":        "10.0.0.1",
		"[2001:db8:1:2:3:4:5:6]:7":   "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::]:7":    "2001:db8:1:2::/64",
		"[fe80::1]:7":                "fe80::/64",
		"/run/node.sock":             "",
		"[2001:db8:1:3:ffff::1]:701": "2001:db8:1:3::/64",
	} {
		require.Equal(t, want, origin(from{addr: addr}), addr)
	}
}

// Of refusals for each reason few are told, the others are counted for the next one.
func TestReportsAreBounded(t *testing.T) {
	var r reports
	now := time.Unix(1_000_000, 0)
	told := func(reason Reason, n int) (told, missed int) {
		for range n {
			if m, ok := r.take(reason, now); ok {
				told++
				missed += int(m)
			}
		}
		return told, missed
	}
	n, missed := told(ReasonBusy, 1_000)
	require.Equal(t, reportBurst, n)
	require.Zero(t, missed)
	n, _ = told(ReasonUntrusted, 1)
	require.Equal(t, 1, n, "each reason by itself")
	now = now.Add(reportEvery)
	n, missed = told(ReasonBusy, 10)
	require.Equal(t, 1, n)
	require.Equal(t, 1_000-reportBurst, missed)
	now = now.Add(time.Hour)
	n, missed = told(ReasonBusy, 1_000)
	require.Equal(t, reportBurst, n)
	require.Equal(t, 9, missed)
	now = now.Add(time.Hour)
	n, _ = told(Reason(200), 1)
	require.Equal(t, 1, n)
}

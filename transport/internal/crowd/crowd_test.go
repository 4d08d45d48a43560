package crowd

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A crowd is checked against a list of who came when: who has to leave is the oldest
// of a place with the most, or of one that has more than it may, and nobody else.
func TestCrowd(t *testing.T) {
	type came struct{ from, guest int }
	rapid.Check(t, func(t *rapid.T) {
		c := Crowd[int, int]{
			Limit: rapid.IntRange(1, 8).Draw(t, "limit"),
			Each:  rapid.IntRange(0, 5).Draw(t, "each"),
			Loyal: rapid.Bool().Draw(t, "loyal"),
		}
		var in []came // in the order of arrival
		for guest := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(in) > 0 && rapid.IntRange(0, 3).Draw(t, "leave") == 0 {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "who")
				c.Leave(in[i].from, in[i].guest)
				c.Leave(in[i].from, in[i].guest) // once is enough
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
			out, full := c.Enter(new.from, new.guest)
			crowded := c.Each > 0 && share[new.from] > c.Each
			require.Equal(t, len(in) > c.Limit || crowded, full)
			if full {
				i := slices.IndexFunc(in, func(x came) bool { return share[x.from] == most })
				if crowded {
					i = slices.IndexFunc(in, func(x came) bool { return x.from == new.from })
				} else if most == 1 && c.Loyal {
					i = len(in) - 1
				}
				require.Equal(t, in[i].guest, out)
				in = slices.Delete(in, i, i+1)
			}
			require.Equal(t, len(in), c.Len())
			require.Len(t, slices.Collect(c.All()), len(in))
			for _, x := range in {
				require.Contains(t, slices.Collect(c.All()), x.guest)
			}
			require.LessOrEqual(t, len(c.places), len(in))
		}
	})
}

// from is the address of a connection.
type from string

func (f from) Network() string { return "tcp" }
func (f from) String() string  { return string(f) }

// Who has a network of 64 bits has one share.
func TestOrigin(t *testing.T) {
	for addr, want := range map[string]string{
		"10.0.0.1:7001":              "10.0.0.1",
		"[::ffff:10.0.0.1]:1":        "10.0.0.1",
		"[2001:db8:1:2:3:4:5:6]:7":   "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::]:7":    "2001:db8:1:2::/64",
		"[fe80::1]:7":                "fe80::/64",
		"[fe80::1%eth0]:7":           "fe80::/64",
		"/run/node.sock":             "",
		"[2001:db8:1:3:ffff::1]:701": "2001:db8:1:3::/64",
	} {
		require.Equal(t, want, Origin(from(addr)), addr)
	}
}

package membership

import (
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

func many(n int) (m *Members, members []ring.Member) {
	m = &Members{Self: "0"}
	m.table.limit = MaxMembers
	for i := range n {
		id := transport.NodeID(fmt.Sprint(i))
		m.table.here(at(-1000), Member{ID: id, Status: Alive}, origin{1, 1})
		members = append(members, ring.Member{ID: id})
	}
	return m, members
}

func BenchmarkPeers(b *testing.B) {
	for _, n := range []int{10, 1000} {
		m, _ := many(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				m.Peers()
			}
		})
	}
}

// A look at members of whom nobody comes or goes.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10, 100} {
		m, members := many(n)
		r, err := ring.New(ring.Config{Members: members})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if p := policy.Plan("0", at(0), m.All(), r); p.Ring != nil {
					b.Fatal(p)
				}
			}
		})
	}
}

package antientropy

import (
	"fmt"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

// Now and then two hundred keys come to differ among twenty thousand, and each side writes a thousand times a second. Reconciliation
// sends what differs once, though both sides find out at about the same time, and leaves the writes to the deltas.
func TestTrap23_OnlyWhatDiffersIsSentWhileBothAreWrittenTo(t *testing.T) {
	const n, d, times = 20_000, 200, 15
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{Link: mem.Link{Latency: 10 * time.Millisecond}}, func(l *Loop) {
			l.Interval = 100 * time.Millisecond
			for i := range n {
				l.Store.(*sets).join(fmt.Sprint("key ", i), []uint64{1})
			}
		}, "a", "b")
		time.Sleep(time.Second)
		c.forget()
		for i := range uint64(times * d) {
			c.store["a"].add(fmt.Sprint("key ", i%(n/2)), i+2)
			c.store["b"].add(fmt.Sprint("key ", n/2+i%(n/2)), i+2)
			if i%d == d/2 {
				for j := range d { // deltas of these were lost
					s := c.store[c.ids[j%2]]
					s.mu.Lock()
					s.join(fmt.Sprint("lost ", i, j), []uint64{1})
					s.mu.Unlock()
				}
			}
			time.Sleep(time.Millisecond)
		}
		c.untilAgreed(time.Second)
		time.Sleep(time.Second) // for what has not ended
		sent, rounds := 0, 0
		c.note(func() {
			for _, x := range c.exchanges {
				if x.Strategy != Deltas {
					sent += x.KeysSent + x.KeysReceived
					rounds++
				}
			}
		})
		t.Log(sent, "keys sent for", times*d, "that differed, by", rounds, "reconciliations beside 6,000 writes")
		require.GreaterOrEqual(t, sent, times*d)
		require.LessOrEqual(t, sent, times*d*105/100)
	})
}

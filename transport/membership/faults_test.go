package membership

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// Who cannot be reached for a moment is suspected, refutes that, and was alive all the time.
func TestSuspicionIsRefuted(t *testing.T) {
	t.Parallel()
	a, b, c := member(t, "a"), member(t, "b"), member(t, "c")
	var said, heard lockedBuffer
	a.Log = slog.New(slog.NewTextHandler(&said, nil))
	b.Log = slog.New(slog.NewTextHandler(&heard, nil))
	a.Pace.Suspicion = 100 // so that it has time to refute, however loaded the machine is
	b.Pace, c.Pace = a.Pace, a.Pace
	walls := []*wall{walled(a), walled(c)}
	join(t, []*runner{a, b, c})
	eventually(t, "b has come after its predecessors", func() bool { return heard.count("Refuting a suspect message") > 0 })
	before := heard.count("Refuting a suspect message")
	for _, w := range walls {
		w.set(true, b)
	}
	eventually(t, "b is suspected", func() bool { return said.contains("Suspect b has failed") })
	require.Equal(t, Alive, a.status("b"), "the suspected are alive")
	for _, w := range walls {
		w.set(false, b)
	}
	eventually(t, "b has refuted it", func() bool { return heard.count("Refuting a suspect message") > before })
	require.Equal(t, []Status{Alive}, a.heard("b"))
	require.Equal(t, []Status{Alive}, c.heard("b"))
	require.True(t, said.contains("level=INFO"))
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) contains(s string) bool { return l.count(s) > 0 }

func (l *lockedBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// Two sides that were apart for so long that each has given up the other find each other again.
func TestPartitionsHeal(t *testing.T) {
	t.Parallel()
	var all []*runner
	var walls []*wall
	for _, id := range []string{"a", "b", "c", "d"} {
		r := member(t, transport.NodeID(id))
		all, walls = append(all, r), append(walls, walled(r))
	}
	join(t, all)
	cut := func(yes bool) {
		for i, w := range walls {
			w.set(yes, all[(i/2*2+2)%4], all[(i/2*2+3)%4])
		}
	}
	cut(true)
	eventually(t, "all have given up two for long", func() bool {
		for _, r := range all {
			if r.Stats().Dead != 2 || time.Since(r.lastChange()) < 10*fast.Sync {
				return false
			}
		}
		return true
	})
	cut(false)
	eventually(t, "one cluster", func() bool {
		return len(all[0].Peers()) == 3 && len(all[1].Peers()) == 3 && len(all[2].Peers()) == 3 && len(all[3].Peers()) == 3
	})
}

// lastChange is when anything became what it is.
func (r *runner) lastChange() (last time.Time) {
	for _, m := range r.All() {
		if m.Since.After(last) {
			last = m.Since
		}
	}
	return last
}

// Keys are changed one after the other while there is traffic, and nobody is lost.
func TestRotation(t *testing.T) {
	all := joined(t, "a", "b", "c")
	next := bytes.Repeat([]byte{7}, 32)
	for _, keys := range [][][]byte{{key, next}, {next, key}, {next}} {
		for _, r := range all {
			require.NoError(t, r.Rotate(keys...))
		}
	}
	d := member(t, "d").start()
	require.Error(t, d.Join(t.Context(), all[0].gossip()), "the old key is of no use")
	require.NoError(t, d.Rotate(next))
	require.NoError(t, d.Join(t.Context(), all[0].gossip()))
	eventually(t, "all know all", func() bool { return len(d.Peers()) == 3 && len(all[2].Peers()) == 3 })

	require.ErrorIs(t, d.Rotate(), errNoKeys)
	require.ErrorIs(t, d.Rotate([]byte("short")), errKeySize)
	require.ErrorIs(t, (&Members{Plain: true}).Rotate(next), errTooMany)
}

// A rotation that was made before Run holds, and what is given is copied.
func TestRotatedBeforeRun(t *testing.T) {
	a, b := member(t, "a"), member(t, "b")
	given := bytes.Repeat([]byte{7}, 16)
	require.NoError(t, a.Rotate(given))
	require.NoError(t, b.Rotate(bytes.Clone(given)))
	clear(given)
	join(t, []*runner{a, b})
}

func TestPlainMembers(t *testing.T) {
	a, b := member(t, "a"), member(t, "b")
	for _, r := range []*runner{a, b} {
		r.Keys, r.Plain, r.Cluster = nil, true, ""
	}
	join(t, []*runner{a, b})
}

// What was begun ends: goroutines, and sockets.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	all := joined(t, "a", "b", "c")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = all[0].Join(ctx, all[1].gossip())
	for _, r := range all {
		at := r.gossip()
		r.kill()
		s, err := listen(t.Context(), at, "", newSeal(""), time.Second)
		require.NoError(t, err, "the ports are free again")
		require.NoError(t, s.Shutdown())
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before+1 }) // one asks
}

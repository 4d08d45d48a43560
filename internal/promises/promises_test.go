package promises

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/quorum/session"
	"github.com/eventual-go/eventual/transport"
)

// promises are the lines of the table.
var promises = []struct {
	name string
	of   func(w *world) promise
}{
	{"eventual", func(w *world) promise {
		q := w.nodes["a"].quorum
		return promise{w.write(q, quorum.One), read(q, quorum.ReadOptions{Level: quorum.One}), nil}
	}},
	{"durable", func(w *world) promise {
		q := w.nodes["a"].quorum
		return promise{w.write(q, quorum.Majority), read(q, quorum.ReadOptions{Level: quorum.One}), nil}
	}},
	{"session", func(w *world) promise {
		s := &session.Session{Quorum: w.nodes["a"].quorum}
		return promise{w.write(s, quorum.Majority), read(s, quorum.ReadOptions{Level: quorum.One}), nil}
	}},
	{"session, others write too", func(w *world) promise {
		s := &session.Session{Quorum: w.nodes["a"].quorum}
		return promise{w.write(s, quorum.Majority), read(s, quorum.ReadOptions{Level: quorum.One}), w.write(w.nodes["b"].quorum, quorum.Majority)}
	}},
	{"session, replica behind", func(w *world) promise {
		other, s := &session.Session{Quorum: w.nodes["b"].quorum}, &session.Session{Quorum: w.nodes["a"].quorum}
		return promise{w.write(s, quorum.Majority), read(s, quorum.ReadOptions{Level: quorum.One}), func(ctx context.Context) error {
			w.net.Cut("b", "a") // so that the replica at hand lacks what the client wrote elsewhere
			defer w.net.Restore("b", "a")
			defer s.Resume(other.Token())
			return w.write(other, quorum.Majority)(ctx)
		}}
	}},
	{"bounded staleness, time", func(w *world) promise {
		q := w.nodes["a"].quorum
		b := &session.Bound{Quorum: q, Self: "a", Within: bound, Age: w.age}
		return promise{w.write(q, quorum.Majority), func(ctx context.Context) error { _, err := b.Read(ctx, "key"); return err }, nil}
	}},
	{"bounded staleness, time, missed", func(w *world) promise {
		q := w.nodes["a"].quorum
		b := &session.Bound{Quorum: q, Self: "a", Within: time.Second, Age: func(string) (time.Duration, bool) { return time.Minute, true }}
		return promise{w.write(q, quorum.Majority), func(ctx context.Context) error { _, err := b.Read(ctx, "key"); return err }, nil}
	}},
	{"bounded staleness, versions", func(w *world) promise { return w.behind(64) }},
	{"bounded staleness, versions, used up", func(w *world) promise { return w.behind(1) }},
	{"monotonic", func(w *world) promise {
		q := w.nodes["a"].quorum
		return promise{w.write(q, quorum.Majority), read(q, quorum.ReadOptions{Level: quorum.Majority}), nil}
	}},
	{"monotonic, near replica behind", func(w *world) promise {
		q := w.nodes["a"].quorum
		write := w.write(q, quorum.Majority)
		return promise{write, read(q, quorum.ReadOptions{Level: quorum.Majority}), func(ctx context.Context) error {
			w.net.Cut("a", "b") // so that b lacks the last write
			defer w.net.Restore("a", "b")
			return write(ctx)
		}}
	}},
	{"if unchanged", func(w *world) promise { return w.revisions() }},
	{"linearizable, ordered states", func(w *world) promise {
		q := w.nodes["a"].quorum
		back := read(q, quorum.ReadOptions{Level: quorum.Majority, Repair: quorum.RepairWriteBack})
		write := w.write(q, quorum.Majority)
		return promise{func(ctx context.Context) error {
			if err := back(ctx); err != nil {
				return err
			}
			return write(ctx)
		}, back, nil}
	}},
	{"linearizable, compare-and-set", func(w *world) promise { return w.registers(false) }},
	{"linearizable, compare-and-set, ahead", func(w *world) promise { return w.registers(true) }},
	{"wait for all", func(w *world) promise {
		s := &session.Session{Quorum: w.nodes["a"].quorum}
		write := w.write(s, quorum.Majority)
		return promise{func(ctx context.Context) error {
			if err := write(ctx); err != nil {
				return err
			}
			_, err := s.Wait(ctx, "key", quorum.All)
			return err
		}, read(w.nodes["a"].quorum, quorum.ReadOptions{Level: quorum.One}), nil}
	}},
}

// behind has owners lack no more than so many writes.
func (w *world) behind(most int) promise {
	q := w.nodes["a"].quorum
	return promise{w.write(&session.VersionBound{Quorum: q, Most: most}, quorum.Majority), read(q, quorum.ReadOptions{Level: quorum.One}), nil}
}

// revisions writes on the condition that nothing was written since the last write, of which the client knows the revision.
func (w *world) revisions() promise {
	a := w.nodes["a"]
	r := &revision.Writer{Quorum: a.quorum, Join: a.store.Join}
	var last revision.Revision
	return promise{func(ctx context.Context) error {
		_, next, err := r.Write(ctx, "key", last, func([]byte) ([]byte, error) { return w.delta(), nil }, quorum.WriteOptions{})
		if err == nil {
			last = next
		}
		return err
	}, func(ctx context.Context) error {
		_, _, err := r.Read(ctx, "key")
		return err
	}, nil}
}

func (w *world) registers(ahead bool) promise {
	r := w.nodes["a"].registers
	r.Ahead = ahead
	return promise{func(ctx context.Context) error {
		_, err := r.Change(ctx, "key", func(caspaxos.Value) ([]byte, error) { return []byte("value"), nil })
		return err
	}, func(ctx context.Context) error {
		_, err := r.Read(ctx, "key")
		return err
	}, nil}
}

// A cost is what one kind of call takes where all is well, and whether it is answered where nodes are away.
type cost struct {
	took           time.Duration
	sent           uint64
	oneAway, alone answered
}

// answered says whether calls are answered where nodes are away: at first, and once the bound is over.
type answered struct{ first, later bool }

func (a answered) String() string {
	switch {
	case a.first && a.later:
		return "yes"
	case a.first:
		return "until the bound is over"
	}
	return "no"
}

func measure(t *testing.T, of func(w *world) promise) (write, read cost) {
	in(t, func(t *testing.T, w *world) {
		p := of(w)
		call := func(f func(context.Context) error) (c cost, err error) {
			time.Sleep(10 * time.Second) // what came before has ended
			sent, start := w.net.Stats().Sent, time.Now()
			err = f(t.Context())
			c.took = time.Since(start)
			time.Sleep(10 * time.Second)
			c.sent = w.net.Stats().Sent - sent
			return c, err
		}
		prepare := func() {
			if p.before != nil {
				require.NoError(t, p.before(t.Context()))
			}
		}
		for range 8 { // the first ones learn who is near
			var err error
			write, err = call(p.write)
			require.NoError(t, err)
			prepare()
			read, err = call(p.read)
			require.NoError(t, err)
		}
		away := func(ids ...transport.NodeID) (reads, writes answered) {
			prepare()
			w.part(ids...)
			defer w.heal()
			answer := func() (read, written bool) {
				_, readErr := call(p.read)
				_, writeErr := call(p.write)
				return readErr == nil, writeErr == nil
			}
			reads.first, writes.first = answer()
			time.Sleep(bound)
			reads.later, writes.later = answer()
			return reads, writes
		}
		read.oneAway, write.oneAway = away("c")
		read.alone, write.alone = away("a")
	})
	return write, read
}

func (c cost) String() string {
	return fmt.Sprintf("%d ms, %d | %v, %v", c.took.Milliseconds(), c.sent, c.oneAway, c.alone)
}

// The table that users choose by is what is measured, line by line.
func TestThePriceOfEachPromise(t *testing.T) {
	guide, err := os.ReadFile("../../quorum/README.md")
	require.NoError(t, err)
	var found []string
	for _, p := range promises {
		write, read := measure(t, p.of)
		found = append(found, fmt.Sprintf("| %s | %v | %v |", p.name, write, read))
	}
	table := strings.Join(found, "\n") + "\n"
	t.Logf("measured:\n%s", table)
	_, rest, _ := strings.Cut(string(guide), "|---|---|---|---|---|\n")
	told, _, _ := strings.Cut(rest, "\n\n")
	require.Equal(t, table, told+"\n")
}

package handoff

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// States are sets of bytes in ascending order. The byte '!' joins with nothing.
var errBad = errors.New("bad state")

func union(a, b []byte) ([]byte, error) {
	if bytes.ContainsRune(a, '!') || bytes.ContainsRune(b, '!') {
		return nil, errBad
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// sets is a replica of such states. It refuses the keys that refuse names.
type sets struct {
	mu     sync.Mutex
	values map[string]string
	merges int
	bytes  int
	refuse func(key string) error
}

func (s *sets) Merge(_ context.Context, key string, state []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if err := s.refuse(key); err != nil {
			return nil, err
		}
	}
	joined, err := union([]byte(s.values[key]), state)
	if err != nil {
		return nil, err
	}
	if s.values == nil {
		s.values = make(map[string]string)
	}
	s.values[key] = string(joined)
	s.merges++
	s.bytes += len(state)
	return nil, nil
}

func (s *sets) content() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

// rows is a Log in memory. It outlives the Handoff.
type rows struct {
	mu      sync.Mutex
	rows    map[string]string
	applies int
	before  func() error // before rows are applied
}

func (l *rows) Apply(all []Row) error {
	if l.before != nil {
		if err := l.before(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applies++
	l.put(all)
	return nil
}

func (l *rows) put(all []Row) {
	if l.rows == nil {
		l.rows = make(map[string]string)
	}
	for _, r := range all {
		if len(r.Value) == 0 {
			delete(l.rows, r.ID)
		} else {
			l.rows[r.ID] = string(r.Value)
		}
	}
}

func (l *rows) All() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for id, v := range l.rows {
			if !yield(Row{ID: id, Value: []byte(v)}, nil) {
				return
			}
		}
	}
}

// check fails unless the buffer agrees with itself, and with what a log should have.
func (b *Buffer) check(t require.TestingT, log *rows) {
	total, want := 0, map[string]string{}
	for id, tg := range b.targets {
		bytes, linked := 0, 0
		require.True(t, len(tg.hints) > 0 || tg.marks.has(overdue), "%s is known without a reason", id)
		for key, h := range tg.hints {
			require.Equal(t, key, h.key)
			require.Same(t, tg, h.target)
			bytes += h.cost()
			r := h.row()
			want[r.ID] = string(r.Value)
		}
		for h := tg.oldest; h != nil; h = h.newer {
			linked++
			require.Same(t, h, tg.hints[h.key])
			if h.newer != nil {
				require.False(t, h.newer.since.Before(h.since))
				require.Same(t, h, h.newer.older)
			} else {
				require.Same(t, h, tg.newest)
			}
		}
		require.Equal(t, len(tg.hints), linked)
		require.Equal(t, bytes, tg.bytes)
		total += bytes
		queued := map[*hint]int{}
		for _, h := range slices.Concat(tg.queue, tg.flight.hints) {
			if !h.gone() {
				queued[h]++
				require.Equal(t, 1, queued[h], "twice in the queue")
			}
		}
		require.Len(t, queued, len(tg.hints), "all are to be sent")
		if tg.marks != 0 {
			r := tg.row()
			want[r.ID] = string(r.Value)
		}
	}
	require.Equal(t, total, b.bytes)
	if log != nil {
		have := log.rows
		if have == nil {
			have = map[string]string{}
		}
		require.Equal(t, want, have)
	}
}

// serveAll serves a batch by a replica, as an Intake without bound does.
func serveAll(t require.TestingT, s *sets, batch Batch) []byte {
	i := Intake{Rate: -1}
	resp, err := i.Serve(epoch, "a", batch.Request, func(keys []string, states [][]byte) (errs []error) {
		for i := range keys {
			_, err := s.Merge(context.Background(), keys[i], states[i])
			errs = append(errs, err)
		}
		return errs
	})
	require.NoError(t, err)
	return resp
}

func mustKeep(t *testing.T, b *Buffer, to transport.NodeID, key, delta string) {
	t.Helper()
	require.NoError(t, b.Keep(to, key, []byte(delta)))
}

package session

import (
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// together has so many take turns at once: while the calls of one are under way, others call, also by the same sessions. Who
// goes on is the choice of the world's random numbers, so it replays.
func (w *world) together(turns, atOnce int) {
	w.overlaps = true
	for i := range w.clients {
		w.clients[i] = w.client()
	}
	var going []func() (struct{}, bool)
	for range atOnce {
		next, stop := iter.Pull(w.taking(&turns))
		defer stop()
		going = append(going, next)
	}
	for len(going) > 0 {
		i := w.random.IntN(len(going))
		if _, more := going[i](); !more {
			going = slices.Delete(going, i, i+1)
		}
	}
}

// taking takes turns, as long as there are any, and stops now and then for others.
func (w *world) taking(turns *int) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		pause := func() bool { return yield(struct{}{}) }
		for *turns > 0 {
			*turns--
			w.pause = pause
			w.turn()
		}
	}
}

// stop has others go on, now and then.
func (w *world) stop() {
	if pause := w.pause; pause != nil && w.chance(4) {
		pause()
		w.pause = pause
	}
}

// anywhere is a Quorum that asks another coordinator each time.
type anywhere struct{ w *world }

func (q anywhere) Read(ctx context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	return at{q.w, q.w.anyone()}.Read(ctx, key, o)
}

func (q anywhere) Write(ctx context.Context, key string, delta []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	return at{q.w, q.w.anyone()}.Write(ctx, key, delta, o)
}

// overlapping returns how many calls of sessions overlap another one of the same session to the same key.
func (h *history) overlapping() (n int) {
	for i, e := range h.events {
		if e.session >= 0 && slices.ContainsFunc(h.events[:i], func(o event) bool {
			return o.session == e.session && o.key == e.key && o.ended > e.began
		}) {
			n++
		}
	}
	return n
}

// overlapped is live, of calls that overlap.
func overlapped(t *testing.T, seed uint64, ring string, plain bool) (Guarantees, []string, *world) {
	w := newWorld(t, seed, rings[ring])
	w.guarantees, w.plain, w.lossy = Everything, plain, seed%2 == 1
	w.together(200, 6)
	violated, examples := w.history.check()
	return violated, examples, w
}

// Calls of one session that overlap promise nothing to one another, and all that had ended when another began is kept for it.
// The control: without sessions it is missed.
func TestSessionsWhoseCallsOverlap(t *testing.T) {
	overlapping, refused, done, missed := 0, 0, 0, Guarantees(0)
	for seed := range *seeds {
		for ring := range rings {
			violated, examples, w := overlapped(t, seed, ring, false)
			require.Zero(t, violated, "%s, seed %d: %v", ring, seed, examples)
			overlapping, refused, done = overlapping+w.history.overlapping(), refused+w.refused, done+w.done
		}
		violated, _, _ := overlapped(t, seed, "three", true)
		missed |= violated
	}
	t.Logf("%d of %d calls overlap others of their session, of the same key; %d were refused", overlapping, done, refused)
	require.Greater(t, 5*overlapping, done)
	require.Less(t, 4*refused, 3*done)
	require.Equal(t, Everything, missed, "the control")
}

// What a call ends with while another one asks is not taken for part of what that one found: neither by a read, nor by what is brought
// to a majority.
func TestWhatEndsMeanwhileIsKept(t *testing.T) {
	for name, call := range map[string]func(*Session) error{
		"read": func(s *Session) error { _, err := s.Read(t.Context(), "k", one); return err },
		"brought": func(s *Session) error {
			_, err := s.Write(t.Context(), "l", []byte{2}, writes(quorum.Majority))
			return err
		},
		"wait": func(s *Session) error { _, err := s.Wait(t.Context(), "k", quorum.Two); return err },
	} {
		t.Run(name, func(t *testing.T) {
			q := answering("x", "y")
			s := &Session{Quorum: q, AtOnce: 1}
			noted(&s.token, "k", wrote|read, held(0, false, "a"))
			answer := q.read
			q.read = func(o quorum.ReadOptions) (quorum.ReadResult, error) {
				if len(q.reads) == 1 {
					s.note("k", []byte{9}, &piece{of: wrote | read, held: held(0, false, "late")}, nil) // as a Write does
				}
				return answer(o)
			}
			require.NoError(t, call(s))
			require.True(t, slices.ContainsFunc(s.seen("k", wrote), func(p *piece) bool {
				return slices.Equal(p.held.Nodes, []nodeID{"late"})
			}))
		})
	}
}

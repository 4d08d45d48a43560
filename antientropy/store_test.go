package antientropy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/eventual-go/eventual/merkle"
	"github.com/stretchr/testify/require"
)

var secret = []byte("a secret of the tests")

// sets is a Store of sets of numbers by key. A state is its numbers, ascending, in
// 8 bytes each.
type sets struct {
	mu     sync.Mutex
	keys   map[string][]uint64
	index  *merkle.Tree
	merges int
	loads  int
	feed   chan change

	refuse func(key string) error         // by Merge
	broken func(key string) error         // by Load
	onLoad func(s *sets, key string)      // before Load looks
	onNews func(key string, novel []byte) // after Merge
}

type change struct {
	key   string
	delta []byte
}

var errRefused = errors.New("refused by the test")

func newSets() *sets {
	return &sets{
		keys:  make(map[string][]uint64),
		index: merkle.New(merkle.NewHasher(secret)),
	}
}

// newFed has its local updates followed, up to many at once.
func newFed() *sets {
	s := newSets()
	s.feed = make(chan change, 1<<12)
	return s
}

func encodeSet(elements ...uint64) []byte {
	var b []byte
	for _, e := range elements {
		b = binary.BigEndian.AppendUint64(b, e)
	}
	return b
}

func decodeSet(b []byte) ([]uint64, error) {
	if len(b)%8 != 0 {
		return nil, fmt.Errorf("%d bytes are not a set", len(b))
	}
	var elements []uint64
	for ; len(b) > 0; b = b[8:] {
		e := binary.BigEndian.Uint64(b)
		if n := len(elements); n > 0 && elements[n-1] >= e {
			return nil, errors.New("not ascending")
		}
		elements = append(elements, e)
	}
	return elements, nil
}

// add is a local update.
func (s *sets) add(key string, elements ...uint64) []byte {
	slices.Sort(elements)
	delta := encodeSet(slices.Compact(elements)...)
	s.mu.Lock()
	novel := s.join(key, elements)
	s.mu.Unlock()
	if len(novel) > 0 && s.feed != nil {
		s.feed <- change{key, delta}
	}
	return delta
}

func (s *sets) join(key string, elements []uint64) (novel []uint64) {
	for _, e := range elements {
		if i, found := slices.BinarySearch(s.keys[key], e); !found {
			s.keys[key] = slices.Insert(s.keys[key], i, e)
			novel = append(novel, e)
		}
	}
	if len(novel) > 0 {
		s.index.Set(key, s.index.Hasher().Sum(encodeSet(s.keys[key]...)))
	}
	return novel
}

func (s *sets) Index() *merkle.Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.Snapshot()
}

func (s *sets) Load(ctx context.Context, key string) ([]byte, error) {
	if s.onLoad != nil {
		s.onLoad(s, key)
	}
	if s.broken != nil {
		if err := s.broken(key); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return encodeSet(s.keys[key]...), ctx.Err()
}

func (s *sets) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.refuse != nil {
		if err := s.refuse(key); err != nil {
			return nil, err
		}
	}
	elements, err := decodeSet(state)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.merges++
	novel := encodeSet(s.join(key, elements)...)
	s.mu.Unlock()
	if s.onNews != nil && len(novel) > 0 {
		s.onNews(key, novel)
	}
	return novel, nil
}

func (s *sets) Updates(ctx context.Context) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-s.feed:
				if !yield(c.key, c.delta) {
					return
				}
			}
		}
	}
}

func (s *sets) root() merkle.Fingerprint { return s.Index().Root() }

func (s *sets) content() map[string][]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.keys)
}

func (s *sets) get(key string) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys[key])
}

// share gives both something: an empty store is sent all that there is.
func share(a, b *sets) {
	a.add("both have it", 1)
	b.add("both have it", 1)
}

// plain hides the optional method.
type plain struct{ Store }

// run drives a round against a responder, and hands each message to watch.
func run(t testing.TB, round *Round, s *Responder, limit int) Exchange {
	t.Helper()
	require.NoError(t, tryRun(t, round, s, limit))
	return round.Result()
}

func tryRun(t testing.TB, round *Round, s *Responder, limit int) error {
	t.Helper()
	for {
		method, req, more := round.Next()
		if !more {
			return nil
		}
		require.LessOrEqual(t, len(req), limit, method)
		resp, err := s.ServeCall(context.Background(), "initiator", method, slices.Clone(req))
		if err != nil {
			return err
		}
		require.LessOrEqual(t, len(resp), limit, method)
		if err := round.Step(context.Background(), resp); err != nil {
			return err
		}
	}
}

// refusals collects what was refused.
type refusals struct {
	mu  sync.Mutex
	all []Refused
}

func (r *refusals) add(x Refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, x)
}

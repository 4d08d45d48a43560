package caspaxos

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
)

// A wired is nodes whose calls are requests to handlers, at once.
type wired map[node]*Registers

func (w wired) Call(ctx context.Context, to node, method string, req []byte) ([]byte, error) {
	return w[to].Handler().ServeCall(ctx, "", method, req)
}

func wire3() (w wired, held map[node]*shelf) {
	w, held = wired{}, map[node]*shelf{}
	for _, id := range []node{"a", "b", "c"} {
		held[id] = &shelf{states: map[string][]byte{}}
		w[id] = &Registers{Self: id, Local: locked{held[id]}, Kinds: kinds, Ring: quorum.Everywhere{"a", "b", "c"}, Caller: w}
	}
	return w, held
}

// One message, or many, with ballots from far away: keys go on, each and all.
func TestBallotsDoNotComeToAnEnd(t *testing.T) {
	w, _ := wire3()
	ctx := t.Context()
	v, err := w["a"].Create(ctx, "any", []byte("1"))
	require.NoError(t, err)
	hostile := func(at node, counter uint64) uint8 {
		q := request{ask: askPrepare, key: "any", ballot: Ballot{counter, 1<<64 - 1}}
		resp, err := w[at].Handler().ServeCall(ctx, "evil", Method, q.encode())
		require.NoError(t, err)
		p, err := decodeReply(resp)
		require.NoError(t, err)
		return p.said
	}
	require.Equal(t, uint8(saidFar), hostile("a", maxCounter-1))
	rec := (&record{}).with(nil, Ballot{9, 9})
	q := request{ask: askAccept, key: "any", ballot: Ballot{9, 9}, ahead: maxCounter - 1, record: rec.encode()}
	resp, err := w["a"].Handler().ServeCall(ctx, "evil", Method, q.encode())
	require.NoError(t, err)
	p, err := decodeReply(resp)
	require.NoError(t, err)
	require.Equal(t, uint8(saidFar), p.said)
	v, err = w["a"].CompareAndSet(ctx, "any", v.Version, []byte("2"))
	require.NoError(t, err)

	for n := range uint64(5) {
		require.Equal(t, uint8(saidYes), hostile("a", (n+1)*reach))
	}
	for _, id := range []node{"a", "b", "c"} {
		v, err = w[id].CompareAndSet(ctx, "any", v.Version, []byte("3"))
		require.NoError(t, err, "a majority has not been misled")
		_, err = w[id].Create(ctx, "another of "+string(id), nil)
		require.NoError(t, err)
	}
	require.Less(t, v.Version.Counter, uint64(1000))
}

func TestValuesAreBounded(t *testing.T) { synctest.Test(t, boundValues) }

func boundValues(t *testing.T) {
	w, held := wire3()
	ctx := t.Context()
	for _, r := range w {
		r.MaxValue = 100
	}
	fits, large := make([]byte, 100), make([]byte, 101)
	v, err := w["a"].Create(ctx, "k", fits)
	require.NoError(t, err)
	_, err = w["a"].CompareAndSet(ctx, "k", v.Version, large)
	require.Equal(t, &TooLargeError{Key: "k", Size: 101, Limit: 100}, err)
	require.EqualError(t, err, `caspaxos: a value of "k" has 101 bytes, more than 100`)
	_, err = w["a"].Create(ctx, "new", large)
	require.Error(t, err)
	synctest.Wait() // for what is still told to the last acceptor
	require.Empty(t, held["a"].states[Prefix+"new"])
	_, err = w["a"].Change(ctx, "k", func(v Value) ([]byte, error) { return append(v.Data, 1), nil })
	tooLarge, ok := errors.AsType[*TooLargeError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 101, tooLarge.Size)

	synctest.Wait()
	w["a"].MaxValue = 1000
	for _, id := range []node{"b", "c"} {
		w[id].MaxValue = 10
	}
	_, err = w["a"].CompareAndSet(ctx, "k", v.Version, make([]byte, 10+maxVersions+1))
	require.Error(t, err, "acceptors refuse more by themselves")
	unknown, ok := errors.AsType[*UnknownError](err)
	require.True(t, ok)
	require.ErrorContains(t, unknown.Err, "more than 10")
}

// What changes nothing leaves nothing behind of keys that never were, and writes nothing to those that are.
func TestWhatChangesNothingWritesNothing(t *testing.T) { synctest.Test(t, changeNothing) }

func changeNothing(t *testing.T) {
	w, held := wire3()
	ctx := t.Context()
	_, err := w["a"].CompareAndSet(ctx, "never", Ballot{1, 1}, []byte("x"))
	conflict, ok := errors.AsType[*ConflictError](err)
	require.True(t, ok, "%v", err)
	require.False(t, conflict.Current.Found)
	_, err = w["a"].Change(ctx, "never", func(Value) ([]byte, error) { return nil, errDown })
	require.Equal(t, errDown, err)
	synctest.Wait()
	for _, s := range held {
		require.Empty(t, s.states)
	}
	one, err := w["a"].Create(ctx, "k", []byte("1"))
	require.NoError(t, err)
	synctest.Wait()
	before := string(held["b"].states[Prefix+"k"])
	_, err = w["b"].Create(ctx, "k", []byte("2"))
	conflict, ok = errors.AsType[*ConflictError](err)
	require.True(t, ok)
	require.Equal(t, one, conflict.Current)
	_, err = w["b"].CompareAndSet(ctx, "k", Ballot{}, []byte("2"))
	require.Error(t, err)
	synctest.Wait()
	require.Equal(t, before, string(held["b"].states[Prefix+"k"]))
	v, err := w["c"].Change(ctx, "fresh", func(v Value) ([]byte, error) { return append(v.Data, 'x'), nil })
	require.NoError(t, err)
	require.Equal(t, "x", string(v.Data))
}

// locked is a shelf for several goroutines.
type locked struct{ *shelf }

var shelves sync.Mutex

func (l locked) Load(ctx context.Context, key string) ([]byte, error) {
	shelves.Lock()
	defer shelves.Unlock()
	return l.shelf.Load(ctx, key)
}

func (l locked) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	shelves.Lock()
	defer shelves.Unlock()
	return l.shelf.Merge(ctx, key, state)
}

package caspaxos

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func wanting(all ...decide) *fold {
	f := new(fold)
	for _, d := range all {
		f.members = append(f.members, &member{wish: wish{decide: d}, done: make(chan struct{})})
	}
	return f
}

func adding(text string) decide {
	return func(v Value) ([]byte, bool, error) { return append(v.Data, text...), true, nil }
}

// Each change sees what the one before has made, and has a version of its own, above all before.
func TestFoldedChangesFollowOneAnother(t *testing.T) {
	refuse := func(Value) ([]byte, bool, error) { return nil, false, errDown }
	f := wanting(adding("a"), refuse, adding("b"), read, adding("c"))
	old := Value{Data: []byte("x"), Found: true, Version: Ballot{3, 9}}
	d := f.decide(old, Ballot{10, 1})
	require.True(t, d.write)
	require.Equal(t, "xabc", string(d.data))
	require.Equal(t, Ballot{8, 1}, d.version)
	require.Equal(t, Value{[]byte("xa"), true, Ballot{6, 1}}, d.results[0].value)
	require.Equal(t, result{value: d.results[0].value, err: errDown}, d.results[1])
	require.Equal(t, Value{[]byte("xab"), true, Ballot{7, 1}}, d.results[3].value)
	require.Equal(t, []Ballot{{6, 1}, {8, 1}}, f.members[0].versions, "by either it shows that it was made")
	require.Empty(t, f.members[1].versions)
	require.Equal(t, []Ballot{{8, 1}}, f.members[4].versions)
}

// There are no more changes than versions between what is held and the ballot: the others wait.
func TestFoldsAreOfAsManyAsThereAreVersions(t *testing.T) {
	f := wanting(adding("a"), adding("b"), adding("c"))
	d := f.decide(Value{Version: Ballot{8, 9}}, Ballot{10, 1})
	require.Equal(t, "ab", string(d.data))
	require.Equal(t, Ballot{10, 1}, d.version)
	require.True(t, d.results[2].later)
	d = f.decide(Value{Version: Ballot{10, 0}}, Ballot{10, 1})
	require.Equal(t, "a", string(d.data))
	require.Equal(t, Ballot{10, 1}, d.version)
	require.True(t, d.results[1].later)
}

// Who does not wait any more is left out, and a question changes nothing.
func TestFoldsLeaveOutWhoHasLeft(t *testing.T) {
	f := wanting(adding("a"), adding("b"))
	require.True(t, f.decide(Value{}, Ballot{}).write)
	versions, over := f.members[0].leave()
	require.Empty(t, versions)
	require.False(t, over)
	d := f.decide(Value{}, Ballot{10, 1})
	require.Equal(t, "b", string(d.data))
}

// A function that panics does so where it was called for, and others go on.
func TestPanicsAreTheCallers(t *testing.T) {
	f := wanting(func(Value) ([]byte, bool, error) { panic("mine") }, adding("b"))
	d := f.decide(Value{}, Ballot{10, 1})
	require.Equal(t, "b", string(d.data))
	require.PanicsWithValue(t, "mine", func() { _, _ = d.results[0].answer() })

	w, _ := wire3()
	require.PanicsWithValue(t, "mine", func() {
		_, _ = w["a"].Change(t.Context(), "k", func(Value) ([]byte, error) { panic("mine") })
	})
	_, err := w["a"].Create(t.Context(), "k", nil)
	require.NoError(t, err, "nobody waits for it")
}

// gated is a Caller that lets nothing through before its gate is closed.
type gated struct {
	wired
	gate chan struct{}
}

func (g gated) Call(ctx context.Context, to node, method string, req []byte) ([]byte, error) {
	<-g.gate
	return g.wired.Call(ctx, to, method, req)
}

// Of changes that are made together one caller leaves: it does not know, the others do.
func TestWhoLeavesDoesNotHarmTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := wire3()
		gate := make(chan struct{})
		w["a"].Caller = gated{w, gate}
		results := make(chan error, 3)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, err := w["a"].Create(t.Context(), "k", nil); results <- err }()
		synctest.Wait()
		gone := make(chan error, 1)
		go func() {
			_, err := w["a"].Change(ctx, "k", func(v Value) ([]byte, error) { return append(v.Data, '1'), nil })
			gone <- err
		}()
		for range 2 {
			go func() {
				_, err := w["a"].Change(t.Context(), "k", func(v Value) ([]byte, error) { return append(v.Data, '2'), nil })
				results <- err
			}()
		}
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, <-gone, "it was not proposed")
		close(gate)
		for range 3 {
			require.NoError(t, <-results)
		}
		time.Sleep(time.Second)
		v, err := w["a"].Read(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "22", string(v.Data))
		w["a"].lines.mu.Lock()
		require.Empty(t, w["a"].lines.byKey)
		w["a"].lines.mu.Unlock()
		time.Sleep(time.Minute)
	})
}

package ring

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/transport"
)

func TestGoldenMessages(t *testing.T) {
	s := State{Epoch: 300, Fingerprint: Fingerprint{1, 2, 3}, Done: true}
	require.Equal(t, "9401cd012cc41001020300000000000000000000000000c3", hex.EncodeToString(appendRequest(nil, s)))
	require.Equal(t, "9501cd012cc41001020300000000000000000000000000c3c400", hex.EncodeToString(appendResponse(nil, s, nil, 0)))
	require.Equal(t, "9401"+"00"+"c41000000000000000000000000000000000"+"c2", hex.EncodeToString(appendRequest(nil, State{})))

	r := goldenRings(t)["changing"]
	tr := &Transition{Self: "d"}
	require.NoError(t, tr.Heard("a", State{}, r, func([]byte) error { return nil }))
	got, ring, err := parseResponse(appendResponse(nil, tr.State(), r, 1))
	require.NoError(t, err)
	require.Equal(t, tr.State(), got)
	require.Equal(t, r.Fingerprint(), ring.Fingerprint())
	_, ring, err = parseResponse(appendResponse(nil, tr.State(), r, 2))
	require.NoError(t, err)
	require.Nil(t, ring, "it is not newer")
}

func TestMessagesAreRefused(t *testing.T) {
	w := wire.NewWriter(nil)
	w.Array(2)
	w.Uint(messageVersion + 1)
	w.Nil()
	_, err := parseRequest(w.Done())
	require.ErrorIs(t, err, ErrVersion)
	_, _, err = parseResponse(appendRequest(nil, State{}))
	var e *CorruptError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "response", e.What)
	r := goldenRings(t)["settled"]
	_, _, err = parseResponse(appendResponse(nil, State{Epoch: 5}, r, 0))
	require.ErrorAs(t, err, &e)
	_, err = new(Keeper).Handler().ServeCall(t.Context(), "x", "ring/other", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
}

func TestSavedStates(t *testing.T) {
	tr := &Transition{Self: "a"}
	require.Nil(t, tr.Saved())
	keep := func([]byte) error { return nil }
	r := newRing(t, 8, 1, fleet(3, 1))
	tr.Self = "n0000"
	require.NoError(t, tr.Adopt(r, keep))
	require.NoError(t, tr.Heard("x", State{}, changed(t, r, fleet(3, 1)[1:], 0), keep))
	require.NotEmpty(t, tr.owed)
	again := &Transition{Self: "n0000"}
	require.NoError(t, again.Restore(tr.Saved()))
	require.Equal(t, tr.Saved(), again.Saved())
	require.Equal(t, tr.State(), again.State())

	tr.owed = []int{8}
	var e *CorruptError
	require.ErrorAs(t, again.Restore(tr.Saved()), &e)
	tr.owed = []int{2, 1}
	require.ErrorAs(t, again.Restore(tr.Saved()), &e)
	require.ErrorAs(t, again.Restore(nil), &e)
}

func FuzzMessages(f *testing.F) {
	r := goldenRings(f)["changing"]
	s := State{Epoch: 2, Fingerprint: r.Fingerprint()}
	f.Add(appendRequest(nil, s))
	f.Add(appendResponse(nil, s, r, 0))
	tr := &Transition{Self: "a", ring: r, owed: []int{1, 3}}
	f.Add(tr.Saved())
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseRequest(data); err == nil {
			require.Equal(t, data, appendRequest(nil, s))
		}
		if s, r, err := parseResponse(data); err == nil {
			require.Equal(t, data, appendResponse(nil, s, r, 0))
		}
		tr := &Transition{Self: "a"}
		if tr.Restore(data) == nil {
			require.Equal(t, data, tr.Saved())
			tr.Begin(5, func(transport.NodeID) bool { return true })
			tr.Ask()
		}
	})
}

package handoff

import (
	"bytes"
	"encoding/hex"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// These bytes are what other programs of this version read and write.
func TestGolden(t *testing.T) {
	q := replay{least: 300, want: 70_000, hints: []entry{{"cart", []byte{1, 2}}, {"\xff", nil}}}
	h := &hint{target: &target{id: "b", marks: allMarks}, key: "cart", state: []byte{1, 2}, since: time.UnixMilli(1_900_000_000_000)}
	a := answer{taken: 3, refusals: []refusal{{1, "no"}, {2, ""}}}
	rows := []struct {
		name string
		got  []byte
		want string
	}{
		{"request", q.encode(), "9401cd012cce0001117094a463617274c4020102c401ffc400"},
		{"empty request", new(replay).encode(), "9401000090"},
		{"response", a.encode(epoch, turn{epoch.Add(1500 * time.Microsecond), 16384}), "9501039401a26e6f02a002cd4000"},
		{"ID of a hint", []byte(h.id()), "92a162a463617274"},
		{"ID of marks", []byte(h.target.markID()), "91a162"},
		{"hint", h.row().Value, "9301cf000001ba60d33800c4020102"},
		{"marks", h.target.row().Value, "920103"},
	}
	for _, r := range rows {
		require.Equal(t, r.want, hex.EncodeToString(r.got), r.name)
	}
	back, err := decodeReplay(q.encode())
	require.NoError(t, err)
	require.Equal(t, q.encode(), back.encode())
	got, err := decodeAnswer(a.encode(epoch, turn{epoch.Add(1500 * time.Microsecond), 16384}), 3)
	require.NoError(t, err)
	require.Equal(t, answer{3, []refusal{{1, "no"}, {2, ""}}, 2 * time.Millisecond, 16384}, got)
}

func TestBadMessages(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                 "",
		"another length":          "93010000",
		"key without a state":     "9401000091a161",
		"more behind":             "940100009000",
		"number out of range":     "9401cf00000001000000000090",
		"version nought":          "9400000090",
		"state that is no binary": "9401000092a161a162",
	} {
		b, err := hex.DecodeString(text)
		require.NoError(t, err, name)
		_, err = decodeReplay(b)
		require.IsType(t, &CorruptError{}, err, name)
	}
	for name, text := range map[string]string{
		"more taken than sent":     "950103900000",
		"refusal of none":          "9501019201a00000",
		"refusals out of order":    "9501029401a000a00000",
		"refusal twice":            "9501029400a000a00000",
		"refusal without a reason": "95010191000000",
	} {
		b, err := hex.DecodeString(text)
		require.NoError(t, err, name)
		_, err = decodeAnswer(b, 2)
		require.IsType(t, &CorruptError{}, err, name)
	}
	_, err := decodeReplay([]byte{0x92, 2, 0})
	require.ErrorIs(t, err, ErrVersion)
	_, err = decodeAnswer([]byte{0x91, 2}, 0)
	require.ErrorIs(t, err, ErrVersion)
	b := new(Buffer)
	require.ErrorIs(t, b.load(Row{ID: "\x91\xa1b", Value: []byte{0x92, 2, 0}}), ErrVersion)
	require.IsType(t, &CorruptError{}, b.load(Row{ID: "\x93\xa1b\xa1b\xa1b", Value: []byte{0x92, 1, 0}}))
}

// A response that tells of many refusals is not larger than the request was.
func TestRefusalsFitIntoAResponse(t *testing.T) {
	q := replay{hints: make([]entry, 60_000)}
	for i := range q.hints {
		q.hints[i] = entry{"12345678", make([]byte, 8)}
	}
	a := q.outcome(nil)
	require.Len(t, a.refusals, 60_000, "a replica that says nothing has merged nothing")
	require.Less(t, len(a.encode(epoch, turn{})), len(q.encode()))
}

// A target that answers anything cannot have a hint lost, nor sent to no end.
func FuzzAcked(f *testing.F) {
	a := answer{taken: 2, refusals: []refusal{{1, "no"}}}
	f.Add(a.encode(epoch, turn{epoch.Add(time.Second), 100}))
	f.Add([]byte{0x95, 1, 0, 0x90, 0, 0})
	f.Fuzz(func(t *testing.T, resp []byte) {
		b := &Buffer{Join: union}
		b.Tick(epoch)
		for _, key := range []string{"1", "2", "3"} {
			mustKeep(t, b, "b", key, "x")
		}
		for range 200 {
			batch, ok := b.Batch("b")
			if !ok {
				_, next := b.Ready()
				if next.IsZero() {
					break
				}
				b.Tick(later(next, b.now.Add(time.Millisecond)))
				continue
			}
			_, _ = b.Acked("b", batch.ID, resp)
			b.check(t, nil)
		}
		s := b.Stats()
		require.EqualValues(t, 3, uint64(s.Hints)+s.Replayed+s.Dropped[Refused]+s.Dropped[TooLarge]+s.Dropped[TooOld])
	})
}

// Whatever is asked costs what it weighs, and what decodes is written the same.
func FuzzReplay(f *testing.F) {
	q := replay{least: 1, want: 2, hints: []entry{{"k", []byte("x")}, {"l", nil}}}
	f.Add(q.encode())
	f.Add([]byte{0x94, 1, 0, 0, 0xdd, 0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, req []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		back, err := decodeReplay(req)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(75*len(req)+64<<10))
		if err == nil {
			require.True(t, bytes.Equal(req, back.encode()))
		}
		var i Intake
		_, served := i.Serve(epoch, "a", req, func(keys []string, _ [][]byte) []error { return make([]error, len(keys)) })
		require.Equal(t, err, served)
	})
}

func FuzzRow(f *testing.F) {
	h := &hint{target: &target{id: "b"}, key: "k", state: []byte("x"), since: epoch}
	f.Add(h.id(), h.row().Value)
	f.Add(h.target.markID(), h.target.row().Value)
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		b := &Buffer{Join: union}
		b.Tick(epoch)
		if err := b.load(Row{ID: id, Value: value}); err != nil {
			return
		}
		for _, id := range b.ids() {
			b.targets[id].arrange()
		}
		b.Tick(epoch.Add(time.Hour))
	})
}

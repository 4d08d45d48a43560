package ring

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/internal/wire"
)

func goldenRings(t testing.TB) map[string]*Ring {
	members := []Member{{"a", "x", 1}, {"b", "y", 1}, {"c", "", 2.5}}
	r := newRing(t, 4, 2, members)
	return map[string]*Ring{"settled": r, "changing": change(t, r, append(members, Member{"d", "x", 0}), 0)}
}

// The vectors are of version 1 of the encoding, and of the assignment: they only change if one of
// these does.
var golden = map[string]string{
	"changing": "95010292029493a161a178cb3ff000000000000093a162a179cb3ff000000000000093a163a0cb400400000000000093a164a178cb3ff000000000000092029393a161a178cb3ff000000000000093a162a179cb3ff000000000000093a163a0cb4004000000000000949301920002909301920002909301920102909302920102920203",
	"settled":  "95010192029393a161a178cb3ff000000000000093a162a179cb3ff000000000000093a163a0cb4004000000000000c094930192000290930192000290930192010290930192010290",
}

func TestGoldenRings(t *testing.T) {
	for name, r := range goldenRings(t) {
		b, err := r.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, golden[name], hex.EncodeToString(b), name)
		requireRoundTrip(t, r)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := goldenRings(t)["changing"]
	for name, spoil := range map[string]func(r *Ring){
		"epoch 0":         func(r *Ring) { r.epoch = 0 },
		"epoch too high":  func(r *Ring) { r.epoch = maxEpoch + 2 },
		"epoch even":      func(r *Ring) { r.epoch = 3 },
		"version ahead":   func(r *Ring) { r.parts[0].version = 9 },
		"version 0":       func(r *Ring) { r.parts[0].version = 0 },
		"too few":         func(r *Ring) { r.parts[0].owners = r.parts[0].owners[:1] },
		"out of order":    func(r *Ring) { slices.Reverse(r.parts[0].owners) },
		"unknown":         func(r *Ring) { r.parts[0].owners[1] = 7 },
		"not a member":    func(r *Ring) { r.parts[0].owners[1] = 3 },
		"partitions":      func(r *Ring) { r.parts = r.parts[:3] },
		"no partitions":   func(r *Ring) { r.parts = nil },
		"members swapped": func(r *Ring) { slices.Reverse(r.now.members) },
		"no members":      func(r *Ring) { r.now.members = nil },
		"no weight":       func(r *Ring) { r.now.members[0].Weight = 0 },
		"replicas":        func(r *Ring) { r.now.replicas = 65 },
		"next is same":    func(r *Ring) { r.parts[0].next, r.parts[0].version = r.parts[0].owners, 2 },
	} {
		b, _ := good.AppendBinary(nil)
		r, err := Decode(b)
		require.NoError(t, err)
		spoil(r)
		_, err = Decode(r.encode(nil))
		var e *CorruptError
		require.ErrorAs(t, err, &e, name)
	}
	w := wire.NewWriter(nil)
	w.Array(1)
	w.Uint(formatVersion + 1)
	_, err := Decode(w.Done())
	require.ErrorIs(t, err, ErrVersion)
}

func FuzzDecode(f *testing.F) {
	for _, r := range goldenRings(f) {
		b, _ := r.AppendBinary(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		again, _ := r.AppendBinary(nil)
		require.Equal(t, data, again)
		if r.Changing() {
			settle(t, r)
			return
		}
		for p := range r.Partitions() {
			require.NotEmpty(t, r.At(p).Owners)
		}
	})
}

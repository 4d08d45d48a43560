package vclock

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyID draws ids of every form, with emphasis on those that almost have another form.
func anyID() *rapid.Generator[ReplicaID] {
	raw := rapid.Custom(func(t *rapid.T) ReplicaID {
		return ReplicaIDFrom([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "raw")))
	})
	nasty := rapid.Custom(func(t *rapid.T) ReplicaID {
		alphabet := []byte("a-0 \x00\x7f\x80\xbf\xc3\xf0\xff")
		return ReplicaIDFrom([16]byte(rapid.SliceOfN(rapid.SampledFrom(alphabet), 16, 16).Draw(t, "nasty")))
	})
	padded := rapid.Map(nasty, func(r ReplicaID) ReplicaID { return ReplicaID{r.hi &^ (1<<(r.lo%65) - 1), r.lo} })
	low := rapid.Map(rapid.Uint64(), func(n uint64) ReplicaID { return ReplicaID{lo: n} })
	named := rapid.Map(anyName(), Named)
	fresh := rapid.Map(anyName(), NewReplicaID)
	return rapid.OneOf(raw, nasty, padded, low, named, fresh)
}

func anyName() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[a-z]{1,6}-[0-9a-f]{4,32}`),
		rapid.StringMatching(`[0-9a-f]{16,32}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
	)
}

func TestReplicaTextIsDistinctAndParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := anyID().Draw(t, "id")
		text, err := id.MarshalText()
		require.NoError(t, err)
		require.Equal(t, id.String(), string(text))
		appended, err := id.AppendText([]byte("to "))
		require.NoError(t, err)
		require.Equal(t, "to "+id.String(), string(appended))
		var back ReplicaID
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, id, back, "two ids with one text cannot both read back")
	})
}

func TestReplicaOrderIsByteOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyID().Draw(t, "a"), anyID().Draw(t, "b")
		x, y := a.Bytes(), b.Bytes()
		require.Equal(t, bytes.Compare(x[:], y[:]), a.Compare(b))
		require.Equal(t, a.Compare(b) < 0, a.less(b))
		require.Equal(t, a, ReplicaIDFrom(x))
	})
}

func TestNamedTellsNamesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyName().Draw(t, "a"), anyName().Draw(t, "b")
		require.Equal(t, a == b, Named(a) == Named(b))
		require.NotEqual(t, Named(a), NewReplicaID(a))
	})
}

// Ids of names are for all time: only ever append here.
func TestReplicaText(t *testing.T) {
	for name, want := range map[string]string{
		"":                               "",
		"paris":                          "paris",
		"10.0.0.1:7000":                  "10.0.0.1:7000",
		"münchen":                        "münchen",
		"東京":                             "東京",
		"exactly-16-bytes":               "exactly-16-bytes",
		"a b":                            "61206200000000000000000000000000",
		"exactly-17-bytes!":              "exactl-aaf04472e2f09f74dcd5",
		"paris-9f3ac0e1d27b5a4c8e61":     "paris-bdae3e4551e2f57b2dbc",
		"sträßchen in münchen":           "strä-9abfeac29da59eed178f",
		" no readable prefix, all hash ": "9645af6bdd06f205111857075b0fc15b",
		"a\x00":                          "a-bfe9aaeaa2a2d5048174",
		"a\x00\x00":                      "a-aa6fde9e840d240a4f5d",
		"\xff":                           "a8100ae6aa1940d0b663bb31cd466142",
	} {
		require.Equal(t, want, Named(name).String())
	}
}

func TestReplicaTextRefused(t *testing.T) {
	for _, text := range []string{
		"a\x00", "\xff", "no form has 21 bytes!", "-9f3ac0e1d27b5a4c8e61", "paris-9f3ac0e1d27b5a4c8e6g",
		"sevenby-9f3ac0e1d27b5a4c8e61", "pa\xffis-9f3ac0e1d27b5a4c8e61", "paris+9f3ac0e1d27b5a4c8e61",
		strings.Repeat("g", 32), strings.Repeat("0", 33), strings.Repeat("a", 1000),
	} {
		id := Named("before")
		require.Error(t, id.UnmarshalText([]byte(text)), "%q", text)
		require.Equal(t, Named("before"), id)
	}
}

func TestNewReplicaIDKeepsPrefix(t *testing.T) {
	for prefix, want := range map[string]string{
		"paris": "paris-", "replica": "replic-", "new york": "new-", "münchen": "münch-", "東京": "東京-", "東京都": "東京-",
	} {
		got := NewReplicaID(prefix).String()
		require.True(t, strings.HasPrefix(got, want) && len(got) == len(want)+20, got)
	}
	for _, prefix := range []string{"", " x", "\xff"} {
		require.Len(t, NewReplicaID(prefix).String(), 32)
	}
	seen := make(map[ReplicaID]bool)
	for range 10_000 {
		seen[NewReplicaID("paris")] = true
	}
	require.Len(t, seen, 10_000)
}

func TestReplicaIDAsJSONKey(t *testing.T) {
	in := map[ReplicaID]int{Named("paris"): 1, NewReplicaID("tokyo"): 2}
	data, err := json.Marshal(in)
	require.NoError(t, err)
	var out map[ReplicaID]int
	require.NoError(t, json.Unmarshal(data, &out))
	require.Equal(t, in, out)
}

func TestReplicaTextAllocatesOnce(t *testing.T) {
	id := NewReplicaID("paris")
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = id.String() }), 1.0)
}

func TestDot(t *testing.T) {
	paris, tokyo := Named("paris"), Named("tokyo")
	require.Equal(t, "paris:3", Dot{paris, 3}.String())
	require.Equal(t, "none", Dot{}.String())
	require.True(t, Dot{}.IsZero())
	require.Equal(t, -1, Dot{paris, 3}.Compare(Dot{paris, 4}))
	require.Equal(t, -1, Dot{paris, 4}.Compare(Dot{tokyo, 3}))
	require.Equal(t, 0, Dot{paris, 4}.Compare(Dot{paris, 4}))
	require.Equal(t, "paris:1-3", Span{paris, 1, 3}.String())
	require.Equal(t, "paris:18446744073709551615", Span{paris, math.MaxUint64, math.MaxUint64}.String())
}

func TestOrdering(t *testing.T) {
	var zero Ordering
	require.Equal(t, Concurrent, zero)
	for o, want := range map[Ordering]string{
		Concurrent: "concurrent", Before: "before", Equal: "equal", After: "after", 9: "Ordering(9)",
	} {
		require.Equal(t, want, o.String())
	}
}

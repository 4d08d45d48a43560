package crdt_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
)

const partsFile = "testdata/parts.txt"

// The fingerprints of the golden vectors of the standard kinds are what they were, with SHA-256 for a hash: replicas
// of two versions that disagree on parts would reconcile for ever.
func TestGoldenFingerprints(t *testing.T) {
	var lines strings.Builder
	for _, k := range []struct {
		tag  uint64
		file string
	}{
		{1, "gcounter"}, {3, "gset"}, {4, "orset"}, {6, "mvregister"}, {9, "twophaseset"}, {10, "rwset"}, {11, "lwwset"},
		{14, "lwwmap"}, {15, "log"}, {17, "ormap"},
	} {
		for i, v := range readGolden(t, k.file) {
			if v.fail == "" && (strings.HasSuffix(v.typ, " of string") || k.tag == 1 || strings.HasSuffix(v.typ, "string to string")) {
				fmt.Fprintf(&lines, "%s %d %s\n", k.file, i, goldenFingerprint(t, k.tag, v.hex))
			}
		}
	}
	if *appendGolden { // lines are added, never edited
		old, _ := os.ReadFile(partsFile)
		require.Subset(t, strings.Split(lines.String(), "\n"), strings.Split(string(old), "\n"))
		require.NoError(t, os.WriteFile(partsFile, []byte(lines.String()), 0o644))
	}
	want, err := os.ReadFile(partsFile)
	require.NoError(t, err)
	require.NotEmpty(t, want)
	assert.Equal(t, string(want), lines.String())
}

func goldenFingerprint(t *testing.T, tag uint64, text string) string {
	t.Helper()
	state, err := hex.DecodeString(text)
	require.NoError(t, err)
	v, err := crdt.Standard().Decode(raw(0x92, int(tag), binaryOf(state)))
	if err != nil { // the empty state, which a value does not have
		return "empty"
	}
	hi, lo, err := v.Fingerprint(func(part []byte) (hi, lo uint64) {
		sum := sha256.Sum256(part)
		return binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
	})
	require.NoError(t, err)
	return fmt.Sprintf("%016x%016x", hi, lo)
}

func binaryOf(b []byte) []byte {
	if len(b) < 256 {
		return append([]byte{0xc4, byte(len(b))}, b...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0xc5}, uint16(len(b))), b...)
}

// The parts of one state of each collection, as WIRE.md says.
func TestPartsAreThoseOfTheSpecification(t *testing.T) {
	a := id(idA)
	x, y := raw(0xa1, 'x'), raw(0xa1, 'y')
	at := raw(5, 0, a)
	var grown crdt.GSet[string]
	grown.Add("x")
	specified(t, &grown, part(1, raw(1, x)))
	var phases crdt.TwoPhaseSet[string]
	phases.Add("x", "y")
	phases.Remove("y")
	specified(t, &phases, part(1, raw(1, x)), part(1, raw(2, y)))
	var observed set
	observed.Add(idA, "y", "x")
	gap := observed.Add(idA, "x") // ends a:2, and mints a:3
	specified(t, gap, part(1, raw(0, a, 3)), part(-1, raw(0, a, 1)), part(1, raw(1, a, 3, x)))
	var both crdt.RWSet[string]
	both.Add(idA, "x")
	both.Remove(idA, "y")
	specified(t, &both, part(1, raw(0, a, 2)), part(1, raw(1, a, 1, x)), part(1, raw(2, a, 2, y)))
	var timed crdt.LWWSet[string]
	timed.Add(stampOf(5, idA), "x")
	timed.Remove(stampOf(5, idA), "y")
	specified(t, &timed, part(1, raw(1, at, x)), part(1, raw(2, at, y)))
	var bound crdt.LWWMap[string, string]
	bound.Set(stampOf(5, idA), "x", "y")
	bound.Remove(stampOf(5, idA), "y")
	specified(t, &bound, part(1, raw(1, 1, at, x, y)), part(1, raw(1, 0, at, y)))
	var entries crdt.Log[string]
	entries.Append(stampOf(5, idA), "x")
	specified(t, &entries, part(1, raw(1, at, 1, x)))
	var fields ormap
	fields.Map("y").Set("x").Add(idA, "y")
	fields.Counter("x").Add(idA, 5)
	specified(t, &fields, part(1, raw(0, a, 2)), part(1, raw(1, a, 1, 2, y, x, y)), part(1, raw(1, a, 2, 1, 5, 0x90, x)))
}

type counted struct {
	part string
	n    int
}

func part(n int, b []byte) counted { return counted{string(b), n} }

func specified[S crdt.Decomposable[S]](t *testing.T, s S, parts ...counted) {
	t.Helper()
	want := make(map[string]int)
	for _, p := range parts {
		want[p.part] = p.n
	}
	assert.Equal(t, want, partsOf(s), "%T", s)
}

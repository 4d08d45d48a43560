package membership

import (
	"math"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

var said = meta{leaving: true, process: 0x0102030405060708, version: 0x1112131415161718, weight: 1.5, cluster: "c", zone: "zone", addr: "h:1"}

const saidBytes = "\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08\x11\x12\x13\x14\x15\x16\x17\x18\x3f\xf8\x00\x00\x00\x00\x00\x00\x01c\x04zone\x03h:1"

// The form is pinned: it is only ever appended to.
func TestMetadataForm(t *testing.T) {
	b, err := said.append(nil)
	require.NoError(t, err)
	require.Equal(t, saidBytes, string(b))
	got, err := parseMeta(b)
	require.NoError(t, err)
	require.Equal(t, said, got)
	got, err = parseMeta(append(b, "of a later version"...))
	require.NoError(t, err)
	require.Equal(t, said, got)
}

func TestMetadataThatIsRefused(t *testing.T) {
	for i := range len(saidBytes) {
		_, err := parseMeta([]byte(saidBytes[:i]))
		require.ErrorIs(t, err, errMeta, "cut to %d bytes", i)
	}
	_, err := parseMeta([]byte("\x02" + saidBytes[1:]))
	require.ErrorIs(t, err, errVersion)
	_, err = parseMeta([]byte(saidBytes + strings.Repeat(" ", memberlist.MetaMaxSize)))
	require.ErrorIs(t, err, errMeta)
	for _, w := range []float64{-1, math.NaN(), math.Inf(1)} {
		m := meta{weight: w}
		b, err := m.append(nil)
		require.NoError(t, err)
		_, err = parseMeta(b)
		require.ErrorIs(t, err, errMeta, "weight %v", w)
	}
	m := meta{version: maxVersion + 1}
	b, err := m.append(nil)
	require.NoError(t, err)
	_, err = parseMeta(b)
	require.ErrorIs(t, err, errMeta, "a version after which there is no other")
}

// The longest that fits, and one byte more.
func TestMetadataLimit(t *testing.T) {
	m := meta{cluster: strings.Repeat("c", 255), zone: strings.Repeat("z", 200)}
	m.addr = strings.Repeat("a", memberlist.MetaMaxSize-metaFixed-3-455)
	b, err := m.append([]byte("before"))
	require.NoError(t, err)
	got, err := parseMeta(b[6:])
	require.NoError(t, err)
	require.Equal(t, m, got)
	m.addr += "a"
	_, err = m.append(nil)
	var large *transport.TooLargeError
	require.ErrorAs(t, err, &large)
	require.Equal(t, transport.TooLargeError{What: "metadata", Limit: 512, Size: 513}, *large)
}

// What can be read can be said, and is the same then.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(saidBytes))
	f.Add([]byte(saidBytes[:20]))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeta(b)
		if err != nil {
			return
		}
		again, err := m.append(nil)
		require.NoError(t, err)
		got, err := parseMeta(again)
		require.NoError(t, err)
		require.Equal(t, m, got)
	})
}

package revision

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The hash and the text are held: entity tags that clients keep stay good.
func TestGolden(t *testing.T) {
	require.Equal(t, "AAAAAAAAAAAAAAAAAAAAAA", Revision{}.String())
	r := of([]byte("abc")) // FIPS 180-2, appendix B.1
	require.Equal(t, "ba7816bf8f01cfea414140de5dae2223", hex.EncodeToString(r[:]))
	require.Equal(t, "ungWv48Bz-pBQUDeXa4iIw", r.String())
	require.True(t, of(nil).IsZero())
	require.True(t, of([]byte{}).IsZero())
}

func TestParse(t *testing.T) {
	for _, r := range []Revision{{}, of([]byte("a")), of([]byte("b"))} {
		back, err := Parse(r.String())
		require.NoError(t, err)
		require.Equal(t, r, back)
	}
	for _, s := range []string{
		"", "ungWv48Bz-pBQUDeXa4iI", "ungWv48Bz-pBQUDeXa4iIwA", `"ungWv48Bz-pBQUDeXa4i"`, "ungWv48Bz+pBQUDeXa4iIw", "ungWv48Bz-pBQUDeXa4iIx", // bits that say nothing
		"ungWv48Bz-pBQUDeXa4i\n\n", "\nngWv48Bz-pBQUDeXa4iIw", strings.Repeat("A", 1<<20), strings.Repeat("=", 22),
	} {
		r, err := Parse(s)
		e, ok := errors.AsType[*SyntaxError](err)
		require.True(t, ok, "%.30q", s)
		require.LessOrEqual(t, len(e.Text), 64)
		require.NotEmpty(t, err.Error())
		require.Zero(t, r)
	}
}

// What is parsed is written in the same way: one revision has one text.
func FuzzParse(f *testing.F) {
	f.Add("ungWv48Bz-pBQUDeXa4iIw")
	f.Add("AAAAAAAAAAAAAAAAAAAA\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := Parse(s); err == nil {
			require.Equal(t, s, r.String())
		}
	})
}

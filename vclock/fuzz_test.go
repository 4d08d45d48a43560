package vclock

import (
	"encoding"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzDecode: no bytes panic; bytes that are accepted are the only encoding of what they decode to.
func fuzzDecode(f *testing.F, seeds []encoding.BinaryAppender, fresh func() codec, check func(*testing.T, codec)) {
	for _, v := range seeds {
		f.Add(encoded(f, v))
	}
	for _, data := range hostile() {
		if len(data) < 1000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := fresh()
		if err := v.UnmarshalBinary(data); err != nil {
			require.True(t, errors.Is(err, ErrVersion) || errors.As(err, new(*CorruptError)), "%T", err)
			require.Equal(t, encoded(t, fresh()), encoded(t, v))
			return
		}
		require.Equal(t, data, encoded(t, v))
		check(t, v)
	})
}

type codec interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

func FuzzClock(f *testing.F) {
	c := clockModel{Named("paris"): 3, Named("tokyo"): 1 << 40}.clock()
	fuzzDecode(f, []encoding.BinaryAppender{new(Clock), c}, func() codec { return new(Clock) },
		func(t *testing.T, v codec) {
			got := v.(*Clock)
			sum := c.Clone()
			sum.Merge(got)
			require.Contains(t, []Ordering{Equal, Before}, got.Compare(sum))
		})
}

func FuzzContext(f *testing.F) {
	paris, tokyo := Named("paris"), Named("tokyo")
	c := contextModel{Dot{paris, 1}: true, Dot{paris, 2}: true, Dot{paris, 5}: true, Dot{tokyo, 9}: true}.context()
	fuzzDecode(f, []encoding.BinaryAppender{new(Context), c}, func() codec { return new(Context) },
		func(t *testing.T, v codec) {
			got := v.(*Context)
			var rebuilt Context
			for s := range got.All() {
				require.True(t, s.isValid())
				require.True(t, rebuilt.AddSpan(s))
			}
			require.Equal(t, encoded(t, got), encoded(t, &rebuilt), "sorted and coalesced")
			sum := c.Clone()
			sum.Merge(got)
			require.True(t, sum.Contains(got) && sum.Contains(c))
		})
}

func FuzzTimestamp(f *testing.F) {
	fuzzDecode(f, []encoding.BinaryAppender{Timestamp{1, 2, Named("paris")}}, func() codec { return new(Timestamp) },
		func(*testing.T, codec) {})
}

func FuzzReplicaText(f *testing.F) {
	for _, s := range []string{"", "paris", "paris-9f3ac0e1d27b5a4c8e61", "8f3ac0e1d27b5a4c8e618f3ac0e1d27b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var id, back ReplicaID
		if id.UnmarshalText(text) == nil {
			require.NoError(t, back.UnmarshalText([]byte(id.String())))
			require.Equal(t, id, back)
		}
	})
}

package quorum

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLevelNeeded(t *testing.T) {
	const refused = 0
	for level, want := range map[Level][8]int{ // by number of owners
		Default:  {refused, 1, 2, 2, 3, 3, 4, 4},
		Majority: {refused, 1, 2, 2, 3, 3, 4, 4},
		All:      {refused, 1, 2, 3, 4, 5, 6, 7},
		One:      {refused, 1, 1, 1, 1, 1, 1, 1},
		Level(2): {refused, refused, 2, 2, 2, 2, 2, 2},
		Level(7): {refused, refused, refused, refused, refused, refused, refused, 7},
		Level(8): {},
		All - 1:  {},
	} {
		for n, needed := range want {
			t.Run(fmt.Sprintf("%v of %d", level, n), func(t *testing.T) {
				got, err := level.Needed(n)
				if needed == refused {
					var e *LevelError
					require.ErrorAs(t, err, &e)
					assert.Equal(t, LevelError{level, n}, *e)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, needed, got)
			})
		}
	}
}

func TestLevelMajoritiesIntersect(t *testing.T) {
	for n := 1; n <= 100; n++ {
		needed, err := Majority.Needed(n)
		require.NoError(t, err)
		assert.Greater(t, 2*needed, n)
		assert.LessOrEqual(t, 2*(needed-1), n, "a smaller number would do")
	}
}

func TestLevelStrings(t *testing.T) {
	for level, want := range map[Level]string{
		Default: "default", One: "one", Majority: "majority", All: "all", 2: "2", -7: "-7",
	} {
		assert.Equal(t, want, level.String())
	}
	assert.EqualError(t, &LevelError{4, 3}, "quorum: level 4 cannot be asked of 3 owners")
	assert.EqualError(t, &LevelError{2, 1}, "quorum: level 2 cannot be asked of 1 owner")
	assert.EqualError(t, &LevelError{-7, 3}, "quorum: level -7 does not exist")
}

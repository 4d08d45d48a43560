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
		LocalOne: {refused, 1, 1, 1, 1, 1, 1, 1},
		-9:       {},
	} {
		for n, needed := range want {
			t.Run(fmt.Sprintf("%v of %d", level, n), func(t *testing.T) {
				tally, err := NewTally(Placement{Owners: nodes(n)}, "a", Demand{Level: level})
				if needed == refused {
					var e *LevelError
					require.ErrorAs(t, err, &e)
					assert.Equal(t, LevelError{Level: level, Owners: n}, *e)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, needed, tally.conditions[0].needed)
			})
		}
	}
}

func TestLevelMajoritiesIntersect(t *testing.T) {
	for n := 1; n <= 100; n++ {
		needed := Majority.of(n)
		assert.Greater(t, 2*needed, n)
		assert.LessOrEqual(t, 2*(needed-1), n, "a smaller number would do")
	}
}

func TestLevelStrings(t *testing.T) {
	for level, want := range map[Level]string{
		Default: "default", One: "one", Majority: "majority", All: "all", 2: "two", 7: "7", -9: "-9",
		LocalMajority: "local majority", EachMajority: "each majority", Any: "any",
	} {
		assert.Equal(t, want, level.String())
	}
	assert.EqualError(t, &LevelError{Level: 4, Owners: 3}, "quorum: level 4 cannot be asked of 3 owners")
	assert.EqualError(t, &LevelError{Level: 2, Owners: 1}, "quorum: level two cannot be asked of 1 owner")
	assert.EqualError(t, &LevelError{Level: -9, Owners: 3}, "quorum: level -9 does not exist")
}

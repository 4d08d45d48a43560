package vclock

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// smallClocks are all clocks of three replicas with counts up to 2.
func smallClocks() (all []clockModel) {
	ids := testReplicas(3)
	for n := range 27 {
		m := make(clockModel)
		for i, count := range []int{n % 3, n / 3 % 3, n / 9} {
			if count > 0 {
				m[ids[i]] = uint64(count)
			}
		}
		all = append(all, m)
	}
	return all
}

func TestAllPairsOfSmallClocks(t *testing.T) {
	for _, a := range smallClocks() {
		for _, b := range smallClocks() {
			mine, other := a.clock(), b.clock()
			require.Equal(t, ordering(a.within(b), b.within(a)), mine.Compare(other), "%v, %v", a, b)
			want := make(clockModel)
			want.merge(a)
			want.merge(b)
			require.Equal(t, !b.within(a), mine.Merge(other), "whether %v changed by %v", a, b)
			requireClock(t, want, mine)
			require.False(t, mine.Merge(other), "%v by %v again", a, b)
		}
	}
}

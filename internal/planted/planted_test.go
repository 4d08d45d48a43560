//go:build !planted

package planted

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A normal build must not be able to plant anything: an array length has to be a
// constant, so this line does not compile if Bug is a variable.
var _ [len(Bug)]struct{} = [0]struct{}{}

func TestNamesAreDistinct(t *testing.T) {
	names := Names()
	slices.Sort(names)
	require.Equal(t, names, slices.Compact(slices.Clone(names)))
	require.NotContains(t, names, "")
}

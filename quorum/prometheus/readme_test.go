package quorumprom

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README names all metrics, and all alerts, and none that are not there.
func TestReadmeNamesWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z]+_[a-z_]+|Eventual[A-Za-z]+)`").FindAllSubmatch(text, -1) {
		named[string(m[1])] = true
	}
	delete(named, "rule_files") // of Prometheus
	want := slices.Collect(maps.Keys(gather(t, full(t, "a"))))
	for _, a := range alerts(t) {
		want = append(want, a.Alert)
	}
	require.ElementsMatch(t, want, slices.Collect(maps.Keys(named)))
}

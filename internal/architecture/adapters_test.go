package architecture

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// adapters says, for each module beside what it adapts, which of our packages its code may import: what users have,
// and nothing from above.
var adapters = map[string][]string{
	"crdt/store/pebblestore":     {"crdt", "crdt/store"},
	"internal/linearizability":   {}, // tests alone, likewise
	"quorum/benchmark":           {}, // tests alone, which may use anything
	"quorum/handoff/pebblehints": {"quorum/handoff", "crdt/store", "crdt/store/pebblestore"},
	"quorum/prometheus":          {"quorum", "quorum/handoff", "antientropy"},
	"transport/benchmark":        {}, // tests alone, likewise
	"transport/grpctransport":    {"transport", "transport/internal/carry"},
	"transport/membership":       {"transport", "transport/internal/crowd", "quorum/ring"},
	"transport/natstransport":    {"transport", "transport/internal/carry"},
	"transport/otel":             {"transport", "transport/intercept"},
	"transport/prometheus":       {"transport/intercept", "transport/tcp"},
}

func TestAdaptersStandBesideWhatTheyAdapt(t *testing.T) {
	for dir, may := range adapters {
		all := packages(t, filepath.Join(root, dir))
		require.NotEmpty(t, all, dir)
		for _, p := range all {
			for _, imp := range p.Imports {
				if ours, ok := strings.CutPrefix(imp, module+"/"); ok {
					require.Contains(t, may, ours, "%s must not import %s", p.ImportPath, ours)
				}
			}
		}
	}
}

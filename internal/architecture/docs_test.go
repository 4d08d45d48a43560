package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A command in a document that names a test which does not exist passes and does
// nothing. So the names are looked up.
func TestDocumentedTestsExist(t *testing.T) {
	names := regexp.MustCompile(`-(?:run|fuzz) '?\^?((?:Test|Fuzz)\w+)`)
	code := strings.Join(goSources(t), "\n")
	found := 0
	for _, doc := range []string{"CONTRIBUTING.md", "README.md", "ARCHITECTURE.md", ".ci/run"} {
		text, err := os.ReadFile(filepath.Join(root, doc))
		require.NoError(t, err)
		for _, m := range names.FindAllStringSubmatch(string(text), -1) {
			found++
			require.Contains(t, code, "func "+m[1]+"(", "%s speaks of %s", doc, m[1])
		}
	}
	require.Positive(t, found)
}

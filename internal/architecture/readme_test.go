package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// Every Go block of a README is a program or a piece of a file that the tests
// compile and run; otherwise it would be a promise that nobody checks.
func TestReadmeBlocksAreCompiled(t *testing.T) {
	sources := goSources(t)
	blocks := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range goBlock.FindAllStringSubmatch(string(text), -1) {
			blocks++
			require.True(t, contains(sources, m[1]), "%s: no compiled file has this block:\n%s", path, m[1])
		}
		return nil
	})
	require.NoError(t, err)
	require.Positive(t, blocks)
}

func TestFirstScreenIsTheQuickstart(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	program, err := os.ReadFile(filepath.Join(root, "examples/quickstart/main.go"))
	require.NoError(t, err)
	require.Equal(t, string(program), goBlock.FindStringSubmatch(string(readme))[1])
}

// goSources are the Go files with their indentation removed: a block of a README
// may stand deeper in the file.
func goSources(t *testing.T) []string {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, unindent(string(text)))
		return err
	})
	require.NoError(t, err)
	return all
}

func contains(sources []string, block string) bool {
	block = strings.TrimSpace(unindent(block))
	for _, s := range sources {
		if strings.Contains(s, block) {
			return true
		}
	}
	return false
}

func unindent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return strings.Join(lines, "\n")
}

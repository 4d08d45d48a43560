package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/eventual-go/eventual"

// allowed says, for each package of the root module, which of our packages its
// code (not its tests) may import. A package that is not named here fails the
// test: whoever adds one decides where it stands.
var allowed = map[string][]string{
	"internal/wire":  {},
	"internal/large": {},

	// Ground: no imports of one another.
	"vclock":                  {"internal/wire", "internal/planted"},
	"merkle":                  {"internal/wire", "internal/planted"},
	"transport":               {"internal/wire"},
	"transport/faults":        {"transport"},
	"transport/mem":           {"transport", "transport/faults", "transport/internal/carry"},
	"transport/identity":      {"transport"},
	"transport/tcp":           {"transport", "transport/identity", "transport/internal/carry", "transport/internal/crowd"},
	"transport/httptransport": {"transport", "transport/internal/carry"},
	"transport/intercept":     {"transport"},
	"transport/transporttest": {"transport"},

	// What transports share.
	"transport/internal/carry": {"transport"},
	"transport/internal/crowd": {},

	// What tests of transports share.
	"transport/internal/authority": {"transport"},

	// Floor 1: data types and their wire form.
	"crdt":          {"vclock", "internal/wire", "internal/large"},
	"crdt/crdttest": {"crdt", "vclock"},

	// Floor 2: bytes and keys only, except for the store.
	"crdt/store":             {"crdt", "vclock", "merkle", "internal/wire", "internal/large", "internal/planted"},
	"crdt/store/backendtest": {"crdt", "crdt/store", "vclock"},
	"antientropy":            {"merkle", "transport", "internal/wire", "internal/planted"},
	"antientropy/storetest":  {"antientropy", "merkle"},
	"quorum":                 {"transport", "internal/wire", "internal/planted"},
	"quorum/ring":            {"merkle", "quorum", "transport", "internal/wire", "internal/planted"},
	"quorum/handoff":         {"transport", "internal/wire", "internal/planted"},
	"quorum/session":         {"quorum", "transport", "internal/wire", "internal/planted"},
	"quorum/revision":        {"quorum"},
	"quorum/pbs":             {}, // by plain values, so that it can be had alone
	"quorum/caspaxos":        {"quorum", "crdt", "transport", "internal/wire", "internal/planted"},
	"internal/planted":       {},

	// Tests that look at everything from above.
	"internal/architecture": {},
	"internal/mutation":     {},
	"internal/disk":         {"crdt", "crdt/store"},
	"internal/hosts":        {},
	"internal/outage":       {},
	"internal/promises":     {},
	"internal/simulation": {"vclock", "merkle", "transport", "crdt", "crdt/store",
		"antientropy", "quorum", "internal/disk", "internal/wire", "internal/large", "internal/planted"},
	"internal/simulation/placed": {"vclock", "merkle", "transport", "crdt", "crdt/store", "antientropy", "quorum",
		"quorum/ring", "quorum/handoff", "quorum/session", "quorum/caspaxos", "internal/wire", "internal/planted"},
}

// outside are the modules that code of the root module may import, by package.
var outside = map[string][]string{
	"internal/wire":                {"github.com/vmihailenco/msgpack/v5"},
	"merkle":                       {"github.com/dchest/siphash"},
	"crdt/crdttest":                {"pgregory.net/rapid", "github.com/stretchr/testify"},
	"crdt/store/backendtest":       {"github.com/stretchr/testify"},
	"transport/transporttest":      {"github.com/stretchr/testify"},
	"transport/internal/authority": {"github.com/stretchr/testify"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func packages(t *testing.T, dir string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
}

func TestImportsPointDown(t *testing.T) {
	seen := 0
	for _, p := range packages(t, root) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		may, known := allowed[name]
		require.True(t, known, "package %s has no place in the floors", name)
		seen++
		for _, imp := range p.Imports {
			if ours, ok := strings.CutPrefix(imp, module+"/"); ok {
				require.Contains(t, may, ours, "%s must not import %s", name, ours)
				continue
			}
			if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
				require.True(t, slices.ContainsFunc(outside[name], func(m string) bool {
					return imp == m || strings.HasPrefix(imp, m+"/")
				}), "%s must not import %s", name, imp)
			}
		}
	}
	require.Equal(t, len(allowed), seen, "a package named in the floors is gone")
}

// The floors themselves must be acyclic; otherwise 'down' would mean nothing.
func TestFloorsAreAcyclic(t *testing.T) {
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		require.NotContains(t, path, name, "cycle")
		for _, below := range allowed[name] {
			visit(below, append(slices.Clone(path), name))
		}
	}
	for name := range allowed {
		visit(name, nil)
	}
}

func TestExamplesStandOnTop(t *testing.T) {
	for _, p := range packages(t, filepath.Join(root, "examples")) {
		for _, imp := range p.Imports {
			require.NotContains(t, imp, module+"/internal/", "%s: an example uses what users have", p.ImportPath)
		}
	}
}

func TestTopLevelIsAsDesigned(t *testing.T) {
	want := []string{"crdt", "vclock", "merkle", "antientropy", "quorum", "transport", "examples", "internal",
		"go.mod", "go.sum", "go.work", "go.work.sum", "README.md", "LICENSE", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"}
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			require.Contains(t, want, e.Name())
		}
	}
}

const root = "../.."

// Package examples has the test in which what READMEs say of several processes is run as it is printed.
package examples

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/examples/internal/ports"
)

const portsEach = 32 // of a document, at most

var port = regexp.MustCompile(`((?:127\.0\.0\.1|localhost):)(\d+)`)

// script is all indented lines of a section, or of all, but those that run go. Only the ports are others: each is one of
// those from firstPort on.
func script(t *testing.T, document, section string, firstPort int) string {
	t.Helper()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), section)
	require.True(t, found)
	if section != "" {
		rest, _, _ = strings.Cut(rest, "\n## ")
	}
	var lines []string
	for line := range strings.Lines(rest) {
		if code, ok := strings.CutPrefix(line, "    "); ok && !strings.HasPrefix(code, "go ") {
			lines = append(lines, code)
		}
	}
	free := map[string]string{}
	return port.ReplaceAllStringFunc(strings.Join(lines, ""), func(s string) string {
		m := port.FindStringSubmatch(s)
		if free[m[2]] == "" {
			require.Less(t, len(free), portsEach)
			free[m[2]] = fmt.Sprint(firstPort + len(free))
		}
		return m[1] + free[m[2]]
	})
}

// What a document says is run by one shell, in an empty folder, and ends well.
func TestLinesOfTheReadmesWork(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; runs without -short")
	}
	bin := build(t, "./kv", "./zones")
	first := ports.Free(t, 2*portsEach)
	for i, c := range []struct {
		document, section string
		lines, answers    []string // some of them
	}{
		{"README.md", "", []string{"kv -id c -plain", "kv certs", "kv -id c -tls", "zones certs", "zones -id a2", `"leave"`},
			[]string{`{"value":["milk"]}`, `{"value":["bread"]}`, `"status":"alive"`, `"elements":["milk"]`, `"epoch":5`}},
		{"zones/README.md", "\n## On several machines\n", []string{"zones certs", "zones -id c2", "zones -id a3", `"join"`},
			[]string{`{"id":"a1","zone":"a"`}},
	} {
		t.Run(c.document, func(t *testing.T) {
			t.Parallel()
			code := script(t, c.document, c.section, first+i*portsEach)
			for _, line := range c.lines {
				require.Contains(t, code, line)
			}
			out := shell(t, bin, code)
			for _, answer := range c.answers {
				require.Contains(t, out, answer)
			}
			require.NotRegexp(t, "DATA RACE|panic:", out)
		})
	}
}

// Before a document uses a program it says how to build it, from the root of the repository.
func TestReadmesSayHowProgramsAreBuilt(t *testing.T) {
	used := regexp.MustCompile(`(?m)^    (kv|zones) `)
	for _, document := range []string{"README.md", "kv/README.md", "zones/README.md"} {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		uses := used.FindAllSubmatchIndex(text, -1)
		require.NotEmpty(t, uses, document)
		for _, at := range uses {
			name := string(text[at[2]:at[3]])
			require.DirExists(t, name)
			built := regexp.MustCompile(`root\s+of\s+the\s+repository(?s:.*)\n    go build -o bin/ .*\./examples/` + name + `\b.* && PATH=\$PWD/bin:\$PATH\n`)
			require.Regexp(t, built, string(text[:at[0]]), document)
		}
	}
}

// build makes programs. That go test runs this again when one of them is another, their sources are looked at: of a program
// that a test runs it knows nothing.
func build(t *testing.T, programs ...string) (bin string) {
	t.Helper()
	list := append([]string{"list", "-deps", "-f", `{{if not .Standard}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}`}, programs...)
	files, err := exec.CommandContext(t.Context(), "go", list...).Output()
	require.NoError(t, err)
	for file := range strings.Lines(string(files)) {
		_, err := os.Stat(strings.TrimSpace(file))
		require.NoError(t, err)
	}
	bin = t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", bin}, programs...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// shell runs code in an empty folder, and returns what it and all that it starts have written. Nothing of that is left.
func shell(t *testing.T, bin, code string) string {
	t.Helper()
	cmd := exec.Command("bash", "-eu", "-c", code)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	stop := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	defer stop()
	defer context.AfterFunc(t.Context(), stop)()
	err := cmd.Wait()
	require.NoError(t, err, "%s", out.String())
	t.Logf("%s", out.String())
	return out.String()
}

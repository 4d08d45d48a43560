package quorumprom

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// A dashboard is what of Grafana's model is looked at here.
type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Annotations struct{ List []struct{ Expr string } }
}

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr string }
	FieldConfig struct {
		Defaults struct {
			Thresholds struct {
				Steps []struct{ Value *float64 }
			}
		}
	}
}

func load(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("grafana/dashboard.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

var (
	braces  = regexp.MustCompile(`\{[^}]*\}`)
	ranges  = regexp.MustCompile(`\[[^\]]*\]`)
	groups  = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\([^)]*\)`)
	word    = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	matcher = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
)

// series are the names in a query: its words that are neither functions nor labels.
func series(expr string) (names []string) {
	for _, r := range []*regexp.Regexp{braces, ranges, groups} {
		expr = r.ReplaceAllString(expr, "")
	}
	for _, w := range word.FindAllString(expr, -1) {
		if !strings.HasSuffix(w, "(") {
			names = append(names, strings.TrimSpace(w))
		}
	}
	return names
}

func TestSeriesOfQueries(t *testing.T) {
	require.Equal(t, []string{"x_bucket", "y"},
		series(`histogram_quantile(0.99, sum by (node, le) (rate(x_bucket{node=~"a|b"}[$__rate_interval]))) > 5 / (y > 0)`))
	require.Empty(t, series(`time() - 1`))
}

// exposed maps the names of the series that a Collector exposes to their family.
func exposed(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, f := range gather(t, full(t, "a")) {
		if f.GetType() == dto.MetricType_HISTOGRAM {
			all[name+"_bucket"], all[name+"_sum"], all[name+"_count"] = name, name, name
			continue
		}
		all[name] = name
	}
	return all
}

// A query for what nobody exposes shows nothing, and nobody notices.
func TestPanelsShowWhatIsExposed(t *testing.T) {
	known, shown := exposed(t), map[string]bool{}
	for _, p := range load(t).Panels {
		require.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		for _, q := range p.Targets {
			require.NotEmpty(t, series(q.Expr), q.Expr)
			for _, name := range series(q.Expr) {
				require.Contains(t, known, name, p.Title)
				shown[known[name]] = true
			}
			for _, m := range braces.FindAllString(q.Expr, -1) {
				require.Contains(t, m, `node=~"$node"`, p.Title)
				require.Contains(t, m, `instance=~"$instance"`, p.Title)
			}
		}
	}
	families := slices.Compact(slices.Sorted(maps.Values(known)))
	require.Equal(t, families, slices.Sorted(maps.Keys(shown)), "each has a panel")
}

// The labels that queries ask for exist, or are those that a scrape adds.
func TestPanelsAskForLabelsThatExist(t *testing.T) {
	labels := []string{"instance", "job", "le"}
	for _, f := range gather(t, full(t, "a")) {
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
	}
	for _, p := range load(t).Panels {
		for _, q := range p.Targets {
			for _, m := range braces.FindAllString(q.Expr, -1) {
				for _, l := range matcher.FindAllStringSubmatch(m, -1) {
					require.Contains(t, labels, l[1], q.Expr)
				}
			}
		}
	}
}

func TestVariablesAskForWhatIsExposed(t *testing.T) {
	d, known := load(t), exposed(t)
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" {
			_, arg, _ := strings.Cut(v.Definition, "(")
			name, _, _ := strings.Cut(braces.ReplaceAllString(arg, ""), ",")
			require.Contains(t, known, name)
		}
	}
	require.Equal(t, []string{"datasource", "node", "instance"}, names)
	require.GreaterOrEqual(t, d.SchemaVersion, 39)
}

func TestPanelsDoNotOverlap(t *testing.T) {
	taken, ids := map[[2]int]string{}, map[int]string{}
	for _, p := range load(t).Panels {
		require.NotContains(t, ids, p.ID)
		ids[p.ID] = p.Title
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[at], p.Title)
				taken[at] = p.Title
			}
		}
	}
}

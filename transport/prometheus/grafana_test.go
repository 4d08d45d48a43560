package transportprom

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
	SchemaVersion int
	Panels        []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

func load(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("grafana/dashboard.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d))
	require.NotEmpty(t, d.Panels)
	return d
}

var (
	series  = regexp.MustCompile(`eventual_\w+`)
	braces  = regexp.MustCompile(`\{[^}]*\}`)
	matcher = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouped = regexp.MustCompile(`by \(([^)]*)\)`)
)

// exposed maps the series that a Collector exposes to their family, and to their labels.
func exposed(t *testing.T) (family map[string]string, labels map[string][]string) {
	t.Helper()
	family, labels = make(map[string]string), make(map[string][]string)
	for name, f := range gather(t, full("a")) {
		has := []string{"instance", "job"} // a scrape adds them
		for _, l := range f.Metric[0].Label {
			has = append(has, l.GetName())
		}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			family[name+"_bucket"], labels[name+"_bucket"] = name, append(has, "le")
			continue
		}
		family[name], labels[name] = name, has
	}
	return family, labels
}

// A query for what nobody exposes shows nothing, and nobody notices.
func TestPanelsShowWhatIsExposed(t *testing.T) {
	family, labels := exposed(t)
	shown := make(map[string]bool)
	for _, p := range load(t).Panels {
		for _, q := range p.Targets {
			names := series.FindAllString(q.Expr, -1)
			require.NotEmpty(t, names, p.Title)
			for _, name := range names {
				require.Contains(t, family, name, p.Title)
				shown[family[name]] = true
			}
			for _, m := range braces.FindAllString(q.Expr, -1) {
				require.Contains(t, m, `node=~"$node",instance=~"$instance"`, p.Title)
				for _, l := range matcher.FindAllStringSubmatch(m, -1) {
					require.Contains(t, labels[names[0]], l[1], q.Expr)
				}
			}
			for _, m := range grouped.FindAllStringSubmatch(q.Expr, -1) {
				require.Subset(t, labels[names[0]], strings.Split(m[1], ", "), q.Expr)
			}
		}
	}
	all := slices.Compact(slices.Sorted(maps.Values(family)))
	require.Equal(t, all, slices.Sorted(maps.Keys(shown)), "each has a panel")
}

func TestVariablesAskForWhatIsExposed(t *testing.T) {
	d := load(t)
	family, _ := exposed(t)
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" {
			require.Contains(t, family, series.FindString(v.Definition))
		}
	}
	require.Equal(t, []string{"datasource", "node", "instance"}, names)
	require.GreaterOrEqual(t, d.SchemaVersion, 39)
}

func TestPanelsDoNotOverlap(t *testing.T) {
	taken, ids := make(map[[2]int]string), make(map[int]bool)
	for _, p := range load(t).Panels {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
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

// The README names all metrics, and none that are not there.
func TestReadmeNamesWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	named := make(map[string]bool)
	for _, m := range series.FindAllString(string(text), -1) {
		named[m] = true
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(gather(t, full("a")))), slices.Collect(maps.Keys(named)))
}

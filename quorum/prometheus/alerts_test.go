package quorumprom

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	read(t, "alerts.yml", &file)
	for _, g := range file.Groups {
		require.NotEmpty(t, g.Name)
		all = append(all, g.Rules...)
	}
	return all
}

// read takes no fields that are not known, as Prometheus takes none.
func read(t *testing.T, path string, into any) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	d := yaml.NewDecoder(file)
	d.KnownFields(true)
	require.NoError(t, d.Decode(into))
}

var comparison = regexp.MustCompile(`^(.*) ([<>]) ([0-9.]+)$`)

// split takes a rule's expression apart.
func split(t *testing.T, expr string) (query, than string, limit float64) {
	t.Helper()
	m := comparison.FindStringSubmatch(expr)
	require.NotNil(t, m, expr)
	limit, err := strconv.ParseFloat(m[3], 64)
	require.NoError(t, err)
	return m[1], m[2], limit
}

func TestAlertsAreAsPromised(t *testing.T) {
	known := exposed(t)
	var got []string
	for _, a := range alerts(t) {
		query, than, limit := split(t, a.Expr)
		names := series(query)
		require.Len(t, names, 1)
		require.Contains(t, known, names[0])
		_, err := time.ParseDuration(a.For)
		require.NoError(t, err)
		require.NotEmpty(t, a.Labels["severity"])
		require.NotEmpty(t, a.Annotations["summary"])
		require.NotEmpty(t, a.Annotations["description"])
		got = append(got, fmt.Sprintln(a.Alert, known[names[0]], than, limit))
	}
	require.Equal(t, []string{
		"EventualReplicationLag replication_lag_seconds > 5\n",
		"EventualConflicts conflict_rate_per_min > 10\n",
		"EventualRepairsFail repair_success_rate < 0.95\n",
		"EventualWritesFail write_error_rate > 0.005\n",
	}, got)
}

// The panels of what alerts are for draw their limits, and alerts that fire are drawn
// over all panels.
func TestPanelsDrawTheLimits(t *testing.T) {
	d, known := load(t), exposed(t)
	limits := map[string]float64{}
	for _, p := range d.Panels {
		if steps := p.FieldConfig.Defaults.Thresholds.Steps; len(steps) == 2 {
			limits[known[series(p.Targets[0].Expr)[0]]] = *steps[1].Value
		}
	}
	for _, a := range alerts(t) {
		query, _, limit := split(t, a.Expr)
		name := known[series(query)[0]]
		require.Equal(t, limit, limits[name], name)
		delete(limits, name)
		pattern := regexp.MustCompile(`alertname=~"([^"]*)"`).FindStringSubmatch(d.Annotations.List[1].Expr)
		require.Regexp(t, "^(?:"+pattern[1]+")$", a.Alert)
	}
	require.Empty(t, limits, "limits without an alert")
}

// grafanaRules is the format of Grafana's provisioning/alerting.
type grafanaRules struct {
	APIVersion int `yaml:"apiVersion"`
	Groups     []struct {
		OrgID                  int `yaml:"orgId"`
		Name, Folder, Interval string
		Rules                  []grafanaRule
	}
}

type grafanaRule struct {
	UID, Title, Condition, For string
	NoDataState                string `yaml:"noDataState"`
	ExecErrState               string `yaml:"execErrState"`
	DashboardUID               string `yaml:"dashboardUid"`
	PanelID                    int    `yaml:"panelId"`
	Labels, Annotations        map[string]string
	Data                       []struct {
		RefID             string                 `yaml:"refId"`
		RelativeTimeRange struct{ From, To int } `yaml:"relativeTimeRange"`
		DatasourceUID     string                 `yaml:"datasourceUid"`
		Model             struct {
			RefID                  string `yaml:"refId"`
			Expr, Type, Expression string
			Instant, Range         bool
			Conditions             []struct {
				Evaluator struct {
					Type   string
					Params []float64
				}
			}
		}
	}
}

// Grafana's rules are those of Prometheus, and each belongs to its panel.
func TestGrafanaAlertsAreTheSame(t *testing.T) {
	var file grafanaRules
	read(t, "grafana/alerting.yml", &file)
	require.Equal(t, 1, file.APIVersion)
	require.Len(t, file.Groups, 1)
	d, want := load(t), alerts(t)
	require.Len(t, file.Groups[0].Rules, len(want))
	for i, r := range file.Groups[0].Rules {
		query, than, limit := split(t, want[i].Expr)
		require.Equal(t, want[i], alert{r.Title, want[i].Expr, r.For, r.Labels, r.Annotations})
		require.LessOrEqual(t, len(r.UID), 40, "as Grafana has it")

		require.Len(t, r.Data, 2)
		ask, compare := r.Data[0], r.Data[1]
		require.Equal(t, query, ask.Model.Expr)
		require.Equal(t, "__expr__", compare.DatasourceUID)
		require.Equal(t, ask.RefID, compare.Model.Expression)
		require.Equal(t, r.Condition, compare.RefID)
		require.Equal(t, map[string]string{">": "gt", "<": "lt"}[than], compare.Model.Conditions[0].Evaluator.Type)
		require.Equal(t, []float64{limit}, compare.Model.Conditions[0].Evaluator.Params)

		require.Equal(t, d.UID, r.DashboardUID)
		var titles []string
		for _, p := range d.Panels {
			if p.ID == r.PanelID {
				titles = append(titles, p.Title)
				require.Equal(t, exposed(t)[series(query)[0]], exposed(t)[series(p.Targets[0].Expr)[0]])
			}
		}
		require.Len(t, titles, 1)
	}
}

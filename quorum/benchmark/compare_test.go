package benchmark

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A contest is one line of the table.
type contest struct {
	cluster string
	what    string
	gets    int // of a hundred operations
}

var contests = []contest{
	{"echo by one", "exchanges", 0},
	{"echo by both", "exchanges", 0},
	{"bare stores", "puts", 0},
	{"bare stores", "gets", 100},
	{"coordinator", "puts", 0},
	{"coordinator", "gets", 100},
	{"coordinator", "half and half", 50},
	{"olric", "puts", 0},
	{"olric", "gets", 100},
	{"olric", "half and half", 50},
}

// A comparison has the contests take turns, so that whatever slows the machine down
// for a while meets all of them. Ratios are of the same round.
type comparison struct {
	processes map[string]*process
	rounds    [][]result // by round and contest
}

func newComparison(ctx context.Context) (*comparison, error) {
	c := &comparison{processes: map[string]*process{}}
	for name := range starters {
		p, err := startProcess(ctx, name)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.processes[name] = p
	}
	return c, nil
}

func (c *comparison) close() (err error) {
	for _, p := range c.processes {
		err = errors.Join(err, p.close())
	}
	return err
}

// round gives each contest one turn.
func (c *comparison) round(l load) error {
	var all []result
	for _, on := range contests {
		l.Gets = on.gets
		res, err := c.processes[on.cluster].run(l)
		if err != nil {
			return fmt.Errorf("%s: %w", on.cluster, err)
		}
		all = append(all, res)
	}
	c.rounds = append(c.rounds, all)
	return nil
}

// rate returns the median of what a contest did in a second, and the range.
func (c *comparison) rate(of int) (middle, least, most float64) {
	all := c.each(func(round []result) float64 { return round[of].Rate })
	return median(all), slices.Min(all), slices.Max(all)
}

// latency returns the median of the quantiles of the rounds.
func (c *comparison) latency(of int, q float64) time.Duration {
	return time.Duration(median(c.each(func(round []result) float64 { return float64(round[of].Latencies.quantile(q)) })))
}

// processor returns the median of the processor time of an operation, in µs.
func (c *comparison) processor(of int) float64 {
	return median(c.each(func(round []result) float64 { return round[of].Processor }))
}

// ratio returns the median of the ratios of two contests in the same round.
func (c *comparison) ratio(of, to int) float64 {
	return median(c.each(func(round []result) float64 { return round[of].Rate / round[to].Rate }))
}

func (c *comparison) each(f func(round []result) float64) (all []float64) {
	for _, r := range c.rounds {
		all = append(all, f(r))
	}
	return all
}

func median(all []float64) float64 {
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

func find(cluster, what string) int {
	return slices.IndexFunc(contests, func(c contest) bool { return c.cluster == cluster && c.what == what })
}

// table is what the benchmark prints.
func (c *comparison) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "cluster\toperations\tper second\tfrom\tto\tp50 µs\tp99 µs\tCPU µs\tof echo by one\tof echo by both\tof bare stores\tof Olric\t")
	for i, on := range contests {
		middle, least, most := c.rate(i)
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.0f\t%d\t%d\t%.1f\t%.2f\t%.2f\t", on.cluster, on.what, middle, least, most,
			c.latency(i, 0.50).Microseconds(), c.latency(i, 0.99).Microseconds(), c.processor(i),
			c.ratio(i, find("echo by one", "exchanges")), c.ratio(i, find("echo by both", "exchanges")))
		for _, name := range []string{"bare stores", "olric"} {
			if other := find(name, on.what); other >= 0 {
				fmt.Fprintf(w, "%.2f", c.ratio(i, other))
			}
			fmt.Fprint(w, "\t")
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

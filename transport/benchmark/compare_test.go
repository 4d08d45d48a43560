package benchmark

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// A comparison has the systems take turns, so that whatever slows the machine down
// for a while meets all of them. Ratios are of the same round.
type comparison struct {
	processes []*process   // as systems
	loads     []load       // each done by all systems, one after the other
	rounds    [][][]result // by round, load and system
}

func newComparison(ctx context.Context, loads []load) (*comparison, error) {
	c := &comparison{loads: loads}
	for _, s := range systems {
		p, err := startProcess(ctx, s.name)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.processes = append(c.processes, p)
	}
	return c, nil
}

func (c *comparison) close() (err error) {
	for _, p := range c.processes {
		err = errors.Join(err, p.close())
	}
	return err
}

// round has each load done by each system once.
func (c *comparison) round() error {
	round := make([][]result, len(c.loads))
	for i, l := range c.loads {
		for j, p := range c.processes {
			res, err := p.run(l)
			if err != nil {
				return fmt.Errorf("%s: %w", systems[j].name, err)
			}
			round[i] = append(round[i], res)
		}
	}
	c.rounds = append(c.rounds, round)
	return nil
}

// each returns something about a load and a system, of each round.
func (c *comparison) each(load int, of func(all []result) float64) (all []float64) {
	for _, r := range c.rounds {
		all = append(all, of(r[load]))
	}
	return all
}

func (c *comparison) middle(load int, of func(all []result) float64) float64 {
	return median(c.each(load, of))
}

func (c *comparison) ratio(load, of, to int) float64 {
	return c.middle(load, func(all []result) float64 { return all[of].Rate / all[to].Rate })
}

func median(all []float64) float64 {
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

func find(name string) int {
	for i, s := range systems {
		if s.name == name {
			return i
		}
	}
	return -1
}

// table is what the benchmark prints.
func (c *comparison) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, l := range c.loads {
		fmt.Fprintf(w, "%d B, %d at once\tcalls/s\tfrom\tto\tof bare conn\tof minimal echo\tof gRPC-Go\tallocs\tCPU µs\t\n", l.Size, l.Callers)
		for j, s := range systems {
			rates := c.each(i, func(all []result) float64 { return all[j].Rate })
			fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t\n", s.name,
				median(rates), slices.Min(rates), slices.Max(rates),
				c.ratio(i, j, find(bareConn)), c.ratio(i, j, find(minimalEcho)), c.ratio(i, j, find(grpcGo)),
				c.middle(i, func(all []result) float64 { return all[j].Allocs }),
				c.middle(i, func(all []result) float64 { return all[j].Processor }))
		}
		fmt.Fprintln(w, "\t\t\t\t\t\t\t\t\t")
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

package pbs

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The latencies that the paper fitted to those of two companies: LinkedIn's with disks of
// two kinds, and Yammer's. The shape of YMMR's writes is that of the authors' program; the
// 3.35 which is printed does not lead to the latencies that are.
var (
	ssd  = Mixture{{91.22, Pareto{millis(0.235), 10}}, {8.78, rate(1.66)}}
	disk = Mixture{{38, Pareto{millis(1.05), 1.51}}, {62, rate(0.183)}}
	ymmr = Mixture{{98.2, Pareto{millis(1.5), 3.8}}, {1.8, rate(0.0217)}}

	ymmrWrite = Mixture{{93.9, Pareto{millis(3), 3.5}}, {6.1, rate(0.0028)}}

	published = []workload{
		{"LNKD-SSD", Legs{Write: ssd, Ack: ssd, Read: ssd, Response: ssd}, 0.974, []row{
			{1, 1, 0.66, 0.66, 1.85}, {1, 2, 0.66, 1.63, 1.79}, {2, 1, 1.63, 0.65, 0},
			{2, 2, 1.62, 1.64, 0}, {3, 1, 4.14, 0.65, 0}, {1, 3, 0.65, 4.09, 0},
		}},
		{"LNKD-DISK", Legs{Write: disk, Ack: ssd, Read: ssd, Response: ssd}, 0.439, []row{
			{1, 1, 0.66, 10.99, 45.5}, {1, 2, 0.65, 20.97, 43.3}, {2, 1, 1.63, 10.9, 13.6},
			{2, 2, 1.64, 20.96, 0}, {3, 1, 4.12, 10.89, 0}, {1, 3, 0.65, 112.65, 0},
		}},
		{"YMMR", Legs{Write: ymmrWrite, Ack: ymmr, Read: ymmr, Response: ymmr}, 0.893, []row{
			{1, 1, 5.58, 10.83, 1364}, {1, 2, 5.61, 427.12, 1352}, {2, 1, 32.6, 10.73, 202},
			{2, 2, 33.18, 428.11, 0}, {3, 1, 219.27, 10.79, 0}, {1, 3, 5.63, 1870.86, 0},
		}},
	}
)

// workload is a column of table 4 of the paper, and the probability of consistency at t = 0 for R = W = 1.
type workload struct {
	name string
	legs Legs
	at0  float64
	rows []row
}

// row is a line of it: the 99.9th percentiles of latencies, and when 99.9 % of reads are
// consistent, in milliseconds.
type row struct {
	r, w               int
	read, write, until float64
}

func rate(perMilli float64) Exponential { return Exponential(millis(1 / perMilli)) }

var trials = flag.Int("trials", 200_000, "of each line of the table; a million for three digits")

// What is within 3 % is the interval, or from a million trials on the value itself.
func TestTableOfBailis(t *testing.T) {
	for _, load := range published {
		for _, want := range load.rows {
			p := predict(t, Model{R: want.r, W: want.w, Replicas: Same(3, load.legs)}, Simulation{Trials: *trials, Seed: 1, Workers: 2})
			read, write, until := p.Read(0.999), p.Write(0.999), p.Until(0.999)
			t.Logf("%-9s R=%d W=%d  read %s  write %s  99.9 %% after %s  at once %.4f", load.name, want.r, want.w,
				beside(read, want.read), beside(write, want.write), beside(until, want.until), p.Consistent(0).Value)
			within3 := func(what string, s Span, published float64) {
				d := millis(published)
				require.True(t, s.Low <= d*103/100 && s.High >= d*97/100, "%s: %v, published as %v", what, s, d)
				if *trials >= 1_000_000 {
					require.InEpsilon(t, d, s.Value, 0.03, what)
				}
			}
			within3("read", read, want.read)
			within3("write", write, want.write)
			if want.until > 0 {
				least, most := firstCrossings(p, 400, -3), firstCrossings(p, 100, 3)
				t.Logf("%31s first crossings would be from %.2f to %.2f", "", inMillis(least), inMillis(most))
				require.True(t, least <= millis(want.until) && millis(want.until) <= most)
			}
			if want.r+want.w > 3 {
				require.Zero(t, until.High)
			}
			if want.r == 1 && want.w == 1 {
				require.InDelta(t, load.at0, p.Consistent(0).Value, 0.005)
			}
		}
	}
}

// beside prints an exact quantile, its interval, and what was published.
func beside(s Span, published float64) string {
	return fmt.Sprintf("%8.2f [%8.2f %8.2f] (%g)", inMillis(s.Value), inMillis(s.Low), inMillis(s.High), published)
}

func inMillis(d time.Duration) float64 { return float64(d) / float64(ms) }

// firstCrossings is where sweeps stop that go up in so many steps to the exact quantile, with
// 50,000 new trials at each: so many deviations beside the mean of them. What the paper has as t is
// from 100 to 400 steps.
func firstCrossings(p *Prediction, steps int, deviations float64) time.Duration {
	const sweeps, target, fresh = 100, 0.999, 50_000
	exact, r := p.Until(target).Value, rand.New(rand.NewPCG(1, uint64(steps)))
	var sum, squares float64
	for range sweeps {
		at := exact / 2
		for ; ; at += exact / time.Duration(steps) {
			c := p.Consistent(at).Value
			if c+r.NormFloat64()*math.Sqrt(c*(1-c)/fresh) >= target {
				break
			}
		}
		sum += float64(at) / sweeps
		squares += float64(at) * float64(at) / sweeps
	}
	return time.Duration(sum + deviations*math.Sqrt(max(squares-sum*sum, 0)))
}

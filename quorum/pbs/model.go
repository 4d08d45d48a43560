package pbs

import (
	"fmt"
	"runtime"
	"time"
)

// MaxReplicas, MaxVersions and MaxTrials bound what a [Model] and a [Simulation] may ask for.
const (
	MaxReplicas = 64
	MaxVersions = 1024
	MaxTrials   = 10_000_000
)

// Legs are the four ways of the messages between who asks and one replica: WARS, after
// the initials of the paper. They are one-way times, with whatever the replica does before it
// answers. The zero Legs are those of a replica that takes no time: one's own.
type Legs struct {
	// Write is from the start of a write until the replica has it. If nil, no time.
	Write Distribution
	// Ack is from there until who writes knows. If nil, it takes as long as Write did,
	// each time: a round trip halved.
	Ack Distribution
	// Read is from the start of a read until the replica has looked. If nil, no time.
	Read Distribution
	// Response is from there until who reads knows. If nil, as long as Read did.
	Response Distribution
	// Redrawn are others that these legs might be, for all that was measured, as [Live.Redrawn] makes them: the intervals
	// of a [Prediction] allow for as much as comes of that. Those of replicas that are measured together, i-th and i-th, go
	// together. If empty, the legs are taken to be known. There may be MaxRedraws.
	Redrawn []Legs
}

// Same returns the legs of n replicas that are all alike.
func Same(n int, l Legs) []Legs {
	all := make([]Legs, min(max(n, 0), MaxReplicas+1))
	for i := range all {
		all[i] = l
	}
	return all
}

// A Model is what is known of a cluster that holds a key, and how it is read and written:
// a write goes to all replicas and is acknowledged when W of them have it, a read returns the
// latest of the first R answers. The zero values of the other fields are the model of the
// paper. A Model is not changed by this package, and may be used concurrently.
type Model struct {
	R, W int
	// Replicas are the legs to each of them, the preferred first. Their number is N.
	Replicas []Legs
	// Lean says that a read is sent to R replicas, the first of Replicas, and not to all:
	// so package quorum does while none is late.
	Lean bool
	// Roam says that reads and writes start next to a replica drawn for each of them:
	// Replicas[0] is then the nearest one, Replicas[1] the one after it in a circle,
	// and so on. Otherwise both start in the same place.
	Roam bool
	// Versions is how many of the last versions will do: a read is consistent if it
	// returns one of them, or newer. If zero, 1. More than one takes as many times as
	// long to simulate for writes.
	Versions int
	// Every is how long after one of these versions the next one is acknowledged. If
	// zero, all were at the same moment, which is the worst case.
	Every time.Duration
}

// A Simulation says how much of it there is.
type Simulation struct {
	// Trials is how many writes, each with a read, are drawn. If zero, 100,000. A quantile q
	// needs several times 1/(1-q).
	Trials int
	// Seed makes two runs alike, or different. What comes of one is the same for any
	// number of Workers; between platforms it may differ in the last digits.
	Seed uint64
	// Confidence is how often an interval holds the truth of the Model. If zero, 0.95.
	Confidence float64
	// Workers is how many goroutines share the trials. They end before the call does. If
	// zero, 1; more than there are processors are as many as those.
	Workers int
}

func (s Simulation) or() Simulation {
	if s.Trials == 0 {
		s.Trials = 100_000
	}
	if s.Confidence == 0 {
		s.Confidence = 0.95
	}
	s.Workers = min(max(s.Workers, 1), runtime.GOMAXPROCS(0))
	return s
}

func (f *faults) simulation(s *Simulation) {
	f.unless(s.Trials > 0 && s.Trials <= MaxTrials, "Trials", "is not from 1 to %d", MaxTrials)
	f.unless(s.Confidence > 0 && s.Confidence <= 1-1e-9, "Confidence", "is not between 0 and 1")
}

func (f *faults) model(m *Model) {
	n := len(m.Replicas)
	f.unless(n <= MaxReplicas, "Replicas", "are %d, and may be %d", n, MaxReplicas)
	f.unless(m.R > 0 && m.R <= n, "R", "is %d of %d replicas", m.R, n)
	f.unless(m.W > 0 && m.W <= n, "W", "is %d of %d replicas", m.W, n)
	f.unless(m.Versions >= 0 && m.Versions <= MaxVersions, "Versions", "is not from 0 to %d", MaxVersions)
	f.unless(m.Every >= 0 && m.Every <= far/MaxVersions, "Every", "is negative, or longer than %v", far/MaxVersions)
	if n <= MaxReplicas {
		f.replicas(m.Replicas)
	}
}

func (f *faults) replicas(all []Legs) {
	for i := range all {
		name, l := fmt.Sprintf("Replicas[%d]", i), &all[i]
		f.legs(name, l)
		f.unless(len(l.Redrawn) <= MaxRedraws, name+".Redrawn", "are more than %d", MaxRedraws)
		f.redrawn(name, l.Redrawn)
	}
}

func (f *faults) legs(name string, l *Legs) {
	f.distribution(name+".Write", l.Write)
	f.distribution(name+".Ack", l.Ack)
	f.distribution(name+".Read", l.Read)
	f.distribution(name+".Response", l.Response)
}

func (f *faults) redrawn(name string, all []Legs) {
	for i := range all[:min(len(all), MaxRedraws)] {
		l := all[i]
		l.Redrawn = nil // of which nothing comes
		before := len(*f)
		if f.legs(fmt.Sprintf("%s.Redrawn[%d]", name, i), &l); len(*f) > before {
			return
		}
	}
}

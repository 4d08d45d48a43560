package simulation

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// summary adds up runs.
type summary struct {
	start time.Time
	took  time.Duration
	from  uint64

	mu        sync.Mutex
	runs      int
	events    uint64
	virtual   time.Duration
	counts    Counts
	worst     time.Duration // the longest way from the last fault to convergence
	worstSeed uint64
	hash      uint64 // of all runs, in any order
	first     *Violation
}

func newSummary(from uint64) *summary { return &summary{start: time.Now(), from: from} }

func (s *summary) add(res Result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.events += res.Events
	s.virtual += res.Virtual
	s.hash += mix(res.Seed, res.Hash)
	s.counts.add(res.Counts)
	if res.Counts.Converged > s.worst {
		s.worst, s.worstSeed = res.Counts.Converged, res.Seed
	}
	if v, ok := errors.AsType[*Violation](err); ok && (s.first == nil || v.Seed < s.first.Seed) {
		s.first = v
	}
}

func (s *summary) failedBefore(seed uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first != nil && s.first.Seed < seed
}

func (s *summary) failure() error {
	if s.first == nil {
		return nil
	}
	return s.first
}

func (s *summary) String() string {
	took := s.took
	per := func(n float64) float64 { return n / took.Seconds() }
	c := s.counts
	return fmt.Sprintf("%d seeds from %d in %.1fs: %.0f seeds/s, %.0f events/s, %.0f s of virtual time per second; hash of all %016x\n"+
		"updates %d (%d acknowledged), reads %d (%d answered), messages %d (%d lost, %d doubled), rounds %d, pushes %d, overflows %d\n"+
		"crashes %d, lost disks %d, cuts %d, merges refused by clocks %d, states checked %d; slowest convergence %v (seed %d)",
		s.runs, s.from, took.Seconds(), per(float64(s.runs)), per(float64(s.events)), per(s.virtual.Seconds()), s.hash,
		c.Updates, c.Acknowledged, c.Reads, c.Answered, c.Messages, c.Lost, c.Copied, c.Rounds, c.Pushes, c.Overflowed,
		c.Crashes, c.Amnesia, c.Cuts, c.Refused, c.States, s.worst, s.worstSeed)
}

func (c *Counts) add(o Counts) {
	c.Updates += o.Updates
	c.Acknowledged += o.Acknowledged
	c.Reads += o.Reads
	c.Answered += o.Answered
	c.Messages += o.Messages
	c.Lost += o.Lost
	c.Copied += o.Copied
	c.Crashes += o.Crashes
	c.Amnesia += o.Amnesia
	c.Cuts += o.Cuts
	c.Rounds += o.Rounds
	c.Pushes += o.Pushes
	c.Overflowed += o.Overflowed
	c.States += o.States
	c.Refused += o.Refused
	if c.Did == nil {
		c.Did = make(map[string]int)
	}
	for what, n := range o.Did {
		c.Did[what] += n
	}
}

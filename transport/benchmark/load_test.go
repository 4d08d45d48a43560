package benchmark

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// A load is what callers do, each one call after the other.
type load struct {
	Size    int // bytes of a request, and of its response
	Callers int
	For     time.Duration
}

// A result is what a load has shown, of both sides together.
type result struct {
	Rate      float64 // calls of all callers in a second
	Processor float64 // µs of it that each takes
	Allocs    float64 // objects that each allocates
}

// callers are those that a system has had: each has a way of its own, which it keeps.
type callers struct {
	system system
	calls  []func(req []byte) ([]byte, error)
}

func (c *callers) atLeast(n int) error {
	for len(c.calls) < n {
		call, err := c.system.caller()
		if err != nil {
			return err
		}
		c.calls = append(c.calls, call)
	}
	return nil
}

// run lets callers loose on a system.
func (c *callers) run(l load) (result, error) {
	if err := c.atLeast(l.Callers); err != nil {
		return result{}, err
	}
	counts, errs := make([]int, l.Callers), make([]error, l.Callers)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin, used := time.Now(), processorTime()
	var group sync.WaitGroup
	for i := range l.Callers {
		group.Go(func() { counts[i], errs[i] = work(c.calls[i], l.Size, begin.Add(l.For)) })
	}
	group.Wait()
	took := time.Since(begin)
	used = processorTime() - used
	runtime.ReadMemStats(&after)
	all := 0
	for _, n := range counts {
		all += n
	}
	return result{
		Rate:      float64(all) / took.Seconds(),
		Processor: used.Seconds() * 1e6 / float64(all),
		Allocs:    float64(after.Mallocs-before.Mallocs) / float64(all),
	}, errors.Join(errs...)
}

// work calls until the end, and looks into the first answer and at the length of all.
func work(call func([]byte) ([]byte, error), size int, end time.Time) (calls int, err error) {
	req := bytes.Repeat([]byte("eventual"), size/8+1)[:size]
	for ; ; calls++ {
		resp, err := call(req)
		if err != nil {
			return calls, err
		}
		if len(resp) != size || calls == 0 && !bytes.Equal(req, resp) {
			return calls, fmt.Errorf("%d bytes came back of %d", len(resp), size)
		}
		if !time.Now().Before(end) {
			return calls + 1, nil
		}
	}
}

package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A SyntaxError says where a script or a trace is not one.
type SyntaxError struct {
	Line   int    // from 1
	Reason string // what is wrong there
}

// Error says where and what.
func (e *SyntaxError) Error() string { return fmt.Sprintf("faults: line %d: %s", e.Line, e.Reason) }

// maxLine is the most bytes that a line of a trace may have.
const maxLine = 1 << 20

// version is that of the form in which traces are written.
const version = 1

// A heading is the first line of a written trace.
type heading struct {
	Trace   int    `json:"trace"` // version
	Dropped uint64 `json:"dropped"`
}

// WriteTo writes the trace as lines of JSON: a heading with the version of the form
// and the number of events that are not held any more, then an [Event] each. Names
// that are not UTF-8 come back changed.
func (t *Trace) WriteTo(w io.Writer) (int64, error) {
	events, dropped := t.Events(), t.Dropped()
	count := &counter{w: w}
	buffer := bufio.NewWriter(count)
	enc := json.NewEncoder(buffer)
	enc.SetEscapeHTML(false)
	err := enc.Encode(heading{Trace: version, Dropped: dropped})
	for i := 0; err == nil && i < len(events); i++ {
		err = enc.Encode(&events[i])
	}
	err = errors.Join(err, buffer.Flush())
	return count.n, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// ReadTrace reads a trace that WriteTo has written, to the end of r. What is not one
// is a [*SyntaxError]; errors of r pass untouched. It takes memory in proportion to
// what it reads. Fields that it does not know are ignored. The Limit of the trace is
// what it has.
func ReadTrace(r io.Reader) (*Trace, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	t, line := new(Trace), 1
	if err := readHeading(lines, t); err != nil {
		return nil, err
	}
	for line = 2; lines.Scan(); line++ {
		var e Event
		if err := readEvent(lines.Bytes(), &e); err != nil {
			return nil, &SyntaxError{Line: line, Reason: err.Error()}
		}
		t.events = append(t.events, e)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &SyntaxError{Line: line, Reason: fmt.Sprintf("over %d bytes", maxLine)}
	} else if err != nil {
		return nil, err
	}
	t.Limit = len(t.events)
	return t, nil
}

func readHeading(lines *bufio.Scanner, t *Trace) error {
	if !lines.Scan() {
		if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			return err
		}
		return &SyntaxError{Line: 1, Reason: "no heading of a trace"}
	}
	var h heading
	if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
		return &SyntaxError{Line: 1, Reason: "no heading of a trace: " + err.Error()}
	}
	if h.Trace != version {
		return &SyntaxError{Line: 1, Reason: fmt.Sprintf("version %d of traces is not known", h.Trace)}
	}
	t.dropped = h.Dropped
	return nil
}

func readEvent(line []byte, e *Event) error {
	if err := json.Unmarshal(line, e); err != nil {
		return err
	}
	if e.What == "" {
		return errors.New("an event without what it is")
	}
	if !within(e.At) || !within(e.Took) || len(e.Delays) > 2 {
		return errors.New("times are from 0 to 36 years, and delays are two at most")
	}
	for _, d := range e.Delays {
		if !within(d) {
			return errors.New("delays are from 0 to 36 years")
		}
	}
	return nil
}

// within says whether a time is one that can be reckoned with.
func within(d time.Duration) bool { return d >= 0 && d <= far }

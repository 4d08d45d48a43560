package faults

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Parse reads a script: a step a line, in any order.
//
//	# a comment; empty lines do not count
//	1s link a b latency=20ms jitter=5ms loss=0.05 duplicate=0.01 reorder=0.1 bandwidth=1MB/s burst=64kB
//	1s link b a delay=wan        # one of Network.Delays
//	1s links loss=0.01           # all that have nothing of their own
//	2s cut a b                   # what a sends to b
//	2s every 10s until 60s restore a b
//	5s partition a b | c d
//	8s heal
//	3s freeze c
//	4s thaw c
//	4s slow d 20ms
//	9s slow d 0s
//	9s unlink a b
//	10s down a
//	12s up a
//
// Times are Go's durations, sizes have the units B, kB, MB and GB of 1,000 each.
// The name of a node that has anything but letters, digits and "_.:/@+-" in it is
// quoted as in Go. What is not a script is a [*SyntaxError]; nothing of it is
// returned then. Reading costs time and memory in proportion to the text.
func Parse(text string) (Script, error) {
	var s Script
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		step, ok, err := parseLine(line)
		if err != nil {
			return nil, &SyntaxError{Line: number, Reason: err.Error()}
		}
		if ok {
			s = append(s, step)
		}
	}
	return s, nil
}

// parseLine reads a step, if there is one.
func parseLine(line string) (s Step, ok bool, err error) {
	words, err := split(line)
	if err != nil || len(words.list) == 0 {
		return s, false, err
	}
	s.At = words.duration("a time")
	if words.skip("every") {
		s.Every = words.duration("a time after every")
		words.need(s.Every > 0, "every is at least 1ms")
		if words.skip("until") {
			s.Until = words.duration("a time after until")
			words.need(s.Until > 0, "until is not before the first time")
		}
	}
	words.action(&s)
	return s, words.err == nil, words.err
}

// parseAction reads a step without its times.
func parseAction(text string) (s Step, err error) {
	words, err := split(text)
	if err != nil {
		return s, err
	}
	words.action(&s)
	return s, words.err
}

// A word is a part of a line, without the quotes that it may have had. One with an
// equals sign has a key.
type word struct {
	key, text string
	quoted    bool
}

// words are what is left of a line, and the first thing that was wrong with it.
type words struct {
	list []word
	err  error
}

func split(line string) (w words, err error) {
	for line = trim(line); line != "" && line[0] != '#'; line = trim(line) {
		var next word
		if next, line, err = cut(line); err != nil {
			return words{}, err
		}
		w.list = append(w.list, next)
	}
	return w, nil
}

func trim(s string) string { return strings.TrimLeft(s, " \t\r") }

// cut takes the first word off a line that does not begin with a space.
func cut(line string) (w word, rest string, err error) {
	n := strings.IndexAny(line, " \t\r\"=")
	if n < 0 {
		return word{text: line}, "", nil
	}
	if line[n] == '=' {
		if n == 0 {
			return w, "", errors.New("an equals sign without what it sets")
		}
		w.key, line = line[:n], line[n+1:]
		if n = strings.IndexAny(line, " \t\r\""); n < 0 {
			n = len(line)
		}
	}
	if n < len(line) && line[n] == '"' && n > 0 {
		return w, "", errors.New("a quote within a word")
	}
	if n == 0 && strings.HasPrefix(line, `"`) {
		return unquote(w, line)
	}
	w.text = line[:n]
	return w, line[n:], nil
}

func unquote(w word, line string) (word, string, error) {
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return w, "", errors.New("a quote without its end")
	}
	w.quoted = true
	w.text, err = strconv.Unquote(quoted)
	rest := line[len(quoted):]
	if err == nil && rest != "" && trim(rest) == rest {
		err = errors.New("a quote within a word")
	}
	return w, rest, err
}

func (w *words) need(ok bool, reason string) {
	if !ok && w.err == nil {
		w.err = errors.New(reason)
	}
}

// skip takes a word off that is this one.
func (w *words) skip(text string) bool {
	if len(w.list) == 0 || w.list[0] != (word{text: text}) {
		return false
	}
	w.list = w.list[1:]
	return true
}

// next takes a word off, and wants one without a key.
func (w *words) next(what string) word {
	if len(w.list) == 0 || w.list[0].key != "" {
		w.need(false, what+" is missing")
		return word{}
	}
	first := w.list[0]
	w.list = w.list[1:]
	return first
}

func (w *words) duration(what string) time.Duration {
	text := w.next(what).text
	d, err := time.ParseDuration(text)
	w.need(err == nil && within(d), fmt.Sprintf("%.20q is not %s", text, what))
	return d
}

func (w *words) node() transport.NodeID {
	id := w.next("the name of a node")
	w.need(id.quoted || isBare(id.text), fmt.Sprintf("the name %.20q needs quotes", id.text))
	return transport.NodeID(id.text)
}

// action reads what is left of a line.
func (w *words) action(s *Step) {
	s.Do = w.next("what to do").text
	switch s.Do {
	case "cut", "restore", "unlink":
		s.From, s.To = w.node(), w.node()
	case "link":
		s.From, s.To = w.node(), w.node()
		w.settings(s)
	case "links":
		w.settings(s)
	case "partition":
		w.groups(s)
	case "freeze", "thaw", "down", "up":
		s.From = w.node()
	case "slow":
		s.From, s.By = w.node(), w.duration("a time")
	}
	w.need(s.fault() == "", s.fault())
	w.need(len(w.list) == 0, "there is more on the line than belongs there")
}

func (w *words) groups(s *Step) {
	s.Groups = [][]transport.NodeID{nil}
	for len(w.list) > 0 && w.err == nil {
		last := len(s.Groups) - 1
		if w.skip("|") {
			s.Groups = append(s.Groups, nil)
		} else {
			s.Groups[last] = append(s.Groups[last], w.node())
		}
	}
}

// settings reads what a link does.
func (w *words) settings(s *Step) {
	seen := make(map[string]bool)
	for ; len(w.list) > 0 && w.err == nil; w.list = w.list[1:] {
		next := w.list[0]
		w.need(next.key != "", fmt.Sprintf("%.20q is not a setting of a link", next.text))
		w.need(!seen[next.key], fmt.Sprintf("%.20q is set twice", next.key))
		seen[next.key] = true
		err := s.set(next)
		w.need(err == nil, fmt.Sprintf("%.20q is nothing that %.20q can be", next.text, next.key))
	}
}

func (s *Step) set(w word) (err error) {
	switch l := &s.Link; w.key {
	case "latency":
		l.Latency, err = time.ParseDuration(w.text)
	case "jitter":
		l.Jitter, err = time.ParseDuration(w.text)
	case "delay":
		s.Delay = w.text
		if w.text == "" || !w.quoted && !isBare(w.text) {
			err = errors.New("no name")
		}
	case "loss":
		l.Loss, err = strconv.ParseFloat(w.text, 64)
	case "duplicate":
		l.Duplicate, err = strconv.ParseFloat(w.text, 64)
	case "reorder":
		l.Reorder, err = strconv.ParseFloat(w.text, 64)
	case "bandwidth":
		text, ok := strings.CutSuffix(w.text, "/s")
		if l.Bandwidth, err = parseSize(text); !ok {
			err = errors.New("not per second")
		}
	case "burst":
		l.Burst, err = parseSize(w.text)
	default:
		err = errors.New("not a setting")
	}
	return err
}

// units are those of sizes, the largest first.
var units = []struct {
	name string
	size int
}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

func parseSize(text string) (int, error) {
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			n, err := strconv.ParseUint(number, 10, 31)
			if err == nil && n > uint64(maxSize/u.size) {
				err = errors.New("too large")
			}
			return int(n) * u.size, err
		}
	}
	return 0, errors.New("no unit")
}

// maxSize is 2 GB, since an int may have 32 bits.
const maxSize = 1<<31 - 1

func isBare(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_.:/@+-", c) >= 0) {
			return false
		}
	}
	return s != ""
}

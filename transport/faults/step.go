package faults

import (
	"errors"
	"fmt"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Step is something that is done to a network at some time: a line of a [Script].
// Do is one of these words, and says which of the other fields it goes by:
//
//	cut restore unlink       From, To       the link from one node to another
//	link                     From, To, Link, Delay
//	links                    Link, Delay    all links that have none of their own
//	partition                Groups
//	heal                                    partitions and cuts
//	freeze thaw down up      From           that node
//	slow                     From, By
//
// They do what the methods of [Network] do that are called alike. "down" and "up" stop a
// node and start it again, which a [Network] cannot, and a transport/mem network can.
type Step struct {
	At    time.Duration // when, since the script began
	Every time.Duration // if not zero, again and again after so long; at least a millisecond
	Until time.Duration // with Every: the latest time at which it is done; zero: no end

	Do       string
	From, To transport.NodeID
	Groups   [][]transport.NodeID
	By       time.Duration
	Link     Link
	Delay    string // the name, among Network.Delays, of what Link.Delay is
}

// A Target is what a step is done to: a [*Network], a transport/mem network, or
// one's own, which does what a Network cannot and hands it the rest.
type Target interface {
	Apply(s Step) error
}

// ErrStep says that a step cannot be done to this target: it has no meaning, is one
// for the machine that runs the nodes ("down", "up"), or names a distribution that
// is not known.
var ErrStep = errors.New("faults: no such step")

// Apply does what a step says, now. It returns an error that is [ErrStep] if it
// cannot, and then does nothing.
func (n *Network) Apply(s Step) error {
	if err := s.check(); err != nil {
		return err
	}
	link, known := s.Link, true
	if s.Delay != "" {
		link.Delay, known = n.Delays[s.Delay]
	}
	if !known {
		return fmt.Errorf("%w: no distribution %q", ErrStep, s.Delay)
	}
	switch s.Do {
	case "link":
		n.SetLink(s.From, s.To, link)
	case "links":
		n.SetLinks(link)
	case "unlink":
		n.ResetLink(s.From, s.To)
	case "cut":
		n.Cut(s.From, s.To)
	case "restore":
		n.Restore(s.From, s.To)
	default:
		return n.applyToNodes(s)
	}
	return nil
}

func (n *Network) applyToNodes(s Step) error {
	switch s.Do {
	case "partition":
		n.Partition(s.Groups...)
	case "heal":
		n.Heal()
	case "freeze":
		n.Freeze(s.From)
	case "thaw":
		n.Thaw(s.From)
	case "slow":
		n.Slow(s.From, s.By)
	default:
		return fmt.Errorf("%w: a network cannot do %q", ErrStep, s.Do)
	}
	return nil
}

// Note records a step that was done to the nodes and not to the network: that one
// is down, or up again. It is for those who write a [Target].
func (t *Trace) Note(s Step) { t.step(s) }

// check refuses a step that means nothing.
func (s Step) check() error {
	if reason := s.fault(); reason != "" {
		return fmt.Errorf("%w: %s", ErrStep, reason)
	}
	return nil
}

// fault says what is wrong with a step, if anything is.
func (s Step) fault() string {
	switch {
	case !within(s.At) || !within(s.Every) || !within(s.Until) || !within(s.By):
		return "times are from 0 to 36 years"
	case s.Every > 0 && s.Every < time.Millisecond:
		return "every is at least 1ms"
	case s.Until > 0 && (s.Every == 0 || s.Until < s.At):
		return "until goes with every, and is not before the first time"
	}
	switch s.Do {
	case "cut", "restore", "unlink":
		return names(s.From, s.To)
	case "link":
		if wrong := names(s.From, s.To); wrong != "" {
			return wrong
		}
		return s.linkFault()
	case "links":
		return s.linkFault()
	case "partition":
		return s.groupsFault()
	case "freeze", "thaw", "down", "up", "slow":
		return names(s.From)
	case "heal":
		return ""
	}
	return fmt.Sprintf("nothing is called %.20q", s.Do)
}

func (s Step) linkFault() string {
	if s.Link.Delay != nil {
		return "a step names its distribution"
	}
	if err := s.Link.check(); err != nil {
		return err.Error()
	}
	return ""
}

func (s Step) groupsFault() string {
	if len(s.Groups) == 0 {
		return "a partition has groups"
	}
	for _, group := range s.Groups {
		if len(group) == 0 {
			return "a group has nodes"
		}
		if wrong := names(group...); wrong != "" {
			return wrong
		}
	}
	return ""
}

func names(nodes ...transport.NodeID) string {
	for _, id := range nodes {
		if id == "" || len(id) > transport.MaxName {
			return fmt.Sprintf("the name of a node has 1 to %d bytes", transport.MaxName)
		}
	}
	return ""
}

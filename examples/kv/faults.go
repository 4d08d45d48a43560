package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
)

// A faultPlan is the body of POST /v1/faults. It replaces the one before.
type faultPlan struct {
	Cut   []transport.NodeID `json:"cut,omitempty"`   // peers that cannot be reached
	Delay duration           `json:"delay,omitempty"` // of each message that is sent
	Loss  float64            `json:"loss,omitempty"`  // probability that it is lost
}

func (p *faultPlan) check(peers []transport.NodeID) error {
	if p.Loss < 0 || p.Loss > 1 {
		return errors.New("loss is a probability, 0 to 1")
	}
	if p.Delay < 0 {
		return errors.New("delay must not be negative")
	}
	for _, id := range p.Cut {
		if !slices.Contains(peers, id) {
			return fmt.Errorf("cut: no peer %q", id)
		}
	}
	return nil
}

// put replaces what is wrong with a node's links by the plan: links are cut both ways,
// delay and loss are of what the node sends.
func (p *faultPlan) put(self transport.NodeID, net *faults.Network) {
	net.Heal()
	net.SetLinks(faults.Link{Latency: time.Duration(p.Delay), Loss: p.Loss})
	for _, peer := range p.Cut {
		net.Cut(self, peer)
		net.Cut(peer, self)
	}
}

// duration is a time.Duration that JSON writes as "50ms".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}

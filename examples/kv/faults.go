package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// faults stands between a node and its network, and does to both directions of
// its links what POST /v1/faults asks for. The zero value does nothing.
type faults struct {
	now atomic.Pointer[faultPlan]
}

// A faultPlan is the body of POST /v1/faults. It replaces the one before.
type faultPlan struct {
	Cut   []transport.NodeID `json:"cut,omitempty"`   // peers that cannot be reached
	Delay duration           `json:"delay,omitempty"` // of each message, one way
	Loss  float64            `json:"loss,omitempty"`  // probability that a message is lost
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

func (f *faults) set(p *faultPlan) { f.now.Store(p) }

// caller puts the faults on calls that this node makes.
func (f *faults) caller(next transport.Caller) transport.Caller {
	return faultyCaller{f, next}
}

type faultyCaller struct {
	f    *faults
	next transport.Caller
}

func (c faultyCaller) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return c.f.pass(ctx, to, func() ([]byte, error) { return c.next.Call(ctx, to, method, req) })
}

// handler puts them on calls that peers make to this node.
func (f *faults) handler(next transport.Handler) transport.Handler {
	return transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
		return f.pass(ctx, from, func() ([]byte, error) { return next.ServeCall(ctx, from, method, req) })
	})
}

// pass is one call over the link to peer: a request one way, a reply the other.
func (f *faults) pass(ctx context.Context, peer transport.NodeID, call func() ([]byte, error)) ([]byte, error) {
	if err := f.message(ctx, peer); err != nil {
		return nil, err
	}
	resp, err := call()
	if lost := f.message(ctx, peer); lost != nil {
		return nil, lost
	}
	return resp, err
}

// message is one message over the link: it fails, waits, or passes.
func (f *faults) message(ctx context.Context, peer transport.NodeID) error {
	p := f.now.Load()
	if p == nil {
		return nil
	}
	if slices.Contains(p.Cut, peer) {
		return fmt.Errorf("link to %s is cut: %w", peer, transport.ErrUnreachable)
	}
	if p.Loss > 0 && rand.Float64() < p.Loss {
		<-ctx.Done() // nobody tells the sender
		return ctx.Err()
	}
	if p.Delay > 0 {
		select {
		case <-time.After(time.Duration(p.Delay)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// duration is a time.Duration that JSON writes as "50ms".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}

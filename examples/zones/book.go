package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A book knows the addresses of nodes: a ring has their names alone. Whom it does not know it asks
// the others for, so that the address of a node that joins is told to one of them.
type book struct {
	self   transport.NodeID
	caller transport.Caller

	mu    sync.Mutex
	addrs map[transport.NodeID]string
}

func newBook(peers []peer, self peer) *book {
	b := &book{self: self.ID, addrs: map[transport.NodeID]string{self.ID: self.Addr}}
	for _, p := range peers {
		b.addrs[p.ID] = p.Addr
	}
	return b
}

func (b *book) add(id transport.NodeID, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addrs[id] = addr
}

func (b *book) lookup(id transport.NodeID) (addr string, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	addr, known = b.addrs[id]
	return addr, known
}

func (b *book) known() []transport.NodeID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.addrs))
}

// resolve is what the transport asks before it dials. It calls only nodes whose address is known.
func (b *book) resolve(ctx context.Context, id transport.NodeID) (string, error) {
	if addr, known := b.lookup(id); known {
		return addr, nil
	}
	for _, other := range b.known() {
		if other == b.self {
			continue
		}
		if addr, err := b.ask(ctx, other, id); err == nil {
			b.add(id, addr)
			return addr, nil
		}
	}
	return "", fmt.Errorf("%w of %q", errNoAddress, id)
}

var errNoAddress = errors.New("nobody knows the address")

func (b *book) ask(ctx context.Context, other, id transport.NodeID) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	addr, err := b.caller.Call(ctx, other, "book/address", []byte(id))
	return string(addr), err
}

// ServeCall answers what another node's book asks.
func (b *book) ServeCall(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	if addr, known := b.lookup(transport.NodeID(req)); known {
		return []byte(addr), nil
	}
	return nil, fmt.Errorf("no address of %q", req)
}

package transport

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A Mux is a [Handler] that hands each call to the handler with the longest
// prefix of its method. The zero value is ready to use, and knows no method. A Mux
// is safe for concurrent use, also while it serves: a change is seen by the calls
// that start after it. A Mux must not be copied after first use.
type Mux struct {
	mu     sync.Mutex
	routes atomic.Pointer[[]route] // longest prefix first; replaced, never changed
}

type route struct {
	prefix  string
	handler Handler
}

// Handle has h serve every method that starts with prefix, unless a longer prefix
// is handled too. A prefix is compared as bytes: end it in a slash to own a family
// of methods. The empty prefix serves what no other does. Handle replaces the
// handler of an equal prefix; a nil h takes it away.
func (m *Mux) Handle(prefix string, h Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(m.list()), func(r route) bool { return r.prefix == prefix })
	if h != nil {
		next = append(next, route{prefix, h})
	}
	slices.SortFunc(next, func(a, b route) int { return len(b.prefix) - len(a.prefix) })
	m.routes.Store(&next)
}

// ServeCall hands the call to the handler with the longest prefix of method. It
// returns an error that is [ErrUnknownMethod] if there is none.
func (m *Mux) ServeCall(ctx context.Context, from NodeID, method string, req []byte) ([]byte, error) {
	for _, r := range m.list() {
		if strings.HasPrefix(method, r.prefix) {
			return r.handler.ServeCall(ctx, from, method, req)
		}
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownMethod, method)
}

func (m *Mux) list() []route {
	if p := m.routes.Load(); p != nil {
		return *p
	}
	return nil
}

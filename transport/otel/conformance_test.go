package transportotel

import (
	"context"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/transporttest"
)

// traced is a network all of whose calls are traced, if plain at the calling end alone.
type traced struct {
	network mem.Network
	plain   bool
}

func (n *traced) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	tracing := &Tracing{Provider: sdktrace.NewTracerProvider()}
	if n.plain {
		h = refusing{h}
	} else {
		h = tracing.Handler(h)
	}
	return tracing.Caller(n.network.Node(id, h))
}

// refusing is a node without tracing, that refuses the methods it does not know: the
// suite's own handlers serve them all, and count.
type refusing struct{ transport.Handler }

func (r refusing) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	if strings.HasPrefix(method, Prefix) || r.Handler == nil {
		return nil, transport.ErrUnknownMethod
	}
	return r.Handler.ServeCall(ctx, from, method, req)
}

func (n *traced) Stop(id transport.NodeID) { n.network.Down(id) }
func (n *traced) MaxMessage() int          { return n.network.MaxMessage }

func TestConformance(t *testing.T) {
	for name, plain := range map[string]bool{"BothEnds": false, "CallersAlone": true} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T) transporttest.Network {
				return &traced{network: mem.Network{MaxMessage: 128 << 10}, plain: plain}
			})
		})
	}
}

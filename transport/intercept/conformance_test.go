package intercept_test

import (
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/transporttest"
)

// intercepted is a network all of whose calls pass all interceptors.
type intercepted struct {
	network mem.Network
	metrics intercept.Metrics
	access  intercept.Access
	log     intercept.Log
}

func (n *intercepted) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	h = n.log.Handler(n.metrics.Handler(n.access.Handler(h)))
	return n.log.Caller(n.metrics.Caller(n.network.Node(id, h)))
}

func (n *intercepted) Stop(id transport.NodeID) { n.network.Down(id) }
func (n *intercepted) MaxMessage() int          { return n.network.MaxMessage }

func TestConformance(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Network {
		n := &intercepted{network: mem.Network{MaxMessage: 128 << 10}}
		n.access.Rules = map[string]intercept.Rule{"": intercept.Anyone}
		n.log.Logger = quiet
		t.Cleanup(func() {
			if n.access.Denied() > 0 {
				t.Error("calls were denied")
			}
		})
		return n
	})
}

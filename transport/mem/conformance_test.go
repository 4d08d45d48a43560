package mem_test

import (
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/transporttest"
)

type network struct{ mem.Network }

func (n *network) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return n.Node(id, h)
}
func (n *network) Stop(id transport.NodeID) { n.Down(id) }
func (n *network) MaxMessage() int          { return n.Network.MaxMessage }

func TestConformance(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Network {
		return &network{mem.Network{MaxMessage: 1 << 20}}
	})
}

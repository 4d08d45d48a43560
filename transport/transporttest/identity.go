package transporttest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A Poser is a Network whose nodes prove to each other who they are; then it is tested
// that they must.
type Poser interface {
	// Pose starts a node as Start does, that can prove to be the node id and says that it
	// is the node as: in the calls that it makes, and where others look for that node.
	Pose(id, as transport.NodeID, h transport.Handler) transport.Caller
}

// A node that says that it is another one is neither served nor called.
func testIdentity(t *testing.T, n Network) {
	poser, ok := n.(Poser)
	if !ok {
		t.Skip("nodes of the Network are who they say")
	}
	served := make(chan transport.NodeID, 1)
	h := transport.HandlerFunc(func(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
		served <- from
		return nil, nil
	})
	b := n.Start("b", h)
	honest := poser.Pose("m", "m", h)
	call(t, honest, "b", "m", nil)
	require.Equal(t, transport.NodeID("m"), receive(t, served))
	call(t, b, "m", "m", nil)
	require.Equal(t, transport.NodeID("b"), receive(t, served))
	impostor := poser.Pose("m", "a", h)
	require.ErrorIs(t, fails(t, impostor, "b", "m", nil), transport.ErrUnreachable)
	require.ErrorIs(t, fails(t, b, "a", "m", nil), transport.ErrUnreachable)
	require.Empty(t, served)
	a := poser.Pose("a", "a", h)
	call(t, a, "b", "m", nil)
	require.Equal(t, transport.NodeID("a"), receive(t, served))
}

package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/vclock"
	"github.com/stretchr/testify/require"
)

type values = crdt.MVRegister[string]

// A register is a Replica of one MVRegister.
type register struct {
	mu sync.Mutex
	values
}

func encoded(v *values) []byte {
	if v.IsZero() {
		return nil
	}
	b, _ := v.AppendBinary(nil)
	return b
}

func decoded(b []byte) *values {
	v := new(values)
	if len(b) > 0 {
		_ = v.UnmarshalBinary(b)
	}
	return v
}

func (r *register) Load(context.Context, string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return encoded(&r.values), nil
}

func (r *register) Merge(_ context.Context, _ string, state []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values.Merge(decoded(state))
	return state, nil
}

func (r *register) put(since *vclock.Context, v string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return encoded(r.Put(vclock.Named("a"), since, v))
}

func merged(a, b []byte) ([]byte, error) {
	v := decoded(a)
	v.Merge(decoded(b))
	return encoded(v), nil
}

// leaky is a network that loses some of what it carries.
type leaky struct {
	mu       sync.Mutex
	random   *rand.Rand
	handlers map[nodeID]transport.Handler
}

func (l *leaky) Call(ctx context.Context, to nodeID, method string, req []byte) ([]byte, error) {
	l.mu.Lock()
	lost := l.random.IntN(3) == 0
	l.mu.Unlock()
	if lost {
		return nil, errDown
	}
	return l.handlers[to].ServeCall(ctx, "", method, req)
}

// Trap 9, of clients whose reads go to whichever replica is near: who does not read its own writes
// writes beside them, for ever. Clients write through one coordinator with what they
// read last, by another: there are no more siblings than clients.
func TestTrap09_ClientsOverwriteWhatTheyWrote(t *testing.T) {
	const clients, writes = 4, 200
	require.LessOrEqual(t, siblings(t, clients, writes, true), clients)
	require.Greater(t, siblings(t, clients, writes, false), clients, "the negative control")
}

// siblings returns how many there were at most.
func siblings(t *testing.T, clients, writes int, sessions bool) (most int) {
	synctest.Test(t, func(t *testing.T) {
		net := &leaky{random: rand.New(rand.NewPCG(3, 3)), handlers: map[nodeID]transport.Handler{}}
		at, all := map[nodeID]*register{}, map[nodeID]*quorum.Coordinator{}
		ring := quorum.Everywhere{"a", "b", "c"}
		for _, id := range ring {
			at[id] = new(register)
			all[id] = &quorum.Coordinator{Self: id, Local: at[id], Ring: ring, Caller: net, Join: merged}
			net.handlers[id] = all[id].Handler()
		}
		own := make([]*Session, clients)
		read := make([]*vclock.Context, clients)
		for i := range writes {
			k := i % clients
			if own[k] == nil {
				own[k] = &Session{Guarantees: ReadYourWrites | MonotonicReads}
			}
			var asked Quorum = own[k]
			own[k].Quorum = all["a"]
			if !sessions {
				asked = all["a"]
			}
			delta := at["a"].put(read[k], fmt.Sprint(i))
			_, err := asked.Write(t.Context(), "k", delta, quorum.WriteOptions{Level: quorum.One, Applied: true})
			require.NoError(t, err)
			most = max(most, len(at["a"].Values()))

			near := all[ring[1+i%2]] // not where it was written
			if own[k].Quorum = near; !sessions {
				asked = near
			}
			res, err := asked.Read(t.Context(), "k", quorum.ReadOptions{Level: quorum.One})
			if err == nil {
				read[k] = decoded(res.State).Context()
			} else { // nobody is reached who has it: the client reads where it wrote
				own[k].Quorum = all["a"]
				res, err = own[k].Read(t.Context(), "k", quorum.ReadOptions{Level: quorum.One})
				require.NoError(t, err)
				read[k] = decoded(res.State).Context()
			}
			synctest.Wait()
		}
		time.Sleep(time.Minute) // of the bubble: what calls left behind ends
	})
	return most
}

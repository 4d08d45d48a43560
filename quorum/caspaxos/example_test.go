package caspaxos_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// A member is a node of a service: profiles are eventually consistent, names are agreed on, both in one store.
type member struct {
	store    *store.Store
	profiles *quorum.Coordinator
	names    *caspaxos.Registers
}

func join(net *mem.Network, self transport.NodeID, ring quorum.Ring, kinds *crdt.Kinds) *member {
	s := store.New(store.Config{Kinds: kinds})
	m := &member{
		store:    s,
		profiles: &quorum.Coordinator{Self: self, Local: s, Ring: ring, Join: s.Join},
		names:    &caspaxos.Registers{Self: self, Local: s, Kinds: kinds, Ring: ring},
	}
	var mux transport.Mux
	mux.Handle("quorum/", m.profiles.Handler())
	mux.Handle("caspaxos/", m.names.Handler())
	node := net.Node(self, &mux)
	m.profiles.Caller, m.names.Caller = node, node
	return m
}

// signUp takes a name for a user, and then writes the profile.
func (m *member) signUp(ctx context.Context, name, user, city string) error {
	if _, err := m.names.Create(ctx, "name/"+name, []byte(user)); err != nil {
		return err
	}
	return m.move(ctx, user, city)
}

// move writes a profile, which is accepted wherever one node is there.
func (m *member) move(ctx context.Context, user, city string) error {
	delta, err := store.Update(m.store, "profile/"+user, func(p *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		return p.Set(by.Stamp(), city)
	})
	if err != nil {
		return err
	}
	b, err := delta.Bytes()
	if err != nil {
		return err
	}
	_, err = m.profiles.Write(ctx, "profile/"+user, b, quorum.WriteOptions{Level: quorum.One})
	return err
}

// Names are unique, also where two take one on two nodes; profiles can be written on both sides of a partition.
func Example_hybrid() {
	kinds, err := crdt.Standard().With(caspaxos.Kind)
	if err != nil {
		panic(err)
	}
	net := &mem.Network{Refuse: true}
	ring := quorum.Everywhere{"a", "b", "c"}
	a, b, c := join(net, "a", ring, kinds), join(net, "b", ring, kinds), join(net, "c", ring, kinds)
	ctx := context.Background()

	fmt.Println(a.signUp(ctx, "ada", "user-1", "London"))
	err = b.signUp(ctx, "ada", "user-2", "Paris")
	if taken, ok := errors.AsType[*caspaxos.ConflictError](err); ok {
		fmt.Printf("taken by %s\n", taken.Current.Data)
	}

	net.Partition([]transport.NodeID{"a"}, []transport.NodeID{"b", "c"})
	fmt.Println("profile:", a.move(ctx, "user-1", "Turin"))
	_, err = a.names.Create(ctx, "name/bob", []byte("user-3"))
	unavailable, ok := errors.AsType[*quorum.UnavailableError](err)
	fmt.Println("name:", ok, unavailable.Answered, "of", unavailable.Needed)
	fmt.Println("on the other side:", c.signUp(ctx, "bob", "user-4", "Rome"))
	// Output:
	// <nil>
	// taken by user-1
	// profile: <nil>
	// name: true 1 of 2
	// on the other side: <nil>
}

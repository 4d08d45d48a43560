package revision_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

type document = crdt.MVRegister[string]

// A server is one of the nodes that hold documents.
type server struct {
	store  *store.Store
	writer *revision.Writer
}

func serve(net *mem.Network, self transport.NodeID, ring quorum.Ring) *server {
	s := store.New(store.Config{})
	c := &quorum.Coordinator{Self: self, Local: s, Ring: ring, Join: s.Join}
	c.Caller = net.Node(self, c.Handler())
	return &server{s, &revision.Writer{Quorum: c, Join: s.Join, Content: func(state []byte) ([]byte, error) {
		v, err := s.Decode(state)
		if err != nil || v.Empty() {
			return nil, err
		}
		return v.AppendBinary(nil)
	}}}
}

// texts returns what is in a state: one text, or several that were written at the same time.
func (s *server) texts(state []byte) *document {
	v, err := s.store.Decode(state)
	if err != nil {
		panic(err)
	}
	d, err := crdt.Ensure[*document](crdt.Standard(), v)
	if err != nil {
		panic(err)
	}
	return d
}

// get returns the text of a page, and the revision that an ETag has.
func (s *server) get(ctx context.Context, page string) (string, revision.Revision) {
	res, r, err := s.writer.Read(ctx, page)
	if err != nil {
		panic(err)
	}
	return strings.Join(s.texts(res.State).Values(), " | "), r
}

// put takes the place of the texts that a revision stands for, and of no others.
func (s *server) put(ctx context.Context, page string, ifMatch revision.Revision, text string) (revision.Revision, error) {
	_, r, err := s.writer.Write(ctx, page, ifMatch, func(state []byte) ([]byte, error) {
		since := s.texts(state).Context()
		delta, err := store.Update(s.store, page, func(d *document, by store.Writer) *document {
			return d.Put(by.Replica, since, text)
		})
		if err != nil {
			return nil, err
		}
		return delta.Bytes()
	}, quorum.WriteOptions{Applied: true})
	return r, err
}

// Two clients edit one page. Who is second is told, sees what the other has written, and merges.
func Example() {
	net, ring := new(mem.Network), quorum.Everywhere{"a", "b", "c"}
	a, b := serve(net, "a", ring), serve(net, "b", ring)
	serve(net, "c", ring)
	ctx := context.Background()

	_, nothing := a.get(ctx, "shopping")
	_, err := a.put(ctx, "shopping", nothing, "milk")
	fmt.Println("created:", err)

	ann, annRead := a.get(ctx, "shopping")
	bob, bobRead := b.get(ctx, "shopping")
	_, err = a.put(ctx, "shopping", annRead, ann+" bread")
	fmt.Println("ann:", err)

	mine := bob + " jam"
	_, err = b.put(ctx, "shopping", bobRead, mine)
	conflict, ok := errors.AsType[*revision.ConflictError](err) // 412 Precondition Failed
	fmt.Println("bob:", ok, b.texts(conflict.State).Values())
	words := append(strings.Fields(mine), strings.Fields(b.texts(conflict.State).Values()[0])...)
	slices.Sort(words)
	_, err = b.put(ctx, "shopping", conflict.Current, strings.Join(slices.Compact(words), " "))
	fmt.Println("bob again:", err)

	text, _ := a.get(ctx, "shopping")
	fmt.Println(text)
	// Output:
	// created: <nil>
	// ann: <nil>
	// bob: true [milk bread]
	// bob again: <nil>
	// bread jam milk
}

// Who has to know whether it was first looks afterwards: the revision that it was given is there only if nobody else has
// written.
func ExampleWriter_Write_alone() {
	net, ring := new(mem.Network), quorum.Everywhere{"a", "b", "c"}
	a, b := serve(net, "a", ring), serve(net, "b", ring)
	serve(net, "c", ring)
	ctx := context.Background()

	first, err := a.put(ctx, "room 7", revision.Revision{}, "ann")
	_, now := a.get(ctx, "room 7")
	fmt.Println("ann has it:", err == nil && now == first)

	_, err = b.put(ctx, "room 7", revision.Revision{}, "bob")
	_, taken := errors.AsType[*revision.ConflictError](err)
	fmt.Println("bob is too late:", taken)
	// Output:
	// ann has it: true
	// bob is too late: true
}

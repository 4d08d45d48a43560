package store_test

import (
	"context"
	"iter"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
)

// A Store meets, by its shape alone, what the floor of replication asks for.
var (
	_ interface { // antientropy.Store
		Index() *merkle.Tree
		Load(ctx context.Context, key string) (state []byte, err error)
		Merge(ctx context.Context, key string, state []byte) (novel []byte, err error)
	} = (*store.Store)(nil)
	_ interface { // what antientropy follows, where a store has it
		Updates(ctx context.Context) iter.Seq2[string, []byte]
	} = (*store.Store)(nil)
	_ interface { // quorum.Replica
		Load(ctx context.Context, key string) (state []byte, err error)
		Merge(ctx context.Context, key string, state []byte) (novel []byte, err error)
	} = (*store.Store)(nil)
)

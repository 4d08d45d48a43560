package antientropy

import (
	"context"
	"iter"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A Store is what is kept in agreement: mergeable states by key, and the index
// of their fingerprints. Anything whose states form a join-semilattice serves;
// crdt/store.Store is one. Implementations are safe for concurrent use. No lock
// of this package is held while one is called.
type Store interface {
	// Index returns a snapshot that the caller may keep and that later writes do not
	// disturb. It covers every change that had returned before the call. All peers
	// of one cluster hash with the same secret.
	Index() *merkle.Tree

	// Load returns the encoded state of key; nothing, and no error, if there is none.
	// The state belongs to the caller.
	Load(ctx context.Context, key string) (state []byte, err error)

	// Merge joins a state, or a delta, which is a state too, into what key holds. It
	// returns the part of it that was new, itself a state, and nothing if all of it
	// was known. It must not keep state, nor change it, after it has returned; what
	// it returns is not changed by the store afterwards. Errors other than those of
	// ctx concern the key alone: it is reported and the others go on.
	Merge(ctx context.Context, key string, state []byte) (novel []byte, err error)
}

// updates is what a [Store] may offer besides: its local updates, as they
// happen, each with its delta. A nil delta asks for the whole state to be loaded.
// What Merge brought must not be among them. The sequence ends when ctx does.
type updates interface {
	Updates(ctx context.Context) iter.Seq2[string, []byte]
}

// A Differ is what a [Store] may offer besides, if a store can tell what another lacks of
// a key by less than the key's state: by the events that it has seen, say. Then a key of
// which little differs is repaired by little, however large it is, and also where all of
// it would not fit into a message. crdt/store.Store is one, and package storetest checks
// one of your own.
//
// A round relies on neither method to find all that differs: if a key still does, and what
// both say does not change that, whole states are exchanged.
type Differ interface {
	// Seen says in few bytes what the store has seen of key, for LoadSince of another
	// store. It returns nothing if the key is not there, or if it would not be worth it:
	// because the state is small, or hardly larger than this. The result belongs to the
	// caller.
	Seen(ctx context.Context, key string) (seen []byte, err error)

	// LoadSince returns what a store lacks of key whose Seen returned seen: a state, to
	// merge which has there, and in a store that has more, the effect of merging all that
	// Load returns. It is nothing if nothing lacks that seen can tell of. It is all that
	// Load returns if seen is nothing, or does not relate to what is held here. Bytes that
	// are no result of Seen are an error, or are answered in that way too. It costs no more than seen
	// and the state together. The result belongs to the caller; seen must not be kept.
	LoadSince(ctx context.Context, key string, seen []byte) (state []byte, err error)
}

// differOf returns what s offers besides, nil if it does not.
func differOf(s Store) Differ {
	d, _ := s.(Differ)
	return d
}

// Static returns a function for [Loop.Peers] that always returns these nodes.
func Static(ids ...transport.NodeID) func() []transport.NodeID {
	fixed := append([]transport.NodeID(nil), ids...)
	return func() []transport.NodeID { return append([]transport.NodeID(nil), fixed...) }
}

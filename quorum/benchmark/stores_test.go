package benchmark

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// Bare stores are what the data types and the network cost together, and no more: the
// stores of the coordinators behind the echo. A put is merged by all three, and waits for
// the first of the two others; a get loads the state here, and has it compared with the
// digest of what the first of the others has. Nobody is asked in the place of who does not answer, nothing
// is repaired, refused or counted, and there are no deadlines.
type bareStores struct {
	echo
	kinds  *crdt.Kinds
	stores [members]*store.Store
}

func startBareStores() (cluster, error) {
	b := &bareStores{kinds: crdt.Standard()}
	for i := range b.stores {
		b.stores[i] = store.New(store.Config{Replica: vclock.NewReplicaID(fmt.Sprint("node-", i)), Kinds: b.kinds})
	}
	b.answers = quorumOf - 1
	b.serve = b.answer
	return b, b.start()
}

// answer takes a key with a state to merge, or without one.
func (b *bareStores) answer(member int, body []byte) string {
	n := 2 + int(binary.BigEndian.Uint16(body))
	key, state := string(body[2:n]), body[n:]
	if len(state) > 0 {
		if _, err := b.stores[member].Merge(context.Background(), key, state); err != nil {
			return err.Error()
		}
		return ""
	}
	return b.digest(member, key)
}

func (b *bareStores) digest(member int, key string) string {
	state, err := b.stores[member].Load(context.Background(), key)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(state)
	return string(sum[:16])
}

func request(key string, state []byte) string {
	b := make([]byte, 0, 2+len(key)+len(state))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
	return string(append(b, state...))
}

func (b *bareStores) put(_ context.Context, member int, key, value string) error {
	delta, err := store.Update(b.stores[member], key, func(r register, by store.Writer) register {
		return r.Set(by.Stamp(), value)
	})
	if err != nil {
		return err
	}
	state, err := delta.Bytes()
	if err != nil {
		return err
	}
	if failed := b.exchange(member, request(key, state)); failed != "" {
		return fmt.Errorf("put %q: %s", key, failed)
	}
	return nil
}

// get does nothing about digests that differ, as they do while others put.
func (b *bareStores) get(ctx context.Context, member int, key string) (string, error) {
	theirs := b.exchange(member, request(key, nil))
	_ = theirs == b.digest(member, key)
	state, err := b.stores[member].Load(ctx, key)
	if err != nil {
		return "", err
	}
	v, err := b.stores[member].Decode(state)
	if err != nil {
		return "", err
	}
	r, _ := crdt.Component[register](b.kinds, v)
	value, ok := r.Value()
	if !ok {
		return b.get(ctx, member, key) // it is on its way
	}
	return value, nil
}

package store_test

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A probe is a user's own type: a maximum that counts how often it is encoded, and
// that can be made to misbehave. It has neither MergeNovel nor Reset.
type probe struct {
	n       uint64
	encodes int
}

const (
	refusing  = 13 // cannot be encoded
	panicking = 17 // panics when encoded
)

var errRefused = errors.New("probe: refused")

func (p *probe) Raise(n uint64) *probe { p.n = max(p.n, n); return &probe{n: n} }
func (p *probe) Empty() bool           { return p.n == 0 }
func (p *probe) Clone() *probe         { return &probe{n: p.n} }

func (p *probe) Merge(o *probe) bool {
	old := p.n
	p.n = max(p.n, o.n)
	return p.n > old
}

func (p *probe) AppendBinary(b []byte) ([]byte, error) {
	p.encodes++
	switch p.n {
	case 0:
		return b, nil
	case refusing:
		return b, errRefused
	case panicking:
		panic("probe: encoding")
	}
	return binary.BigEndian.AppendUint64(b, p.n), nil
}

func (p *probe) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return errors.New("probe: length")
	}
	p.n = binary.BigEndian.Uint64(b)
	return nil
}

// A bare has the methods that a State must have, and no more.
type bare struct{ n uint64 }

func (p *bare) raise(n uint64) *bare { p.n = max(p.n, n); return &bare{n} }
func (p *bare) Clone() *bare         { return &bare{p.n} }

func (p *bare) Merge(o *bare) bool {
	old := p.n
	p.n = max(p.n, o.n)
	return p.n > old
}

func (p *bare) AppendBinary(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(b, p.n), nil
}

func (p *bare) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return errors.New("bare: length")
	}
	p.n = binary.BigEndian.Uint64(b)
	return nil
}

// probing is a store whose table has both.
func probing(t tester, name string) *store.Store {
	t.Helper()
	return store.New(store.Config{Replica: vclock.Named(name), Kinds: probingKinds(), Secret: []byte("secret")})
}

func raise(s *store.Store, key string, n uint64) ([]byte, error) {
	return sent(store.Update(s, key, func(p *probe, _ store.Writer) *probe { return p.Raise(n) }))
}

func encodes(s *store.Store, key string) (n int) {
	_, _ = store.View(s, key, func(p *probe) { n = p.encodes })
	return n
}

var probingKinds = sync.OnceValue(func() *crdt.Kinds {
	kinds, err := crdt.Standard().With(crdt.NewKind[probe](100, "probe"), crdt.NewKind[bare](101, "bare"))
	if err != nil {
		panic(err)
	}
	return kinds
})

package store

import (
	"cmp"
	"encoding/binary"

	"github.com/eventual-go/eventual/internal/wire"
)

// A stamp names a generation: how many records led to it, and which the last one was. There is one chain of them, see
// [Store.Settle]. The zero stamp is that of a store that has met nobody yet.
type stamp struct{ number, id uint64 }

// genesis is the generation before the first record.
var genesis = stamp{number: 1}

func (s stamp) isZero() bool { return s == stamp{} }
func (s stamp) compare(o stamp) int {
	return cmp.Or(cmp.Compare(s.number, o.number), cmp.Compare(s.id, o.id))
}
func (s stamp) isPlain() bool        { return s.number <= genesis.number } // states of it carry no stamp
func (s stamp) known() (stamp, bool) { return s, s.number > genesis.number || s == genesis }

const generationSize = 16

// text is the stamp as [Store.Generation] gives it: byte order is the order of stamps.
func (s stamp) text() string {
	if s.isZero() {
		return ""
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, generationSize), s.number)
	return string(binary.BigEndian.AppendUint64(b, s.id))
}

func parseStamp(text string) (stamp, bool) {
	if text == "" {
		return stamp{}, true
	}
	if len(text) != generationSize {
		return stamp{}, false
	}
	b := []byte(text)
	return stamp{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}.known()
}

// A state is, of the first generation, the encoded value alone. Later it is an array of three: the two numbers of the
// stamp, and the encoded value as bytes. A value is an array of an even length, so they are told apart.

// seal returns the state that consists of an encoded value, which may be part of it; nothing stays nothing.
func (s stamp) seal(value []byte) []byte {
	if s.isPlain() || len(value) == 0 {
		return value
	}
	w := wire.NewWriter(make([]byte, 0, len(value)+24))
	w.Array(3)
	w.Uint(s.number)
	w.Uint(s.id)
	w.Bytes(value)
	return w.Done()
}

// unseal returns the encoded value in a state, and of which generation it is; genesis for a plain one. Of what is no
// state it returns that, as the value.
func unseal(state []byte) (at stamp, value []byte, err error) {
	const three = 0x93 // the head of such an array
	if len(state) == 0 || state[0] != three {
		return genesis, state, nil
	}
	r, err := wire.NewReader(state)
	if err != nil {
		return stamp{}, nil, corrupt(formState, err)
	}
	r.ArrayOf(3)
	at = stamp{r.Uint(), r.Uint()}
	value = r.Bytes()
	if at.isPlain() || len(value) == 0 {
		r.Fail("stamp without need")
	}
	return at, value, corrupt(formState, r.Close())
}

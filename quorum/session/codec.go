package session

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/quorum"
)

// A token is [version, rest, nodes, placements, keys]. Nodes and placements are ascending. Of a key
// there is, for each piece, [flags and place of the placement, [places of the nodes]], all in one
// array, and then the hash, or the key itself where a piece is not held by a majority.
const formatVersion = 1

// maxKeys is how many keys a token may have that is decoded: as many as the largest tokens of four
// sessions, joined.
const maxKeys = 4 * 4096

// maxDecoded is how many pieces of a key may be decoded.
const maxDecoded = 8 * maxPieces

const (
	flagMajority = 1 << 2 // after wrote and read
	flagMore     = 1 << 3 // another piece of this key follows
	flagBits     = 4
)

// ErrVersion says that a token is of a newer format than this program knows. It is not damaged.
var ErrVersion = errors.New("session: token of a newer format")

// A CorruptError says that bytes are no token.
type CorruptError struct {
	Offset int // bytes from the start of the input to where it was noticed
	Reason string
}

// Error says what is wrong with the bytes, and where.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("session: corrupt token: %s at offset %d", e.Reason, e.Offset)
}

// AppendBinary appends the encoding of a token to b: canonical msgpack, so that equal tokens have
// equal bytes. For each key that is 11 bytes, and one for each node that is
// known to hold what was seen, 2 at most: 13 or 14 bytes where there are three replicas. Of a key that
// no majority holds what was seen of, its name takes the place of 9 of them. Besides there are the names of
// these nodes, and the versions of their placements, once.
//
// What it returns can be read by [Token.UnmarshalBinary]. The error is a [*LimitError]: what was joined has more keys that no majority
// holds, or more of what was seen of one key, than any session has. Nothing is appended then.
func (t Token) AppendBinary(b []byte) ([]byte, error) {
	if err := t.shrink(); err != nil {
		return b, err
	}
	nodes, versions, values := t.tables()
	w := wire.NewWriter(b)
	w.Array(5)
	w.Uint(formatVersion)
	w.Bool(t.rest)
	w.Array(len(nodes))
	for _, n := range nodes {
		w.String(string(n))
	}
	w.Array(len(versions))
	for _, v := range versions {
		w.Uint(v)
	}
	w.Array(values)
	for i := range t.keys {
		t.keys[i].encode(w, nodes, versions)
	}
	return w.Done(), nil
}

// shrink has a token be one that can be read. What majorities hold can be said in fewer words, or not at all.
func (t *Token) shrink() error {
	if len(t.keys) <= maxKeys && !slices.ContainsFunc(t.keys, entry.long) {
		return nil
	}
	*t = t.clone()
	for i := range t.keys {
		e := &t.keys[i]
		if e.long() {
			e.seen = gather(e.seen)
		}
		if e.long() {
			return &LimitError{Of: "parts of what was seen of one key", Has: len(e.seen), Most: maxDecoded}
		}
	}
	t.fold(maxKeys, math.MaxInt)
	if len(t.keys) > maxKeys {
		return &LimitError{Of: "keys that no majority holds", Has: len(t.keys), Most: maxKeys}
	}
	return nil
}

// long reports whether there are too many pieces of a key.
func (e entry) long() bool { return len(e.seen) > maxDecoded }

// gather makes one of all pieces that majorities hold: they are then known by that alone.
func gather(all []*piece) (out []*piece) {
	var most what
	for _, p := range all {
		if p.held.Majority {
			most |= p.of
		} else {
			out = append(out, p)
		}
	}
	if most != 0 {
		out = append(out, &piece{of: most, held: quorum.Holders{Majority: true}})
	}
	slices.SortFunc(out, comparePieces)
	return out
}

// tables returns the nodes and the placements that are spoken of, and how many values it takes
// to say what was seen of all keys.
func (t *Token) tables() (nodes []nodeID, versions []uint64, values int) {
	for i := range t.keys {
		values += 1 + 2*len(t.keys[i].seen)
		for _, p := range t.keys[i].seen {
			nodes, versions = append(nodes, p.held.Nodes...), append(versions, p.held.Version)
		}
	}
	slices.Sort(nodes)
	slices.Sort(versions)
	return slices.Compact(nodes), slices.Compact(versions), values
}

func (e *entry) encode(w *wire.Writer, nodes []nodeID, versions []uint64) {
	for i, p := range e.seen {
		v, _ := slices.BinarySearch(versions, p.held.Version)
		flags := uint64(p.of)
		if p.held.Majority {
			flags |= flagMajority
		}
		if i < len(e.seen)-1 {
			flags |= flagMore
		}
		w.Uint(flags | uint64(v)<<flagBits)
		w.Array(len(p.held.Nodes))
		for _, n := range p.held.Nodes {
			k, _ := slices.BinarySearch(nodes, n)
			w.Uint(uint64(k))
		}
	}
	if e.settled(wrote | read) {
		w.Uint(e.hash)
	} else {
		w.Bytes([]byte(e.key))
	}
}

// UnmarshalBinary reads what [Token.AppendBinary] wrote, and takes no other bytes. It keeps no
// reference to them, and takes at most a constant times their length. The error is a
// [*CorruptError], or is [ErrVersion]; the token is then as it was.
func (t *Token) UnmarshalBinary(data []byte) error {
	d, err := wire.NewReader(data)
	if err != nil {
		return corrupt(err)
	}
	n, v := d.Array(), d.Uint()
	switch {
	case d.Err() != nil:
	case v > formatVersion:
		return ErrVersion
	case v != formatVersion || n != 5:
		d.Fail("not of this version")
	}
	got := decode(d)
	if err := d.Close(); err != nil {
		return corrupt(err)
	}
	if again, _ := got.AppendBinary(nil); !slices.Equal(again, data) {
		return &CorruptError{Reason: "not as it would be encoded"}
	}
	*t = got
	return nil
}

func corrupt(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &CorruptError{Offset: e.Offset, Reason: e.Reason}
	}
	return err
}

func decode(d *wire.Reader) (t Token) {
	t.rest = d.Bool()
	nodes := make([]nodeID, d.Array())
	for i := range nodes {
		nodes[i] = nodeID(d.String())
	}
	versions := make([]uint64, d.Array())
	for i := range versions {
		versions[i] = d.Uint()
	}
	listed := make(map[uint64]bool)
	for left := d.Array(); left > 0 && d.Err() == nil; {
		e := decodeEntry(d, nodes, versions)
		left -= 1 + 2*len(e.seen)
		if listed[e.hash] || left < 0 {
			d.Fail("a key twice, or too few values")
		}
		listed[e.hash] = true
		if t.keys = append(t.keys, e); len(t.keys) > maxKeys {
			d.Fail("too many keys")
		}
	}
	return t
}

func decodeEntry(d *wire.Reader, nodes []nodeID, versions []uint64) (e entry) {
	for more := true; more && d.Err() == nil; {
		flags := d.Uint()
		p := &piece{of: what(flags) & (wrote | read)}
		p.held.Majority, more = flags&flagMajority != 0, flags&flagMore != 0
		p.held.Nodes = decodeNodes(d, nodes)
		switch v := flags >> flagBits; {
		case v >= uint64(len(versions)):
			d.Fail("no such placement")
		case p.of == 0:
			d.Fail("neither written nor read")
		case len(e.seen) == maxDecoded:
			d.Fail("too many pieces of a key")
		case len(p.held.Nodes) == 0 && (!p.held.Majority || versions[v] != 0):
			d.Fail("held by nobody")
		default:
			p.held.Version = versions[v]
		}
		e.seen = append(e.seen, p)
	}
	if len(e.seen) > 0 && !slices.IsSortedFunc(e.seen, comparePieces) {
		d.Fail("pieces out of order")
	}
	if e.settled(wrote | read) {
		e.hash = d.Uint()
	} else {
		e.key = string(d.Bytes())
		e.hash = hashOf(e.key)
	}
	return e
}

func decodeNodes(d *wire.Reader, nodes []nodeID) (out []nodeID) {
	for range d.Array() {
		i := d.Uint()
		if d.Err() != nil || i >= uint64(len(nodes)) {
			d.Fail("no such node")
			return nil
		}
		if len(out) > 0 && out[len(out)-1] >= nodes[i] {
			d.Fail("nodes out of order")
			return nil
		}
		out = append(out, nodes[i])
	}
	return out
}

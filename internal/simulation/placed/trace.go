package placed

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// trace is the running hash over everything that happens, and its optional print. Equal runs
// have equal hashes in every process and on every platform.
type trace struct {
	hash  uint64
	count uint64
	print func(string)
}

// note adds one occurrence.
func (t *trace) note(e *event) {
	t.count++
	node := uint64(255)
	if e.node != nil {
		node = uint64(e.node.index)
	}
	t.hash = mix(t.hash^uint64(e.at), node<<8|uint64(e.kind))
	t.hash = mix(t.hash^e.mark, t.count)
}

// result adds what came of an occurrence to the hash.
func (t *trace) result(digest uint64) { t.hash = mix(t.hash, digest) }

// say prints a line of the trace.
func (r *run) say(n *node, format string, args ...any) {
	if r.trace.print == nil {
		return
	}
	who := "--"
	if n != nil {
		who = string(n.id)
	}
	r.trace.print(fmt.Sprintf("%12v %-3s %s", r.now, who, fmt.Sprintf(format, args...)))
}

// mix folds two words into one (the multiply-fold of wyhash).
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return hi ^ lo
}

// digest hashes bytes eight at a time.
func digest(b []byte) uint64 {
	h := mix(uint64(len(b)), 0)
	for ; len(b) >= 8; b = b[8:] {
		h = mix(h, binary.LittleEndian.Uint64(b))
	}
	var tail [8]byte
	copy(tail[:], b)
	return mix(h, binary.LittleEndian.Uint64(tail[:]))
}

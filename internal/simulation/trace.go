package simulation

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"
)

// trace is the running hash over everything that happens, and its optional print.
// It is a fast non-cryptographic hash without a random seed: equal runs must have
// equal hashes in every process and on every platform.
type trace struct {
	hash  uint64
	count uint64
	print func(string)
}

// note adds one occurrence.
func (t *trace) note(at time.Duration, node int, k kind, payload uint64) {
	t.count++
	t.hash = mix(t.hash^uint64(at), uint64(node)<<8|uint64(k))
	t.hash = mix(t.hash^payload, t.count)
}

// result adds what came of an occurrence to the hash.
func (t *trace) result(digest uint64) { t.hash = mix(t.hash, digest) }

// say prints a line of the trace. Callers check t.print first where making the
// arguments costs anything.
func (t *trace) say(at time.Duration, node int, format string, args ...any) {
	if t.print == nil {
		return
	}
	who := "--"
	if node >= 0 {
		who = name(node)
	}
	t.print(fmt.Sprintf("%12v %-3s %s", at, who, fmt.Sprintf(format, args...)))
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

func digestString(s string) uint64 { return digest([]byte(s)) }

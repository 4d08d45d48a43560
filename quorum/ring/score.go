package ring

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/eventual-go/eventual/transport"
)

// Members are ranked in a partition by weighted rendezvous hashing: who has the least
// -ln(u)/weight comes first, where u is a uniform number that depends on the member and the
// partition. A member is then the first with a chance in proportion to its weight, and the order
// of two members does not depend on who else there is.
//
// All of it has to come out alike on all platforms, which math.Log does not: its last bits
// differ. So the logarithm is computed with integers, and what is left for floats is
// one conversion that is exact, and one division, which is rounded alike everywhere.

// seedOf is where the numbers of a member begin.
func seedOf(id transport.NodeID) uint64 {
	sum := sha256.Sum256([]byte("eventual/ring/1/" + id))
	return binary.BigEndian.Uint64(sum[:])
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// stir is what a partition brings to the numbers of all members.
func stir(partition int) uint64 { return mix(uint64(partition+1) * 0x9e3779b97f4a7c15) }

// score is how far behind a member is in a partition: the least is the first.
func score(seed, stirred uint64, weight float64) float64 {
	return float64(negLog(mix(seed^stirred))) / weight
}

const (
	logBits  = 44 // of the fraction of a logarithm
	logSteps = 10 // 2^logSteps steps between powers of two
	logRest  = 24 // bits of a number between two steps that count
)

// logs are the logarithms to base 2 of 1 + i/2^logSteps.
var logs = func() (t [1<<logSteps + 1]uint64) {
	for i := range 1 << logSteps {
		t[i] = fraction(1<<62 + uint64(i)<<(62-logSteps))
	}
	t[1<<logSteps] = 1 << logBits
	return t
}()

// fraction is the logarithm to base 2 of x/2^62, which is from 1 to 2, bit by bit: squaring a
// number doubles its logarithm.
func fraction(x uint64) (f uint64) {
	for range logBits {
		hi, lo := bits.Mul64(x, x)
		x = hi<<2 | lo>>62
		f <<= 1
		if x >= 1<<63 {
			x >>= 1
			f |= 1
		}
	}
	return f
}

// negLog is -log2(h/2^64), with logBits bits of fraction, and never 0.
func negLog(h uint64) uint64 {
	h |= 1
	zeros := bits.LeadingZeros64(h)
	m := h << (zeros + 1) // without its first bit
	i := m >> (64 - logSteps)
	rest := m << logSteps >> (64 - logRest)
	f := logs[i] + (logs[i+1]-logs[i])*rest>>logRest
	return max(1, uint64(zeros+1)<<logBits-f)
}

package pbs

import "math"

// maxDrawn bounds how many replicas [Within] draws from.
const maxDrawn = 1 << 20

// Within is the probability that a read of r out of n replicas returns one of the last
// k versions, each written to w of them, or a newer one: 1 - (C(n-w, r) / C(n, r))^k. It is the closed form of
// section 3.1 of the paper, for quorums drawn at random and independently, none of which
// grows after its write was acknowledged: so it is a lower bound where writes go to all
// replicas, and all of these are alike.
//
// It is also the probability that a read by one client is monotonic (section 3.2), with k = 1 + the
// number of versions written, on average, between two of its reads of the key.
//
// k need not be whole. The error is a [*ParameterError].
func Within(n, r, w int, k float64) (float64, error) {
	var f faults
	f.unless(n > 0 && n <= maxDrawn, "N", "is %d, and may be 1 to %d", n, maxDrawn)
	f.unless(r > 0 && r <= n, "R", "is %d of %d replicas", r, n)
	f.unless(w > 0 && w <= n, "W", "is %d of %d replicas", w, n)
	f.unless(k > 0, "k", "is not a positive number")
	if len(f) > 0 {
		return 0, f.err()
	}
	miss := 1.0
	for i := 0; i < r && miss > 0; i++ {
		miss *= max(float64(n-w-i), 0) / float64(n-i)
	}
	return 1 - math.Pow(miss, k), nil
}

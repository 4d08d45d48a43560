// Package transporttest checks that a transport keeps the promises of package
// transport. Every transport of this library passes it; run it on your own:
//
//	func TestConformance(t *testing.T) {
//		transporttest.Run(t, func(t *testing.T) transporttest.Network { return newMyNetwork(t) })
//	}
//
// # Guarantees
//
// The suite covers delivery, pipelining, sizes, errors, panics, cancellation and
// deadlines on both sides, nodes that stop and return, the ownership of every
// slice, and closing. It asserts no speed: what must happen soon has half a minute
// to happen. Run it under the race detector, which is what finds a transport that
// looks at bytes it no longer owns.
//
// # Concurrency, errors
//
// Each part of the suite makes a Network of its own and uses it from many
// goroutines.
package transporttest

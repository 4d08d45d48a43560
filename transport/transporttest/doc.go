// Package transporttest checks that a transport keeps the promises of package
// transport. Every transport of this library passes it; run it on your own:
//
//	func TestConformance(t *testing.T) {
//		transporttest.Run(t, func(t *testing.T) transporttest.Network { return newMyNetwork(t) })
//	}
//
// # Guarantees
//
// The suite covers delivery, pipelining, calls made within calls, sizes, methods of
// any bytes, errors, panics, cancellation and deadlines on both sides, nodes that
// stop, leave and return, the ownership of every slice, closing with calls under way,
// and that no goroutine is left. What only some transports can do is tested where the
// Network can: a [Leaver] has nodes that leave politely, a [Limiter] nodes that share
// what they serve, a [Staller] nodes that stop to read, a [Poser] nodes that prove who
// they are. The suite asserts no speed: what must happen soon has half a minute to
// happen. Run it under the race detector, which is what finds a transport that looks at
// bytes it no longer owns.
//
// # Concurrency, errors
//
// Each part of the suite makes a Network of its own and uses it from many
// goroutines. Goroutines are known as a Network's by a label of runtime/pprof, which
// newNetwork and what it calls must leave to them.
//
// # Testing
//
// The suite is run on transports with a flaw each, which it must find.
package transporttest

// Package mem is a network inside one process: nodes call each other through it,
// and it delays, loses, repeats, reorders and cuts what they send as it is told.
// It is for tests, of this library and of programs built on it. What can go wrong is
// that of package transport/faults: scripts of it run on a Network, a trace of what
// happened can be drawn and replayed, and the same faults can be put on real
// transports.
//
// # Smallest use
//
//	net := &mem.Network{Seed: 1}
//	a := net.Node("a", handlerOfA)
//	net.Node("b", handlerOfB)
//	resp, err := a.Call(ctx, "b", "greet/hello", []byte("hi"))
//
// Faults over time:
//
//	script, err := faults.Parse("2s cut a b\n5s heal\n6s freeze b\n7s thaw b\n8s down a\n9s up a")
//	err = script.Run(ctx, net)
//
// # Guarantees
//
// A request or a reply that is lost leaves the caller waiting until its context
// ends, as a real network does. So does a link that is cut, unless
// [Network.Refuse] asks for an error at once. A call to a node that is down, or
// that never was there, fails at once with [transport.ErrUnreachable]; so do the
// calls that a node is running when it goes down. A request that is repeated runs
// the handler twice, and the first reply to arrive is the answer.
//
// Requests and replies are copied: nodes share no memory, and a handler's context
// carries nothing of the caller's but its end. A request is overwritten when its
// handler has returned, so a handler that wrongly keeps it is found out.
//
// What happens to the n-th request on a link, and to the n-th reply, depends on
// the seed, the names of the two nodes and n alone; package transport/faults says
// what that replays, and what it does not.
//
// # Concurrency
//
// A Network and its Nodes are safe for concurrent use; the exported fields of
// Network are set before its first use, and so are those of [Network.Faults]. No lock is held while a handler runs. All
// delays are timers and no goroutine outlives the handler it runs, so a network
// made inside a testing/synctest bubble works on the bubble's clock.
//
// # Errors
//
// As package transport says. A handler that panics fails its call alone.
//
// # Wire compatibility
//
// There is no wire: nothing leaves the process.
//
// # Testing
//
// The package passes transport/transporttest. [Network.Stats] tells a test whether
// the faults that it asked for did happen.
package mem

// Package faults makes networks misbehave as they are told: links that delay, lose,
// repeat and reorder, that are narrow, or cut one way; partitions; nodes that are
// frozen or slow. The same faults are put on a network in memory, transport/mem, and
// as a middleware on any real transport. Scripts say what happens when, and a trace
// of what did can be replayed and drawn.
//
// # Smallest use
//
// Over a real transport, here one of transport/tcp, at both its ends:
//
//	var net faults.Network
//	go tcp.Serve(ctx, listener, net.Handler("a", handler))
//	caller := net.Caller("a", tcp)
//
//	net.SetLinks(faults.Link{Latency: 20 * time.Millisecond, Loss: 0.05})
//	net.Partition([]transport.NodeID{"a"}, []transport.NodeID{"b", "c"})
//
// In memory, over time, and drawn:
//
//	script, err := faults.Parse("2s cut a b\n5s partition a b | c\n8s heal")
//	net := new(mem.Network)
//	net.Faults().Trace = new(faults.Trace)
//	// nodes are made, and at work
//	err = script.Run(ctx, net)
//	err = faults.Drawing{Trace: net.Faults().Trace}.WriteHTML(file)
//
// # Guarantees
//
// What becomes of the n-th request on a link, and of the n-th reply, depends on the
// seed, the names of the two nodes and n alone: not on other links, nor on what the
// link was set to before, except that it does not overtake what is still under way,
// and queues behind it for bandwidth. With [Network.Replay] it is what a trace says.
// So a failure that one seed has found can be had again after code around it
// changed, and without the seed.
//
// That is not a replay of the whole run. Which call is the n-th is decided by the
// program and the scheduler: where one goroutine calls at a time, or in a
// testing/synctest bubble with delays that differ, runs come out alike; where several
// goroutines send on one link at the same instant, which of them gets which fate is
// open. A program that does something else than in the trace sends other messages,
// and from there on the n-th means another one. What waits for a frozen node is
// numbered when it is thawed. Who needs whole runs again from a seed needs a
// program without goroutines: a state machine on a heap of events.
//
// A message is lost for good; who waits for its answer waits until its context
// ends, as over a real network. A script is done at its times, as the clock allows. A
// [Random] script ends with everything as it was before.
//
// What is held is bounded: 16,384 messages for each frozen node, a trace by its
// Limit. Not bounded is what is under way on a link with a delay, or queues for its
// bandwidth; each message of it belongs to a call, or did.
//
// # Concurrency
//
// Network and Trace are safe for concurrent use, the others are values. No lock is
// held while a handler, a transport or a [Distribution] runs. There is no
// goroutine but of calls that are delayed or come twice, which end when they are
// answered or their contexts end, the second of two within a minute; delays are
// timers. Nothing needs to be closed. Inside testing/synctest bubbles everything goes
// by the bubble's clock.
//
// # Errors
//
// A call over a cut link is transport.ErrUnreachable if [Network.Refuse] asks for
// that, at whichever end the cut is known; else, and for what is lost, the caller gets
// the error of its own context.
// [*SyntaxError] says what is wrong with a script or a trace and on which line,
// [ErrStep] that a step cannot be done to its target.
//
// # Wire compatibility
//
// Nothing is added to messages. The texts of scripts and traces are read by later
// versions too: a trace begins with the version of its form.
//
// # Testing
//
// The middleware passes transport/transporttest over transport/mem and transport/tcp,
// without faults and with delays.
package faults

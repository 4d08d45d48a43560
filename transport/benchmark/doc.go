// Package benchmark measures what a call costs over each transport, beside a bare
// connection, a minimal multiplexed echo and gRPC-Go. It is a module of its own,
// since nobody who uses one transport needs all of them. The README says how to run
// it; there is nothing to import.
package benchmark

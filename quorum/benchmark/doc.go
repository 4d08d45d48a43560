// Package benchmark measures what a quorum costs on a real network: clusters of
// three members that hold every key three times, beside one of Olric, which does the
// same, and beside a bare echo, which is what the network itself costs. It is a
// module of its own, since nobody who uses the library needs Olric. The README says
// how to run it; there is nothing to import.
package benchmark

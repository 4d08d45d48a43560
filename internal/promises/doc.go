// Package promises has the test that says what each promise costs: it measures on virtual time how long calls
// take, how many messages they send and whether they are answered when nodes are away, and compares that with the
// table in quorum/README.md. It has nothing else.
//
//	go test ./internal/promises -v
package promises

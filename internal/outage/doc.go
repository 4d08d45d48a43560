// Package outage has the tests in which processes of a cluster are killed and frozen
// while it is read and written to: what users would see of package quorum, with hints,
// over TCP; and those in which the power of members is cut. It has nothing else.
//
//	go test ./internal/outage -v -length 5s
package outage

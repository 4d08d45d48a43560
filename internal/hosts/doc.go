// Package hosts has the test in which examples/kv runs on five hosts, each a network
// namespace with a TCP stack and an address of its own, and a sixth that does not belong to
// them. What lies between the hosts is a router in the test: it has their packets arrive
// late and out of order, or never. It has nothing else.
//
//	go test ./internal/hosts -v -writes 200
//
// It needs Linux, root, /dev/net/tun and ip of iproute2, and says what is missing if it is
// skipped. What it makes is gone when it ends; if it was killed, when it runs again.
package hosts

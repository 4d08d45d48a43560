package tcp

import (
	"fmt"
	"strings"
)

// maxNumbered is how many methods have numbers on one connection: as many as one
// byte tells apart. All others are named in each request.
const maxNumbered = 127

// numbers is what the side that dialled knows of the methods of a connection. The
// first request of a method names it, which gives it the next number, from 1; later
// ones have the number alone. So the order of the numbers is that of the requests on
// the wire.
type numbers map[string]uint64

// next returns the number of the method of the request that is written next, or zero
// if it must be named. It must not be asked for a request that may not be written.
func (n numbers) next(method string) uint64 {
	number := n[method]
	if number == 0 && len(n) < maxNumbered {
		n[strings.Clone(method)] = uint64(len(n) + 1)
	}
	return number
}

// names is what the side that accepted knows of them: at 0 the name of number 1. A
// name that comes again has two numbers then, which harms only who sent it.
type names []string

// take returns the method of the request that was read next. It must be told of
// every request, also of those that are refused.
func (n *names) take(q asked) (string, error) {
	if q.number > len(*n) {
		return "", fmt.Errorf("%w: method %d has no name yet", errFrame, q.number)
	}
	if q.number > 0 {
		return (*n)[q.number-1], nil
	}
	name := string(q.name)
	if len(*n) < maxNumbered {
		*n = append(*n, name)
	}
	return name, nil
}

package benchmark

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

const (
	members   = 3   // of every cluster
	quorumOf  = 2   // of the copies of a key, for puts and for gets
	valueSize = 100 // bytes
)

// A cluster has three members in this process, and is used by many clients at once.
type cluster interface {
	// put stores value under key, by way of a member.
	put(ctx context.Context, member int, key, value string) error
	// get returns the value that is under key, by way of a member.
	get(ctx context.Context, member int, key string) (string, error)
	close() error
}

// starters start the clusters by name. What they return is ready to use.
var starters = map[string]func(ctx context.Context) (cluster, error){
	"echo by one":  func(context.Context) (cluster, error) { return startEcho(1) },
	"echo by both": func(context.Context) (cluster, error) { return startEcho(2) },
	"bare stores":  func(context.Context) (cluster, error) { return startBareStores() },
	"coordinator":  startCoordinators,
	"olric":        startOlric,
}

func keyOf(i int) string { return "key-" + strconv.Itoa(i) }

// valueOf returns a value that says whose it is: the key, which put it is, and what
// it takes to be as long as all values.
func valueOf(key string, n uint64) string {
	b := make([]byte, 0, valueSize)
	b = append(append(b, key...), '#')
	b = append(strconv.AppendUint(b, n, 10), '#')
	for len(b) < valueSize {
		b = append(b, '.')
	}
	return string(b)
}

// check returns an error if value is none of those that valueOf makes for key.
func check(key, value string) error {
	if rest, ok := strings.CutPrefix(value, key); !ok || len(value) != valueSize || rest[0] != '#' {
		return fmt.Errorf("%q under %q", value, key)
	}
	return nil
}

package crdttest

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// Checks fail on purpose here, to show that the laws find flaws: rapid keeps no
// record of them.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

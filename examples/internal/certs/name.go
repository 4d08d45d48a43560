package certs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/eventual-go/eventual/transport"
)

// ErrName says that a node cannot have a name.
var ErrName = errors.New("a node's name has 1 to 63 lower-case letters, digits, '-', '_' and '.', begins with a letter or a digit, and is not " + authorityName)

// CheckName says what is wrong with the name of a node: nil, or an error that is ErrName. A name is also that of
// files and folders, so it must not lead out of a folder, be the authority's, or be the same as another one on disks
// that take A for a.
func CheckName(id transport.NodeID) error {
	name := string(id)
	if name == authorityName || len(name) < 1 || len(name) > 63 || strings.ContainsFunc(name, notInName) || !isAlphanumeric(rune(name[0])) {
		return fmt.Errorf("%q: %w", shortened(name), ErrName)
	}
	return nil
}

func notInName(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' && r != '.' }

func isAlphanumeric(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }

func shortened(name string) string {
	if len(name) > 80 {
		return name[:80] + "..."
	}
	return name
}

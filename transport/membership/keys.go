package membership

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	errNoKeys  = errors.New("membership: Members.Keys is empty, and Plain is not set")
	errTooMany = errors.New("membership: Members.Plain is set, and there are Keys")
	errKeySize = errors.New("membership: a key has 16, 24 or 32 bytes")
)

func checkKeys(keys [][]byte) error {
	if len(keys) == 0 {
		return errNoKeys
	}
	for _, k := range keys {
		if n := len(k); n != 16 && n != 24 && n != 32 {
			return fmt.Errorf("%w, not %d", errKeySize, len(k))
		}
	}
	return nil
}

func cloneKeys(keys [][]byte) [][]byte {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = bytes.Clone(k)
	}
	return out
}

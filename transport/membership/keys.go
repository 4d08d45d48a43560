package membership

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/memberlist"
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
		if memberlist.ValidateKey(k) != nil {
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

// rekey makes the keys of a ring others, the first of which is used. Keys are taken away from the end alone: that is
// what a Keyring does without changing what its readers hold. Where a key that goes is not at the end, all that stay
// are brought before it, and for an instant messages go out under a key that is not the first.
func rekey(ring *memberlist.Keyring, keys [][]byte) error {
	for _, k := range keys {
		if err := ring.AddKey(bytes.Clone(k)); err != nil {
			return err
		}
	}
	if err := ring.UseKey(keys[0]); err != nil {
		return err
	}
	kept := func(k []byte) bool {
		return slices.ContainsFunc(keys, func(o []byte) bool { return bytes.Equal(k, o) })
	}
	if first := slices.IndexFunc(ring.GetKeys(), func(k []byte) bool { return !kept(k) }); first >= 0 &&
		slices.ContainsFunc(ring.GetKeys()[first:], kept) {
		for _, k := range slices.Backward(keys) {
			if err := ring.UseKey(k); err != nil {
				return err
			}
		}
	}
	for _, k := range slices.Backward(ring.GetKeys()) {
		if kept(k) {
			return nil
		}
		if err := ring.RemoveKey(k); err != nil {
			return err
		}
	}
	return nil
}

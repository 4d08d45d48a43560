package antientropy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A key that cannot be taken does not void what was covered before it came: that stays, and grows old.
func TestCoveredStaysWhatItWasWhereAKeyIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		share(r.store, r.peer("b"))
		began := exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)
		r.store.refuse = func(key string) error {
			if key == "x" {
				return errRefused
			}
			return nil
		}
		r.peer("b").add("x", 1)
		exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)
		r.store.refuse = nil
		began = exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)
	})
}

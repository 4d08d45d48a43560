package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt/store"
)

// Keys come in order and are those that a plain map has, however they came and went between two calls.
func TestKeysAreThoseOfAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, model := store.New(store.Config{}), map[string]bool{}
		key := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "a", "a/", "b", "\xff", "\xff\xff"}).Draw(t, "p") + fmt.Sprint(rapid.IntRange(0, 300).Draw(t, "n"))
		})
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				k := key.Draw(t, "key")
				add(t, s, k, 1)
				model[k] = true
			},
			"write many": func(t *rapid.T) {
				for i := range rapid.IntRange(1, 3000).Draw(t, "n") {
					k := fmt.Sprintf("%d", i*7%5000)
					add(t, s, k, 1)
					model[k] = true
				}
			},
			"touch nothing": func(t *rapid.T) { _, _ = s.Merge(t.Context(), key.Draw(t, "key"), []byte("bad")) },
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				remove(t, s, k)
				delete(model, k)
			},
			"": func(t *rapid.T) {
				prefix := rapid.SampledFrom([]string{"", "a", "a/", "1", "\xff", "none"}).Draw(t, "prefix")
				want := slices.DeleteFunc(slices.Sorted(maps.Keys(model)), func(k string) bool { return !strings.HasPrefix(k, prefix) })
				got := slices.Collect(s.Keys(prefix))
				if len(want)+len(got) > 0 {
					require.Equal(t, want, got)
				}
				require.Equal(t, len(model), s.Len())
			},
		})
	})
}

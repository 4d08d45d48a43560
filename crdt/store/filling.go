package store

import (
	"cmp"
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// A filling is what a tree is going to hold that is made from all rows. They come in the order of their keys, so each
// would go to another leaf than the one before, and move what lies there. In the order of positions they are appended to
// leaves that are at hand, which takes less time.
type filling []filed

type filed struct {
	at    merkle.Position
	entry *entry
	state merkle.Fingerprint
}

func (f *filling) add(h *merkle.Hasher, e *entry, state merkle.Fingerprint) {
	*f = append(*f, filed{h.Position(e.key), e, state})
}

// pour sets all of it in t, and takes 32 bytes a key until then.
func (f filling) pour(t *merkle.Tree) {
	slices.SortFunc(f, func(a, b filed) int { return cmp.Compare(a.at, b.at) })
	for i := range f {
		t.Set(f[i].entry.key, f[i].state)
	}
}

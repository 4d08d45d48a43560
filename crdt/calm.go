package crdt

import (
	"fmt"
	"reflect"

	"github.com/eventual-go/eventual/internal/wire"
)

// calmed is a codec whose write fails where a type's own methods panic. Parts are written while a state is changing,
// which must not be left half way.
type calmed[T any] struct{ codec[T] }

// calm returns a codec that does not panic. Only types that write themselves may.
func calm[T any](c codec[T]) codec[T] {
	if _, foreign := c.(keyed[T]); foreign {
		return calmed[T]{c}
	}
	return c
}

func (c calmed[T]) write(w *wire.Writer, v T) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &TypeError{reflect.TypeFor[T](), fmt.Sprint("its encoding panics: ", r)}
		}
	}()
	return c.codec.write(w, v)
}

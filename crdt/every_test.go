package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
)

// everyKind is the table of the types of all suites: two are not those of Standard.
func everyKind(t testing.TB) *crdt.Kinds {
	kinds, err := crdt.Standard().With(
		crdt.NewKind[crdt.MaxRegister[string]](70, "texts"), crdt.NewKind[crdt.MinRegister[int8]](71, "bytes"),
	)
	require.NoError(t, err)
	return kinds
}

// some is a state of some type, with what generic functions do with it.
type some struct {
	tag      uint64
	bytes    []byte // its wire form
	bottom   []byte // that of a state as new
	says     bool   // its method IsZero
	isZero   func(k *crdt.Kinds) (bool, error)
	appendTo func(k *crdt.Kinds, b []byte) ([]byte, error)
	wrap     func(k *crdt.Kinds) (*crdt.Value, error)
	putInto  func(k *crdt.Kinds, v *crdt.Value) error
}

// zeroable is what every type is.
type zeroable[P any] interface {
	sincer[P]
	IsZero() bool
}

// drawing returns a draw of states and deltas that an execution reached, and of nil.
func drawing[P zeroable[P]](tag uint64, s crdttest.Suite[P]) func(t *rapid.T) []some {
	return func(t *rapid.T) (all []some) {
		c := &since[P]{T: t, suite: s}
		c.execute()
		var none P
		bottom, err := s.New().AppendBinary(nil)
		require.NoError(t, err)
		for _, state := range append(c.pool, none) {
			b, err := state.AppendBinary(nil)
			require.NoError(t, err)
			all = append(all, some{
				tag: tag, bytes: b, bottom: bottom, says: state.IsZero(),
				isZero:   func(k *crdt.Kinds) (bool, error) { return crdt.IsZero(k, state) },
				appendTo: func(k *crdt.Kinds, b []byte) ([]byte, error) { return k.Append(b, state) },
				wrap:     func(k *crdt.Kinds) (*crdt.Value, error) { return crdt.Wrap(k, state) },
				putInto: func(k *crdt.Kinds, v *crdt.Value) error {
					mine, err := crdt.Ensure[P](k, v)
					if err == nil {
						mine.Merge(state)
					}
					return err
				},
			})
		}
		return all
	}
}

// everyType has a draw of each type.
func everyType() []func(t *rapid.T) []some {
	return []func(t *rapid.T) []some{
		drawing(1, gcounters()), drawing(2, pncounters()), drawing(3, gsets()), drawing(4, orsets()),
		drawing(5, lwwregisters()), drawing(6, mvregisters()), drawing(70, maxregisters()), drawing(71, minregisters()),
		drawing(9, twophasesets()), drawing(10, rwsets()), drawing(11, lwwsets()), drawing(12, ewflags()),
		drawing(13, dwflags()), drawing(14, lwwmaps()), drawing(15, logs()), drawing(16, boundedcounters()),
		drawing(17, ormaps()), drawing(18, expiries()),
	}
}

// forEveryState checks what must hold for every state of every type.
func forEveryState(t *testing.T, check func(t *rapid.T, s some)) {
	t.Helper()
	for _, draw := range everyType() {
		rapid.Check(t, func(t *rapid.T) {
			for _, s := range draw(t) {
				check(t, s)
			}
		})
	}
}

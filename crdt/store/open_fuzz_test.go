package store_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// FuzzOpen opens what somebody else has written to: it is opened, and what can be used of it is, or the error is of a
// type. In a store that was opened everything works.
func FuzzOpen(f *testing.F) {
	kinds := []byte("vfmprcs?")
	for _, with := range []string{"", "\x00", "garbage", "\xc1", "\xc1\xc1", "\x9f", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x92\x02\xc4\x00"} {
		for i := range kinds {
			f.Add(uint8(i), []byte(nil), []byte(with))
			f.Add(uint8(i), []byte("\x00\x00\x00\x00k"), []byte(with))
		}
	}
	f.Add(uint8(0), []byte("\xff"), []byte{})
	f.Add(uint8(4), []byte("\x00\x00\x00\x00\x00\x00\x00\x02"), []byte("\x98\x01"))
	f.Fuzz(func(t *testing.T, which uint8, rest, value []byte) {
		m := newHost("a")
		s := m.open(t)
		_, err := s.Adopt(t.Context(), "00000000\x00\x00\x00\x00\x00\x00\x00\x01")
		require.NoError(t, err)
		_, err = s.Adopt(t.Context(), "00000001\x00\x00\x00\x00\x00\x00\x00\x01")
		require.NoError(t, err)
		insert(t, s, "k", "one")
		insert(t, s, "other", "two")
		require.NoError(t, s.Close())

		m.disk.Replace(append([]byte{kinds[int(which)%len(kinds)]}, rest...), value)
		s, err = store.Open(m.cfg, m.disk.Mount())
		if err != nil {
			_, corrupt := errors.AsType[*crdt.CorruptError](err)
			require.True(t, corrupt || errors.Is(err, crdt.ErrVersion) || errors.Is(err, store.ErrDamaged), err)
			return
		}
		require.Equal(t, []string{"two"}, members(t, s, "other"), "what can be read is there")
		insert(t, s, "k2", "three")
		require.Equal(t, []string{"three"}, members(t, s, "k2"))
		if _, err := s.Load(t.Context(), "k"); err == nil {
			insert(t, s, "k", "four")
			require.Contains(t, members(t, s, "k"), "four")
		}
		s.Index()
		_ = s.Close()
	})
}

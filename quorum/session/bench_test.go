package session

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/eventual-go/eventual/quorum"
)

// at0 is a Quorum that costs nothing.
type at0 struct{ by quorum.Holders }

func (q *at0) Read(context.Context, string, quorum.ReadOptions) (quorum.ReadResult, error) {
	return quorum.ReadResult{Found: true, Holders: &q.by}, nil
}

func (q *at0) Write(context.Context, string, []byte, quorum.WriteOptions) (quorum.WriteResult, error) {
	return quorum.WriteResult{Holders: &q.by}, nil
}

// What a session adds to a call, with as many keys listed as there are by default.
func BenchmarkSession(b *testing.B) {
	keys := make([]string, DefaultMax)
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
	}
	s := &Session{Quorum: &at0{held(1, true, "a", "b")}}
	i := 0
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			i++
			_, _ = s.Read(b.Context(), keys[i%len(keys)], quorum.ReadOptions{})
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			i++
			_, _ = s.Write(b.Context(), keys[i%len(keys)], nil, quorum.WriteOptions{})
		}
	})
}

// What a Bound adds to a read: of its own replica, without a deadline and with one, and of others.
func BenchmarkBound(b *testing.B) {
	within, stop := context.WithTimeout(b.Context(), time.Hour)
	defer stop()
	for _, c := range []struct {
		name string
		ctx  context.Context
		age  time.Duration
	}{{"own", b.Context(), 0}, {"own, with a deadline", within, 0}, {"others", b.Context(), time.Hour}} {
		b.Run(c.name, func(b *testing.B) {
			at := &Bound{Quorum: &at0{}, Self: "a", Within: time.Minute, Age: func(string) (time.Duration, bool) { return c.age, true }}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = at.Read(c.ctx, "key")
			}
		})
	}
}

// What a VersionBound adds to a write: to a key with room, and to one that has none.
func BenchmarkVersionBound(b *testing.B) {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
	}
	for _, most := range []int{1, 100, 1 << 40} {
		b.Run(fmt.Sprint("most=", most), func(b *testing.B) {
			v := &VersionBound{Quorum: &at0{held(1, true, "a", "b")}, Most: most}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				_, _ = v.Write(b.Context(), keys[i%len(keys)], nil, quorum.WriteOptions{})
			}
		})
	}
}

func BenchmarkToken(b *testing.B) {
	token := sized(DefaultMax, 3, 2, true)
	encoded := bytesOf(b, token)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(encoded)))
		for b.Loop() {
			_, _ = token.AppendBinary(encoded[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(encoded)))
		for b.Loop() {
			var t Token
			if err := t.UnmarshalBinary(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("join", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t := token.clone()
			t.Join(token)
		}
	})
}

package merkle_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
)

// FuzzSession gives hostile messages to both roles: raw bytes, and the bytes as
// changes of an honest session's messages.
func FuzzSession(f *testing.F) {
	h := merkle.NewHasher(secret)
	rng := rand.New(rand.NewPCG(7, 8))
	a := numbered(400)
	treeA, treeB := a.tree(h), drift(rng, a, 30).tree(h) // by sketch
	cfg := merkle.SessionConfig{MaxMessage: 600, MaxRounds: 200}
	part := cfg
	part.Ranges = []merkle.Range{{From: 1 << 60, To: merkle.Full.To}} // by a table read for it
	for i, cfg := range []merkle.SessionConfig{cfg, part} {
		s := merkle.NewSession(treeA, cfg)
		_, err := run(s, func(msg []byte) ([]byte, error) {
			reply, err := merkle.NewResponder(treeB, cfg).Step(msg)
			f.Add(msg, []byte(nil))
			f.Add(reply, []byte{byte(i), 3, 0, 1, 9, 0, 200})
			return reply, err
		})
		require.NoError(f, err)
	}
	f.Add([]byte("\xdd\xff\xff\xff\xff"), []byte{0, 0, 0})

	f.Fuzz(func(t *testing.T, raw, changes []byte) {
		cfg := cfg
		if len(changes) > 0 {
			if changes[0]&1 == 1 {
				cfg = part
			}
			changes = changes[1:]
		}
		responder := merkle.NewResponder(treeB, cfg)
		respond := func(msg []byte) ([]byte, error) {
			reply, err := responder.Step(msg)
			if err != nil {
				var bad *merkle.MessageError
				if !errors.As(err, &bad) || reply != nil {
					t.Fatalf("responder: %v, %d bytes", err, len(reply))
				}
				return nil, err
			}
			if len(reply) > cfg.MaxMessage {
				t.Fatalf("an answer of %d bytes", len(reply))
			}
			return reply, nil
		}
		respond(raw)

		s := merkle.NewSession(treeA, cfg)
		s.Start()
		accept(t, s, raw)

		// Each round is answered by a damaged answer to a damaged message, and
		// if that fails, by the honest one.
		s = merkle.NewSession(treeA, cfg)
		tr, err := run(s, func(msg []byte) ([]byte, error) {
			damaged := append([]byte(nil), msg...)
			damage(damaged, &changes)
			if reply, err := respond(damaged); err == nil {
				damage(reply, &changes)
				if merkle.Accepts(s, reply) {
					return reply, nil
				}
			}
			return responder.Step(msg)
		})
		ok := err == nil || errors.Is(err, merkle.ErrTooManyRounds)
		if !ok || tr.rounds > cfg.MaxRounds || tr.longest > cfg.MaxMessage {
			t.Fatalf("%v after %+v", err, tr)
		}
	})
}

// accept gives a session a message and checks how it ends.
func accept(t *testing.T, s *merkle.Session, msg []byte) {
	_, err := s.Step(msg)
	var bad *merkle.MessageError
	var incomparable *merkle.IncomparableError
	if err != nil && !errors.As(err, &bad) && !errors.As(err, &incomparable) {
		t.Fatal(err)
	}
}

// damage changes one byte of msg as the next two of changes say.
func damage(msg []byte, changes *[]byte) {
	if c := *changes; len(c) >= 2 && len(msg) > 0 {
		msg[int(c[0])*len(msg)/256] ^= c[1]
		*changes = c[2:]
	}
}

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/eventual-go/eventual/vclock"
)

// A token is the causal context of a read, sealed for the key it was read from. A
// write with it overwrites what that read saw, also writes that have not got here
// yet: so a context that is made up, or of another key, would take away what
// nobody has read.

const sealSize = 8

func (n *node) seal(key string, c *vclock.Context) string {
	b, err := c.AppendBinary(nil)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(n.mac(key, b), b...))
}

// open returns the context in a token, nil from an empty one.
func (n *node) open(key, token string) (*vclock.Context, error) {
	if token == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < sealSize {
		return nil, badRequest("context is not one that a read gave")
	}
	seal, b := b[:sealSize], b[sealSize:]
	c := new(vclock.Context)
	if err := c.UnmarshalBinary(b); err != nil {
		return nil, badRequest("context is not one that a read gave: %v", err)
	}
	if !hmac.Equal(seal, n.mac(key, b)) {
		return nil, conflict("context is not one that a read of this key gave")
	}
	return c, nil
}

func (n *node) mac(key string, context []byte) []byte {
	h := hmac.New(sha256.New, n.config.secret)
	h.Write([]byte(key))
	h.Write([]byte{0})
	h.Write(context)
	return h.Sum(nil)[:sealSize]
}

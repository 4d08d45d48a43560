package membership

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"

	"github.com/eventual-go/eventual/transport"
)

// A seal is what makes messages those of one cluster, as memberlist itself would, so that nothing that is not is ever
// shown to it. A packet has
//
//	2+n bytes  244 and the name of the cluster after its length; nothing, if it is empty
//	1 byte     1, and 12 bytes that are random   } if there are keys
//	           the message, by AES-GCM           }
//	           the message                       } otherwise
//
// and a connection one message each way, of which
//
//	2+n bytes  as above
//	1 byte     10 if there are keys, otherwise 11
//	4 bytes    the length of what follows, which is as in a packet
//
// What is authenticated, beside the message, is the name of the cluster, and of a connection the 5 bytes before it.
// memberlist takes a first byte 0 too, for a version with padding, authenticates neither, and panics if there is no
// padding: here it is refused.
type seal struct {
	label []byte // the first bytes of everything
	name  []byte
	keys  atomic.Pointer[[]cipher.AEAD] // nil: plain
}

const (
	labelByte    = 244
	sealedByte   = 10
	plainByte    = 11
	sealVersion  = 1
	nonceSize    = 12
	sealOverhead = 1 + nonceSize + 16
)

var (
	errLabel  = errors.New("membership: a message of another cluster")
	errSealed = errors.New("membership: a message that is encrypted, or plain, where it must not be")
	errKey    = errors.New("membership: no key decrypts a message")
	errEmpty  = errors.New("membership: a message without a byte")
)

// newSeal returns that of a cluster, which is plain until it has keys.
func newSeal(cluster string) *seal {
	s := &seal{name: []byte(cluster)}
	if cluster != "" {
		s.label = append([]byte{labelByte, byte(len(cluster))}, cluster...)
	}
	return s
}

// rekey makes the keys others, of which the first one is used.
func (s *seal) rekey(keys [][]byte) error {
	all := make([]cipher.AEAD, len(keys))
	for i, k := range keys {
		block, err := aes.NewCipher(k)
		if err != nil {
			return err
		}
		if all[i], err = cipher.NewGCM(block); err != nil {
			return err
		}
	}
	s.keys.Store(&all)
	return nil
}

// overhead is how much longer a packet is than its message.
func (s *seal) overhead() int {
	if s.keys.Load() == nil {
		return len(s.label)
	}
	return len(s.label) + sealOverhead
}

// packet returns a packet of a message.
func (s *seal) packet(msg []byte) []byte {
	return s.encrypt(append(make([]byte, 0, s.overhead()+len(msg)), s.label...), msg, s.name)
}

// openPacket returns the message of a packet, in whose bytes it may be.
func (s *seal) openPacket(b []byte) ([]byte, error) {
	if len(b) < len(s.label) || string(b[:len(s.label)]) != string(s.label) {
		return nil, errLabel
	}
	return s.decrypt(b[len(s.label):], s.name)
}

// stream returns all that a connection brings of a message.
func (s *seal) stream(msg []byte) []byte {
	out := append(make([]byte, 0, s.overhead()+5+len(msg)), s.label...)
	kind, n := byte(plainByte), len(msg)
	if s.keys.Load() != nil {
		kind, n = sealedByte, n+sealOverhead
	}
	out = binary.BigEndian.AppendUint32(append(out, kind), uint32(n))
	return s.encrypt(out, msg, append(out[len(s.label):len(out):len(out)], s.name...))
}

// readStream reads the message of a connection, and not a byte more. It takes up memory as bytes come in, whatever
// length they claim to have.
func (s *seal) readStream(r io.Reader) ([]byte, error) {
	head := make([]byte, len(s.label)+5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if string(head[:len(s.label)]) != string(s.label) {
		return nil, errLabel
	}
	head = head[len(s.label):]
	if (head[0] != plainByte || s.keys.Load() != nil) && (head[0] != sealedByte || s.keys.Load() == nil) {
		return nil, errSealed
	}
	n := int64(binary.BigEndian.Uint32(head[1:]))
	if n > maxStream {
		return nil, &transport.TooLargeError{What: "state of a member", Limit: maxStream, Size: int(min(n, 1<<31-1))}
	}
	b, err := io.ReadAll(io.LimitReader(r, n))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) < n {
		return nil, io.ErrUnexpectedEOF
	}
	return s.decrypt(b, append(head, s.name...))
}

// encrypt appends a message to b, with the keys there are; beside is authenticated.
func (s *seal) encrypt(b, msg, beside []byte) []byte {
	keys := s.keys.Load()
	if keys == nil {
		return append(b, msg...)
	}
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	b = append(append(b, sealVersion), nonce[:]...)
	return (*keys)[0].Seal(b, nonce[:], msg, beside)
}

// decrypt is the inverse of encrypt. A message has a byte at least.
func (s *seal) decrypt(b, beside []byte) ([]byte, error) {
	keys := s.keys.Load()
	switch {
	case keys == nil && len(b) == 0, keys != nil && len(b) == sealOverhead:
		return nil, errEmpty
	case keys == nil:
		return b, nil
	case len(b) < sealOverhead || b[0] != sealVersion:
		return nil, errSealed
	}
	for _, k := range *keys {
		if msg, err := k.Open(nil, b[1:1+nonceSize], b[1+nonceSize:], beside); err == nil {
			return msg, nil
		}
	}
	return nil, errKey
}

package membership

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Messages of memberlist are looked at before it sees them: it takes the lengths in them for true, and
// decompresses what may become 40 MiB. What no member of this package sends is refused: messages that are compressed or
// encrypted once more, lists in lists, and messages of users. Of the others it is checked that everything they
// claim to have is there, so that they cost no more than a few times what they weigh.
//
// A message is a byte that says what it is, and a map in MessagePack of names to scalars, but for
//
//	compound   1 byte how many, 2 bytes the length of each, and the messages
//	checked    4 bytes CRC, and a message, which may be compound
//	exchange   a map that says how many members follow, and how many bytes of claims; a map for each; the claims
const (
	msgPing = iota
	msgIndirectPing
	msgAck
	msgSuspect
	msgAlive
	msgDead
	msgExchange
	msgCompound
	_ // of users
	_ // compressed
	_ // encrypted
	msgNack
	msgChecked
	msgError
)

// leastMember is less than the bytes that one of an exchange has: the names of its seven fields have 44 alone. What it
// becomes in memory is not much more.
const leastMember = 44

var errMessage = errors.New("membership: malformed message")

// inspectPacket says whether a packet is one that members send, and whether it asks for a probe of somebody else. It
// asks for one thing at most.
func inspectPacket(b []byte) (relay bool, err error) {
	if len(b) > 5 && b[0] == msgChecked {
		b = b[5:]
	}
	msgs, _, err := parts(b)
	if err != nil {
		return false, err
	}
	asked := 0
	for _, m := range msgs {
		if err := inspectOne(m); err != nil {
			return false, err
		}
		relay = relay || m[0] == msgIndirectPing
		if m[0] == msgPing || m[0] == msgIndirectPing {
			asked++
		}
	}
	if asked > 1 {
		return false, errMessage
	}
	return relay, nil
}

// parts returns the messages of a packet, which is a list, or one message.
func parts(b []byte) (msgs [][]byte, list bool, err error) {
	if len(b) < 2 || b[0] != msgCompound {
		return [][]byte{b}, false, nil
	}
	n := int(b[1])
	if len(b) < 2+2*n {
		return nil, true, errMessage
	}
	lengths, b := b[2:2+2*n], b[2+2*n:]
	msgs = make([][]byte, n)
	for i := range msgs {
		size := int(binary.BigEndian.Uint16(lengths[2*i:]))
		if size > len(b) {
			return nil, true, errMessage
		}
		msgs[i], b = b[:size], b[size:]
	}
	return msgs, true, whole(b)
}

// compound returns the list of some messages, at most 255.
func compound(msgs ...[]byte) []byte {
	b := []byte{msgCompound, byte(len(msgs))}
	for _, m := range msgs {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m)))
	}
	return append(b, bytes.Join(msgs, nil)...)
}

func inspectOne(b []byte) error {
	if len(b) == 0 {
		return errMessage
	}
	switch b[0] {
	case msgPing, msgIndirectPing, msgAck, msgSuspect, msgAlive, msgDead, msgNack:
		return inspectMap(b[1:])
	}
	return errMessage
}

func inspectMap(b []byte) error {
	rest, err := fields(b, nil)
	if err != nil {
		return err
	}
	return whole(rest)
}

func whole(rest []byte) error {
	if len(rest) > 0 {
		return errMessage
	}
	return nil
}

// inspectStream says whether what a connection brings is what members send.
func inspectStream(b []byte) error {
	switch {
	case len(b) == 0:
		return errMessage
	case b[0] == msgPing || b[0] == msgAck || b[0] == msgError:
		return inspectMap(b[1:])
	case b[0] != msgExchange:
		return errMessage
	}
	var members, claims uint64
	rest, err := fields(b[1:], func(name string, value uint64, _ int) {
		switch name {
		case "Nodes":
			members = value
		case "UserStateLen":
			claims = value
		}
	})
	for ; err == nil && members > 0; members-- {
		before := len(rest)
		if rest, err = fields(rest, nil); err == nil && before-len(rest) < leastMember {
			err = errMessage
		}
	}
	if err == nil && claims != uint64(len(rest)) {
		err = errMessage
	}
	return err
}

// fields goes through a map of names to scalars, and returns what follows it. each, if not nil, is told of
// numbers, of which what is negative is very large, and of how many bytes there are from the value on.
func fields(b []byte, each func(name string, value uint64, left int)) (rest []byte, err error) {
	n, b, err := mapLength(b)
	for ; err == nil && n > 0; n-- {
		var name []byte
		var value uint64
		if name, _, b, err = scalar(b); err != nil || name == nil {
			return nil, errMessage
		}
		left := len(b)
		if _, value, b, err = scalar(b); err == nil && each != nil {
			each(string(name), value, left)
		}
	}
	return b, err
}

func mapLength(b []byte) (n uint32, rest []byte, err error) {
	switch {
	case len(b) >= 1 && b[0]&0xf0 == 0x80:
		return uint32(b[0] & 0xf), b[1:], nil
	case len(b) >= 3 && b[0] == 0xde:
		return uint32(binary.BigEndian.Uint16(b[1:])), b[3:], nil
	}
	return 0, nil, errMessage
}

// scalar takes nil, a boolean, a number or a string off b: of MessagePack neither lists, nor maps, nor extensions. What
// is no string has a nil text.
func scalar(b []byte) (text []byte, value uint64, rest []byte, err error) {
	if len(b) == 0 {
		return nil, 0, nil, errMessage
	}
	c, b := b[0], b[1:]
	size := 0 // of the number that follows, or of the length of a text
	switch {
	case c < 0x80:
		return nil, uint64(c), b, nil
	case c >= 0xe0: // negative
		return nil, uint64(int64(int8(c))), b, nil
	case c&0xe0 == 0xa0:
		return cut(b, uint64(c&0x1f))
	case c == 0xc0, c == 0xc2, c == 0xc3:
		return nil, 0, b, nil
	case c == 0xc4, c == 0xcc, c == 0xd0, c == 0xd9:
		size = 1
	case c == 0xc5, c == 0xcd, c == 0xd1, c == 0xda:
		size = 2
	case c == 0xc6, c == 0xce, c == 0xd2, c == 0xdb:
		size = 4
	case c == 0xcf, c == 0xd3:
		size = 8
	}
	if size == 0 || len(b) < size {
		return nil, 0, nil, errMessage
	}
	for _, d := range b[:size] {
		value = value<<8 | uint64(d)
	}
	b = b[size:]
	switch {
	case c <= 0xc6 || c >= 0xd9:
		return cut(b, value)
	case c >= 0xd0 && value>>(8*size-1) == 1:
		value |= ^uint64(0) << (8*size - 1)
	}
	return nil, value, b, nil
}

// cut takes a text off b.
func cut(b []byte, size uint64) (text []byte, value uint64, rest []byte, err error) {
	if size > uint64(len(b)) {
		return nil, 0, nil, errMessage
	}
	return b[:size], 0, b[size:], nil
}

package membership

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
)

// numbers are what the probes of one process are called outside of it. memberlist counts them from 1 in each process,
// and takes for the answer to one whatever answers that number: so also what answered another process, was recorded and
// is replayed. Outside they have other numbers, one for one, drawn by each process: an answer to another one has the
// number of a probe of this one by chance only, and as the factors differ too, the answers after it do not go on to fit.
//
// A member answers with the number that it was asked with. So what a process asks, itself or by others, is renumbered
// when it goes out, and answers when they come in; what others ask, and the answers to that, is left alone.
type numbers struct{ factor, inverse, offset uint32 }

func newNumbers() numbers {
	r := random()
	n := numbers{factor: uint32(r>>32) | 1, offset: uint32(r)}
	n.inverse = n.factor // to three bits; each step doubles them
	for range 4 {
		n.inverse *= 2 - n.factor*n.inverse
	}
	return n
}

func (n numbers) outside(number uint32) uint32 { return number*n.factor + n.offset }
func (n numbers) inside(number uint32) uint32  { return (number - n.offset) * n.inverse }

// maxLonger is by how much going makes a packet longer, in which there is one request at most.
const maxLonger = 4

// going returns what memberlist sends as it is to go out.
func (n numbers) going(msg []byte) ([]byte, error) {
	return renumber(msg, n.outside, msgPing, msgIndirectPing)
}

// come returns what has come in, and was inspected, as memberlist is to see it.
func (n numbers) come(msg []byte) ([]byte, error) {
	return renumber(msg, n.inside, msgAck, msgNack)
}

// renumber returns a packet, or what a connection brings, with other numbers in messages of some kinds.
func renumber(b []byte, f func(uint32) uint32, kinds ...byte) ([]byte, error) {
	if len(b) > 5 && b[0] == msgChecked {
		inner, err := renumber(b[5:], f, kinds...)
		if err != nil || crc32.ChecksumIEEE(b[5:]) != binary.BigEndian.Uint32(b[1:]) {
			return nil, errMessage
		}
		out := binary.BigEndian.AppendUint32([]byte{msgChecked}, crc32.ChecksumIEEE(inner))
		return append(out, inner...), nil
	}
	msgs, list, err := parts(b)
	if err != nil {
		return nil, err
	}
	for i, m := range msgs {
		if len(m) > 0 && slices.Contains(kinds, m[0]) {
			if msgs[i], err = renumberOne(m, f); err != nil {
				return nil, err
			}
		}
	}
	if !list {
		return msgs[0], nil
	}
	return compound(msgs...), nil
}

// renumberOne returns a message with another number. It has to have one, of 32 bits.
func renumberOne(b []byte, f func(uint32) uint32) ([]byte, error) {
	var number uint64
	found, left := 0, 0
	_, err := fields(b[1:], func(name string, value uint64, size int) {
		if name == "SeqNo" {
			number, left = value, size
			found++
		}
	})
	if err != nil || found != 1 || number > math.MaxUint32 {
		return nil, errMessage
	}
	at := len(b) - left
	_, _, rest, _ := scalar(b[at:]) // which was read above
	out := append(make([]byte, 0, at+5+len(rest)), b[:at]...)
	out = binary.BigEndian.AppendUint32(append(out, 0xce), f(uint32(number)))
	return append(out, rest...), nil
}

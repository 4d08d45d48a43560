package membership

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func sealed(t *testing.T, cluster string, keys ...[]byte) *seal {
	s := newSeal(cluster)
	if len(keys) > 0 {
		require.NoError(t, s.rekey(keys))
	}
	return s
}

// Messages go there and back, in packets and by connections, under each key; and not to other clusters.
func TestSeal(t *testing.T) {
	second := bytes.Repeat([]byte{7}, 16)
	both := func(s *seal, packet, stream []byte) (errs [2]error) {
		got, err := s.openPacket(packet)
		if errs[0] = err; err == nil {
			require.Equal(t, "message", string(got))
		}
		got, err = s.readStream(bytes.NewReader(stream))
		if errs[1] = err; err == nil {
			require.Equal(t, "message", string(got))
		}
		return errs
	}
	for _, cluster := range []string{"", "c", strings.Repeat("c", 255)} {
		plain, one, two := sealed(t, cluster), sealed(t, cluster, key), sealed(t, cluster, second, key)
		other, others := sealed(t, "other", key), sealed(t, "other")
		msg := []byte("message")
		require.Equal(t, [2]error{}, both(plain, plain.packet(msg), plain.stream(msg)))
		require.Equal(t, [2]error{}, both(one, one.packet(msg), one.stream(msg)))
		require.Equal(t, [2]error{}, both(two, one.packet(msg), one.stream(msg)), "all keys are taken")
		require.Equal(t, [2]error{errKey, errKey}, both(one, two.packet(msg), two.stream(msg)), "the first is used")
		require.Equal(t, [2]error{errSealed, errSealed}, both(one, plain.packet(msg), plain.stream(msg)))
		_, err := plain.readStream(bytes.NewReader(one.stream(msg)))
		require.Equal(t, errSealed, err)
		require.NotContains(t, both(other, one.packet(msg), one.stream(msg)), error(nil))
		require.NotContains(t, both(others, plain.packet(msg), plain.stream(msg)), error(nil))
		require.Len(t, one.packet(msg), one.overhead()+len(msg))
		require.Len(t, plain.packet(msg), plain.overhead()+len(msg))
	}
}

// Whatever bit is another, and wherever it is cut, it is refused: also the byte that says that there is a padding.
func TestSealIsWhole(t *testing.T) {
	s := sealed(t, "c", key)
	packet, stream := s.packet([]byte("message")), s.stream([]byte("message"))
	for i := range 8 * len(packet) {
		b := bytes.Clone(packet)
		b[i/8] ^= 1 << (i % 8)
		_, err := s.openPacket(b)
		require.Error(t, err)
	}
	for i := range 8 * len(stream) {
		b := bytes.Clone(stream)
		b[i/8] ^= 1 << (i % 8)
		_, err := s.readStream(bytes.NewReader(b))
		require.Error(t, err)
	}
	for i := range packet {
		_, err := s.openPacket(packet[:i])
		require.Error(t, err)
	}
	for i := range stream {
		_, err := s.readStream(bytes.NewReader(stream[:i]))
		require.Error(t, err)
	}
}

// No message is without a byte, and of a connection no more is read than its message, and not that if it is too long.
func TestSealIsBounded(t *testing.T) {
	for _, s := range []*seal{sealed(t, "c"), sealed(t, "c", key)} {
		_, err := s.openPacket(s.packet(nil))
		require.Equal(t, errEmpty, err)
		_, err = s.readStream(bytes.NewReader(s.stream(nil)))
		require.Equal(t, errEmpty, err)

		whole := s.stream([]byte("message"))
		r := bytes.NewReader(append(whole, "more"...))
		_, err = s.readStream(r)
		require.NoError(t, err)
		require.Equal(t, 4, r.Len())

		head := s.stream(nil)[:len(s.label)+1]
		for _, n := range []uint32{maxStream + 1, 1<<32 - 1} {
			r := bytes.NewReader(append(binary.BigEndian.AppendUint32(bytes.Clone(head), n), "more"...))
			_, err := s.readStream(r)
			var large *transport.TooLargeError
			require.ErrorAs(t, err, &large)
			require.Equal(t, 4, r.Len())
		}
		claim := binary.BigEndian.AppendUint32(bytes.Clone(head), maxStream)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			_, err := s.readStream(bytes.NewReader(claim))
			require.Equal(t, io.ErrUnexpectedEOF, err)
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(maxStream), "a hundred claims cost less than one says")
	}
}

// A taped transport has what it sends noted.
type taped struct {
	memberlist.NodeAwareTransport
	note func([]byte)
}

func (t *taped) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	t.note(b)
	return time.Now(), nil
}

// A packet is what memberlist would make of it by itself.
func TestPacketsAreThoseOfMemberlist(t *testing.T) {
	raw, err := listen(t.Context(), "127.0.0.1:0", "", newSeal(""), time.Second)
	require.NoError(t, err)
	var packet []byte
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.SecretKey, c.EnableCompression, c.Logger = "x", "c", key, false, logger(nil, true)
	c.Transport = &taped{raw, func(b []byte) { packet = bytes.Clone(b) }}
	list, err := memberlist.Create(c)
	require.NoError(t, err)
	defer list.Shutdown()
	require.NoError(t, list.SendToAddress(memberlist.Address{Addr: "127.0.0.1:9", Name: "y"}, []byte("text")))
	msg, err := sealed(t, "c", key).openPacket(packet)
	require.NoError(t, err)
	require.Equal(t, "\x08text", string(msg))
	require.ErrorIs(t, packetError(msg), errMessage, "members send no messages of users")
}

// Who has a key, or a record of what was said under it, ends no process.
func TestMessagesThatEndedProcesses(t *testing.T) {
	a := member(t, "a").start()
	s, _ := a.current()
	seal := s.seal
	udp, err := net.Dial("udp", a.gossip())
	require.NoError(t, err)
	defer udp.Close()
	padded := seal.packet([]byte("\x02\x82\xa7Payload\xc0\xa5SeqNo\xcc\xc8")) // an answer to a probe
	padded[len(seal.label)] = 0                                               // its last 200 bytes are padding
	packets := map[string][]byte{
		"a padding that is longer than the message": padded,
		"no message": seal.packet(nil),
		"compressed": seal.packet([]byte("\x09\x82\xa4Algo\x00\xa3Buf\xa1x")),
		"compound":   seal.packet([]byte("\x07\x01\x00\x02\x07\x00")),
	}
	streams := map[string][]byte{
		"no message":             seal.stream(nil),
		"a million members":      seal.stream([]byte("\x06\x83\xa5Nodes\xce\x00\x0f\xff\xff\xacUserStateLen\x00\xa4Join\xc3")),
		"claims that are absent": seal.stream([]byte("\x06\x83\xa5Nodes\x00\xacUserStateLen\xce\x01\x00\x00\x00\xa4Join\xc3")),
		"compressed":             seal.stream([]byte("\x09\x82\xa4Algo\x00\xa3Buf\xa1x")),
		"of users":               seal.stream([]byte("\x08\x81\xaaUserMsgLen\xce\x01\x00\x00\x00")),
	}
	for what, b := range packets {
		before := a.Stats().Garbled
		eventually(t, what, func() bool {
			_, _ = udp.Write(b)
			return a.Stats().Garbled > before
		})
	}
	for what, b := range streams {
		before := a.Stats().Garbled
		c := from(t, "127.0.0.9", a.gossip())
		_, err := c.Write(b)
		require.NoError(t, err)
		eventually(t, what, func() bool { return a.Stats().Garbled > before })
	}
	require.NoError(t, member(t, "b").start().Join(t.Context(), a.gossip()))
}

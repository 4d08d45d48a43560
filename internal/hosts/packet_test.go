package hosts

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	errForeign  = errors.New("not IPv4")
	errDamaged  = errors.New("wrong length or checksum")
	errFragment = errors.New("a fragment")
)

const (
	protocolTCP = 6
	headerIPv4  = 20
)

// destination returns where an IPv4 packet is to go. Nothing between the hosts may repair or
// leave out a checksum, as network cards do: so they are looked at.
func destination(p []byte) (netip.Addr, error) {
	if len(p) < headerIPv4 || p[0]>>4 != 4 {
		return netip.Addr{}, errForeign
	}
	header := int(p[0]&15) * 4
	if header < headerIPv4 || header > len(p) || int(binary.BigEndian.Uint16(p[2:])) != len(p) || sum(0, p[:header]) != 0xffff {
		return netip.Addr{}, errDamaged
	}
	if binary.BigEndian.Uint16(p[6:])&0x3fff != 0 {
		return netip.Addr{}, errFragment
	}
	if p[9] == protocolTCP && !validTCP(p[12:20], p[header:]) {
		return netip.Addr{}, errDamaged
	}
	return netip.AddrFrom4([4]byte(p[16:20])), nil
}

// validTCP checks a segment with its pseudo-header: RFC 9293, section 3.1.
func validTCP(addresses, segment []byte) bool {
	return sum(sum(protocolTCP+uint32(len(segment)), addresses), segment) == 0xffff
}

// sum adds up 16-bit words in ones' complement: RFC 1071.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return s
}

// syn is a packet as a kernel sends it: 198.18.0.1:42812 connects to 198.18.0.2:7001.
func syn() []byte {
	p := []byte{
		0x45, 0, 0, 41, 0x12, 0x34, 0x40, 0, 64, protocolTCP, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2,
		0xa7, 0x3c, 0x1b, 0x59, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0, 'x',
	}
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum(0, p[:20])))
	binary.BigEndian.PutUint16(p[36:], ^uint16(sum(sum(protocolTCP+21, p[12:20]), p[20:])))
	return p
}

func TestDestination(t *testing.T) {
	to, err := destination(syn())
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddr("198.18.0.2"), to)

	for i := range syn() {
		p := syn()
		p[i] ^= 0x10
		_, err := destination(p)
		require.Error(t, err, "byte %d", i)
	}
	for n := range syn() {
		_, err := destination(syn()[:n])
		require.Error(t, err, "%d bytes", n)
	}
}

// The example of RFC 1071, section 3.
func TestSum(t *testing.T) {
	require.EqualValues(t, 0xddf2, sum(0, []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}))
}

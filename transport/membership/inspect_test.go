package membership

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// packed returns a value as memberlist encodes it.
func packed(t testing.TB, v any) []byte {
	var b []byte
	require.NoError(t, codec.NewEncoderBytes(&b, &codec.MsgpackHandle{}).Encode(v))
	return b
}

type fieldsOf = map[string]any

func someMember(t testing.TB) []byte {
	return packed(t, fieldsOf{"Name": "b", "Addr": []byte{127, 0, 0, 1}, "Port": uint16(7), "Meta": []byte(saidBytes),
		"Incarnation": uint32(1 << 20), "State": 0, "Vsn": []uint8{1, 5, 2, 1, 1, 1}})
}

// exchange says that so many members and bytes follow, and has what does follow.
func exchange(t testing.TB, members, claims int, follows ...[]byte) []byte {
	head := packed(t, fieldsOf{"Nodes": members, "UserStateLen": claims, "Join": true})
	return append(append([]byte{msgExchange}, head...), bytes.Join(follows, nil)...)
}

func packetError(b []byte) error {
	_, err := inspectPacket(b)
	return err
}

// What members send is taken, and each part of it refused: at whatever byte it is cut, and with one more.
func TestInspection(t *testing.T) {
	ack := append([]byte{msgAck}, packed(t, fieldsOf{"SeqNo": uint32(1 << 31), "Payload": nil})...)
	alive := append([]byte{msgAlive}, someMember(t)...)
	checked := []byte{msgChecked, 1, 2, 3, 4}
	for _, b := range [][]byte{ack, alive, suspicion(1<<31, "b"), suspicion(0, transport.NodeID(strings.Repeat("x", 255))), compound(ack, alive, ack), append(checked, compound(ack, alive)...)} {
		require.NoError(t, packetError(b))
		require.ErrorIs(t, packetError(append(bytes.Clone(b), 0)), errMessage)
		for i := range b {
			require.ErrorIs(t, packetError(b[:i]), errMessage, "cut to %d bytes", i)
		}
	}
	m := someMember(t)
	for _, b := range [][]byte{ack, exchange(t, 0, 0), exchange(t, 3, 0, m, m, m), exchange(t, 1, 300, m, make([]byte, 300))} {
		require.NoError(t, inspectStream(b))
		require.ErrorIs(t, inspectStream(append(bytes.Clone(b), 0)), errMessage)
		for i := range b {
			require.ErrorIs(t, inspectStream(b[:i]), errMessage, "cut to %d bytes", i)
		}
	}
}

func TestInspectionRefuses(t *testing.T) {
	m := someMember(t)
	ack := append([]byte{msgAck}, packed(t, fieldsOf{"SeqNo": 1, "Payload": nil})...)
	ask := func(kind byte, number uint32) []byte { return numbered(t, kind, number) }
	require.NoError(t, packetError(compound(ask(msgPing, 1), ack)))
	for i, b := range [][]byte{
		exchange(t, 1<<20, 0, m), exchange(t, 1, 1<<24, m), exchange(t, -1, 0, m), exchange(t, 0, -1),
		exchange(t, 4, 0, []byte{0x80}, []byte{0x80}, []byte{0x80}, []byte{0x80}), // members of one byte
		append([]byte{8}, packed(t, fieldsOf{"UserMsgLen": 1 << 24})...),
		append([]byte{9}, packed(t, fieldsOf{"Algo": 0, "Buf": make([]byte, 100)})...),
		{10, 0, 0, 0, 0}, {msgAlive}, {},
	} {
		require.ErrorIs(t, inspectStream(b), errMessage, "%d", i)
	}
	for i, b := range [][]byte{
		exchange(t, 0, 0), compound(ask(msgPing, 1), ask(msgIndirectPing, 1)), compound(ask(msgPing, 1), ask(msgPing, 1)), compound(compound(ack)), compound(append([]byte{msgChecked, 1, 2, 3, 4}, ack...)),
		compound(append([]byte{9}, m...)), compound(nil), append([]byte{9}, m...), append([]byte{8}, m...), append([]byte{14}, m...),
		append([]byte{msgAck}, packed(t, fieldsOf{"SeqNo": []int{1}})...),
		append([]byte{msgAck}, packed(t, fieldsOf{"SeqNo": fieldsOf{"a": 1}})...),
		append([]byte{msgAck}, packed(t, map[int]int{1: 1})...),
		append([]byte{msgAck, 0xdf}, make([]byte, 8)...),
		append([]byte{msgAck}, bytes.Repeat([]byte{0x91}, 4000)...),
		append([]byte{msgAck}, "\x81\xa1a\xc1"...), append([]byte{msgAck}, "\x81\xa1a\xcb12345678"...),
		append([]byte{msgAck}, "\x81\xa1a\xdb\xff\xff\xff\xff"...),
	} {
		require.ErrorIs(t, packetError(b), errMessage, "%d", i)
	}
}

// What is taken can be read by the decoder that memberlist has, which reads the same numbers, and no more bytes.
func FuzzInspection(f *testing.F) {
	f.Add(someMember(f))
	f.Add(packed(f, fieldsOf{"Nodes": 70000, "UserStateLen": -5, "Join": true, "x": 1 << 40, "y": -1 << 40}))
	f.Add(compound([]byte("\x02\x80"), []byte("\x04\x80")))
	f.Add(exchange(f, 1, 3, someMember(f), []byte("abc")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if msg, err := newNumbers().come(b); packetError(b) == nil && err == nil {
			require.NoError(t, packetError(msg))
		}
		_ = inspectStream(b)
		numbers, names := map[string]uint64{}, 0
		rest, err := fields(b, func(name string, value uint64, _ int) { numbers[name] = value; names++ })
		if err != nil || names > len(numbers) { // this decoder wants a name's second value to be of the kind of its first
			return
		}
		var got map[string]any
		dec := codec.NewDecoderBytes(b, &codec.MsgpackHandle{})
		require.NoError(t, dec.Decode(&got))
		require.Equal(t, len(b)-len(rest), dec.NumBytesRead())
		for name, v := range got {
			switch v := v.(type) {
			case int64:
				require.Equal(t, uint64(v), numbers[name], name)
			case uint64:
				require.Equal(t, v, numbers[name], name)
			default:
				require.Zero(t, numbers[name], fmt.Sprint(name, v))
			}
		}
	})
}

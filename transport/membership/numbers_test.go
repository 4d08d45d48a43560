package membership

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// numbered is a message of a kind with a number.
func numbered(t testing.TB, kind byte, number uint32) []byte {
	return append(append([]byte{kind}, "\x82\xa7Payload\xc0\xa5SeqNo"...), packed(t, number)...)
}

// numberOf returns the kind and number of a packet's first message; kind 255 if it is malformed.
func numberOf(b []byte) (kind byte, number uint32) {
	msgs, _, err := parts(b)
	if err != nil {
		return 255, 0
	}
	_, err = fields(msgs[0][1:], func(name string, value uint64, _ int) {
		if name == "SeqNo" {
			number = uint32(value)
		}
	})
	if err != nil {
		return 255, 0
	}
	return msgs[0][0], number
}

// Each number has one outside, also beyond the last one, and no two processes the same.
func TestNumbersAreOneForOne(t *testing.T) {
	for range 100 {
		n, other := newNumbers(), newNumbers()
		seen := map[uint32]bool{}
		for _, from := range []uint32{0, math.MaxUint32 - 500, 1 << 31} {
			for i := range uint32(1000) {
				out := n.outside(from + i)
				require.Equal(t, from+i, n.inside(out))
				seen[out] = true
			}
		}
		require.Equal(t, 2501, len(seen), "499 came twice")
		alike := 0
		for i := range uint32(1000) {
			if seen[other.outside(i)] {
				alike++
			}
		}
		require.Less(t, alike, 500)
	}
}

// What a process asks has another number outside, the same by whomever it asks; what answers that has its own number
// inside. All else is left as it is, by itself, in lists, and where there is a checksum.
func TestNumbersOfMessages(t *testing.T) {
	n := newNumbers()
	alive := append([]byte{msgAlive}, someMember(t)...)
	sum := func(b []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{msgChecked}, crc32.ChecksumIEEE(b)), b...)
	}
	wraps := map[string]func([]byte) []byte{
		"alone": bytes.Clone, "list": func(b []byte) []byte { return compound(b, alive) }, "checked": sum,
		"checked list": func(b []byte) []byte { return sum(compound(b, alive)) },
	}
	for name, wrap := range wraps {
		for _, number := range []uint32{0, 1, 127, 128, 300, 1 << 16, math.MaxUint32} {
			ping, indirect := numbered(t, msgPing, number), numbered(t, msgIndirectPing, number)
			for _, asked := range [][]byte{ping, indirect} {
				out, err := n.going(wrap(asked))
				require.NoError(t, err)
				require.LessOrEqual(t, len(out), len(wrap(asked))+maxLonger)
				require.NoError(t, packetError(out))
				if name == "alone" {
					kind, got := numberOf(out)
					require.Equal(t, asked[0], kind)
					require.Equal(t, n.outside(number), got)
				}
				same, err := n.come(out)
				require.NoError(t, err)
				require.Equal(t, out, same, "what others ask")
			}
			for _, kind := range []byte{msgAck, msgNack} {
				answer := wrap(numbered(t, kind, n.outside(number)))
				in, err := n.come(answer)
				require.NoError(t, err)
				require.NoError(t, packetError(in))
				want, err := renumber(wrap(numbered(t, kind, number)), func(n uint32) uint32 { return n }, kind)
				require.NoError(t, err)
				require.Equal(t, want, in)
				same, err := n.going(answer)
				require.NoError(t, err)
				require.Equal(t, answer, same, "what answers others")
			}
		}
	}
	state := exchange(t, 1, 3, someMember(t), []byte("abc"))
	for _, f := range []func([]byte) ([]byte, error){n.going, n.come} {
		same, err := f(state)
		require.NoError(t, err)
		require.Equal(t, state, same)
	}
	broken := sum(numbered(t, msgAck, 1))
	broken[1] ^= 1
	for _, b := range [][]byte{
		broken, append([]byte{msgAck}, packed(t, fieldsOf{"SeqNo": uint64(1 << 32)})...), append([]byte{msgAck}, packed(t, fieldsOf{"SeqNo": -1})...),
		append([]byte{msgAck}, packed(t, fieldsOf{"Payload": nil})...), append([]byte{msgAck}, "\x82\xa5SeqNo\x01\xa5SeqNo\x02"...),
	} {
		require.NoError(t, packetError(b))
		_, err := n.come(b)
		require.ErrorIs(t, err, errMessage)
	}
}

// unnumbered undoes the numbers, so that they are those of memberlist outside too.
type unnumbered struct {
	memberlist.NodeAwareTransport
	numbers numbers
	packets chan *memberlist.Packet
}

func undo(r *runner) {
	r.tap = func(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
		s := t.(*sockets)
		u := &unnumbered{t, s.numbers, make(chan *memberlist.Packet)}
		go func() {
			for {
				select {
				case p := <-s.packets:
					p.Buf, _ = renumber(p.Buf, u.numbers.outside, msgAck, msgNack)
					select {
					case u.packets <- p:
					case <-s.ctx.Done():
					}
				case <-s.ctx.Done():
					return
				}
			}
		}()
		return u
	}
}

func (u *unnumbered) PacketCh() <-chan *memberlist.Packet { return u.packets }

func (u *unnumbered) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	b, err := renumber(b, u.numbers.inside, msgPing, msgIndirectPing)
	if err != nil {
		return time.Now(), err
	}
	return u.NodeAwareTransport.WriteToAddress(b, a)
}

// An echo is where a member was: it answers probes by f, which has the number of each.
type echo struct {
	conn *net.UDPConn
	mu   sync.Mutex
	f    func(number uint32) [][]byte // packets
}

func echoing(t *testing.T, seal *seal) *echo {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	e := &echo{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			msg, err := seal.openPacket(bytes.Clone(buf[:n]))
			if err != nil {
				continue
			}
			kind, number := numberOf(msg)
			if kind != msgPing {
				continue
			}
			e.mu.Lock()
			for _, p := range e.f(number) {
				_, _ = conn.WriteToUDPAddrPort(p, from)
			}
			e.mu.Unlock()
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return e
}

func (e *echo) answer(f func(number uint32) [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.f = f
}

// answered reports how many of some probes of b, who is where the echo is, are answered.
func answered(t *testing.T, r *runner, e *echo) (n int) {
	s, _ := r.current()
	for range 10 {
		if _, err := s.list.Ping("b", e.conn.LocalAddr()); err == nil {
			n++
		}
	}
	return n
}

// Answers to one process, recorded and replayed by who has no key, answer no probe of another one, be it another node
// or the same one started again. Without numbers that differ they would.
func TestRecordedAnswers(t *testing.T) {
	seal := sealed(t, "test", key)
	for _, self := range []transport.NodeID{"a", "c"} {
		for _, differ := range []bool{true, false} {
			t.Run(fmt.Sprint(self, differ), func(t *testing.T) {
				life := func(self transport.NodeID) *runner {
					r := member(t, self)
					if !differ {
						undo(r)
					}
					return r.start()
				}
				e := echoing(t, seal)
				var record [][]byte
				e.answer(func(number uint32) [][]byte {
					p := seal.packet(numbered(t, msgAck, number))
					record = append(record, p)
					return [][]byte{p}
				})
				first := life("a")
				eventually(t, "b answers", func() bool { return answered(t, first, e) > 5 })
				first.kill()

				second := life(self)
				e.answer(func(uint32) [][]byte { return record })
				if differ {
					require.Zero(t, answered(t, second, e))
					e.answer(func(number uint32) [][]byte { return [][]byte{seal.packet(numbered(t, msgAck, number))} })
				}
				eventually(t, "it is answered", func() bool { return answered(t, second, e) > 0 })
			})
		}
	}
}

// The same of answers by connections.
func TestRecordedAnswersByConnections(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	seal := sealed(t, "test", key)
	// probe asks with a number, is answered with one that has been made of that which came, and returns both.
	probe := func(r *runner, number uint32, f func(came uint32) uint32) (came, got uint32) {
		s, _ := r.current()
		served := make(chan uint32, 1)
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			msg, err := seal.readStream(c)
			if err == nil {
				_, came := numberOf(msg)
				_, _ = c.Write(seal.stream(numbered(t, msgAck, f(came))))
				served <- came
			}
		}()
		c, err := s.sockets.DialTimeout(ln.Addr().String(), 10*time.Second)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write(numbered(t, msgPing, number))
		require.NoError(t, err)
		buf := make([]byte, 1000)
		n, err := c.Read(buf)
		require.NoError(t, err)
		_, got = numberOf(buf[:n])
		return <-served, got
	}
	same := func(came uint32) uint32 { return came }
	first, second := member(t, "a").start(), member(t, "c").start()
	recorded, got := probe(first, 7, same)
	require.EqualValues(t, 7, got)
	_, got = probe(second, 7, func(uint32) uint32 { return recorded })
	require.NotEqualValues(t, 7, got)
	_, got = probe(second, 7, same)
	require.EqualValues(t, 7, got)
}

// A probe for another member has that one's number when it is answered, though the one who makes it has one of its own.
func TestNumbersOfRelays(t *testing.T) {
	seal := sealed(t, "test", key)
	r := member(t, "a")
	r.Pace.ProbeTimeout, r.Pace.Probe = 2*time.Second, 2*time.Second
	r.start()
	e := echoing(t, seal)
	e.answer(func(number uint32) [][]byte { return [][]byte{seal.packet(numbered(t, msgAck, number))} })
	asks := askerOf(t, "127.0.0.1", r)
	eventually(t, "it is answered", func() bool { return asks.relayed(t, e) == msgAck })
	e.answer(func(number uint32) [][]byte { return [][]byte{seal.packet(numbered(t, msgAck, number+1))} })
	eventually(t, "it is denied", func() bool { return asks.relayed(t, e) == msgNack })
}

// Answers to any process of before keep nobody alive who is gone.
func TestNoGhosts(t *testing.T) {
	all := joined(t, "a", "b")
	d, b := all[0], all[1]
	seal := sealed(t, "test", key)
	b.kill()
	udp, err := net.Dial("udp", d.gossip())
	require.NoError(t, err)
	defer udp.Close()
	eventually(t, "b is dead", func() bool {
		for number := range uint32(300) {
			_, _ = udp.Write(seal.packet(numbered(t, msgAck, number)))
		}
		return d.status("b") == Dead
	})
}

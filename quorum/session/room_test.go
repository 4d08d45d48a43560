package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

// A token has no more bytes than MaxBytes after a call that succeeded, whatever keys and nodes are called, and how many are
// settled; and no more keys than Max. Whoever resumes it can use it.
func TestTokenIsBoundedInBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for _, most := range []int{1, 200, 1000, DefaultMaxBytes} {
		for _, name := range []int{1, 30, 190, 2500, 70_000} {
			q := answering("a")
			read := q.read
			q.read = func(o quorum.ReadOptions) (quorum.ReadResult, error) {
				res, err := read(o)
				if name != 30 { // else it is always the same one, and majorities are of the same three
					res.Holders.Nodes = []nodeID{nodeID(fmt.Sprint(strings.Repeat("n", random.IntN(40)), random.IntN(20)))}
					res.Holders.Version = random.Uint64N(12)
				}
				return res, err
			}
			s := &Session{Quorum: q, MaxBytes: most, AtOnce: 1 + random.IntN(3)}
			if s.AtOnce > 1 {
				s.Quorum = &sharing{Quorum: q}
			}
			for i := range 150 {
				key := fmt.Sprint(strings.Repeat("k", random.IntN(name)), i-random.IntN(8))
				var err error
				if level := []quorum.Level{quorum.One, quorum.One, quorum.Majority}[random.IntN(3)]; random.IntN(9) > 0 {
					_, err = s.Read(t.Context(), key, quorum.ReadOptions{Level: level})
				} else {
					_, err = s.Write(t.Context(), key, nil, writes(level))
				}
				require.NoError(t, err)
				b := bytesOf(t, s.Token())
				if most > 100 { // a token that has seen nothing has 24 bytes, and up to 10 more are not used
					require.LessOrEqual(t, len(b), most)
				} else {
					require.Empty(t, s.token.keys)
				}
				var got Token
				require.NoError(t, got.UnmarshalBinary(b))
				next := &Session{Quorum: q, MaxBytes: most}
				next.Resume(got)
				require.NoError(t, next.ready())
			}
		}
	}
}

// Room is made before a call: where that fails nothing is sent, by Max and by MaxBytes.
func TestRoomIsMadeBeforeACall(t *testing.T) {
	for _, s := range []*Session{{Max: 4, AtOnce: 1}, {MaxBytes: 400, AtOnce: 1}} {
		q := answering("a")
		s.Quorum = q
		read := q.read
		q.read = func(o quorum.ReadOptions) (quorum.ReadResult, error) {
			if o.Level == quorum.Majority {
				return quorum.ReadResult{}, &quorum.UnavailableError{}
			}
			return read(o)
		}
		var err error
		for i := 0; err == nil; i++ {
			require.Less(t, i, 100)
			require.Empty(t, q.writes)
			_, err = s.Read(t.Context(), fmt.Sprintf("%030d", i), one)
		}
		_, refused := errors.AsType[*quorum.UnavailableError](err)
		require.True(t, refused, "%v", err)
		last := q.reads[len(q.reads)-1]
		require.Equal(t, quorum.Majority, last.Level, "this one was to make room")
		require.LessOrEqual(t, len(bytesOf(t, s.Token())), 400)
		require.Less(t, len(s.token.keys), 9)
	}
}

// Where no majority can be asked, keys that majorities hold are left out, as far as there are any: the call goes on.
func TestWhatMajoritiesHoldIsLeftOutInAPartition(t *testing.T) {
	q := answering("a")
	s := &Session{Quorum: q, MaxBytes: 500, AtOnce: 1}
	key := func(i int) string { return fmt.Sprintf("%030d", i) }
	for i := range 20 {
		noted(&s.token, key(i), wrote|read, held(0, true, "a", "b"))
	}
	read := q.read
	q.read = func(o quorum.ReadOptions) (quorum.ReadResult, error) {
		if o.Level == quorum.Majority {
			return quorum.ReadResult{}, &quorum.UnavailableError{}
		}
		return read(o)
	}
	for i := range 8 {
		_, err := s.Read(t.Context(), key(100+i), one)
		require.NoError(t, err)
		require.LessOrEqual(t, len(bytesOf(t, s.Token())), 500)
	}
	require.True(t, s.token.rest)
}

// Keys whose names are short take no less room when majorities hold them: only those are brought there that are then left out.
func TestKeysThatAreLeftOutAreAFew(t *testing.T) {
	q := answering("a")
	s := &Session{Quorum: &sharing{Quorum: q}, MaxBytes: 400, AtOnce: 2}
	for i := range 200 {
		brought := len(q.reads)
		_, err := s.Read(t.Context(), fmt.Sprint(i), one)
		require.NoError(t, err)
		require.LessOrEqual(t, len(q.reads)-brought, 14, "itself, and as many as there is room for with a new key")
	}
}

// The size that is reckoned with is never less than what it is, and little more.
func TestSizeOfAToken(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 4))
	for i := range 400 {
		token := wildToken(random, i%20)
		n := len(bytesOf(t, token))
		require.GreaterOrEqual(t, token.size(), n)
		nodes, versions := token.names()
		if placeOf(nodes, versions) == 1 {
			require.LessOrEqual(t, token.size(), n+18+10*len(versions)+2*len(nodes)+3*len(token.keys))
		}
	}
}

// wildToken has nodes, placements and names of all sizes.
func wildToken(random *rand.Rand, keys int) (t Token) {
	width := 1 + random.IntN(300)
	for range keys {
		var nodes []nodeID
		for range 1 + random.IntN(20) {
			name := []byte(fmt.Sprint(strings.Repeat("\xff", random.IntN(2)), random.IntN(width), strings.Repeat("x", random.IntN(40)/39*300)))
			nodes = append(nodes, nodeID(name))
		}
		key := strings.Repeat("k", []int{1, 30, 300, 70_000}[random.IntN(4)]) + fmt.Sprint(random.IntN(10))
		noted(&t, key, what(1+random.IntN(3)), held(random.Uint64()>>random.IntN(64), random.IntN(2) == 0, nodes...))
	}
	return t
}

// What is encoded can be decoded to the same, whatever was seen and joined; or it is not encoded.
func TestWhatIsEncodedCanBeDecoded(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 4))
	check := func(token Token) (refused bool) {
		t.Helper()
		b, err := token.AppendBinary([]byte("x"))
		if err != nil {
			_, refused = errors.AsType[*LimitError](err)
			require.True(t, refused)
			require.Equal(t, "x", string(b))
			return true
		}
		var got Token
		require.NoError(t, got.UnmarshalBinary(b[1:]))
		require.Equal(t, b[1:], bytesOf(t, got))
		require.Equal(t, len(token.keys) > maxKeys || token.rest, got.rest)
		return false
	}
	for i := range 400 {
		token := wildToken(random, i%20)
		for range random.IntN(4) {
			token.Join(wildToken(random, i%20))
		}
		require.False(t, check(token))
	}
	for _, most := range []bool{true, false} { // of one key
		var token Token
		for i := range uint64(maxDecoded + 1) {
			var part Token
			noted(&part, "k", wrote|read, held(i, most, nodeID(fmt.Sprint(i))))
			noted(&part, "k", wrote, held(i, true, nodeID(fmt.Sprint(i, "w"))))
			token.Join(part)
		}
		require.Equal(t, !most, check(token))
	}
	for _, most := range []bool{true, false} { // of many
		var token Token
		for i := range maxKeys + 1 {
			key := fmt.Sprint(i)
			token.keys = append(token.keys, entry{hash: hashOf(key), key: key, seen: []*piece{{of: wrote, held: held(1, most, "a")}}})
		}
		require.Equal(t, !most, check(token))
	}
}

// A token that is resumed takes no more room than one that the session made; tokens of sessions, joined, are taken.
func TestResumedTokensAreFolded(t *testing.T) {
	s := &Session{Quorum: answering("a"), Max: 16}
	for i := range 5 {
		s.Resume(sized(4096*(i+1)/5, 3, 2, true))
		require.Len(t, s.token.keys, 16)
		require.NoError(t, s.ready())
	}
	require.Len(t, bytesOf(t, s.Token()), len(bytesOf(t, s.token)))
	s = &Session{Quorum: answering("a"), Max: 16, AtOnce: 1}
	var two Token
	for i := range 32 {
		noted(&two, fmt.Sprint(i), wrote|read, held(0, false, "a"))
	}
	s.Resume(two)
	_, err := s.Read(t.Context(), "k", one)
	require.NoError(t, err)
	require.Len(t, s.token.keys, 16)
}

// Who forges a token that asks for many reads gets none.
func TestForgedTokensAskNobody(t *testing.T) {
	for most, refused := range map[int]bool{1: true, 16: true, 0: false} {
		for _, pieces := range []int{1, 16} {
			q := answering("a")
			s := &Session{Quorum: q, Max: most, AtOnce: 1}
			var forged Token
			for i := range 4*16/pieces + 1 {
				for k := range pieces {
					var part Token
					noted(&part, fmt.Sprint(i), wrote|read, held(uint64(k), false, nodeID(fmt.Sprint(k))))
					forged.Join(part)
				}
			}
			if pieces > 1 {
				require.Less(t, forged.demands(), 4*16, "16 parts take 3 reads, not 16")
				forged.Join(sized(4*16, 3, 1, false))
			}
			s.Resume(forged)
			_, read := s.Read(t.Context(), "k", one)
			_, written := s.Write(t.Context(), "k", nil, writes(quorum.One))
			_, waited := s.Wait(t.Context(), "k", quorum.One)
			for _, err := range []error{read, written, waited} {
				limit, is := errors.AsType[*LimitError](err)
				require.Equal(t, refused, is, "%v", err)
				if is {
					require.Equal(t, LimitError{Of: limit.Of, Has: forged.demands(), Most: 64}, *limit)
				}
			}
			if refused {
				require.Empty(t, q.keys)
			}
			require.GreaterOrEqual(t, len(s.Token().keys), 16, "nothing that was seen is lost by that")
		}
	}
}

// The reads that a token demands are as many as it takes at most.
func TestDemandsOfAToken(t *testing.T) {
	for pieces := range 64 {
		q := answering("a")
		s := &Session{Quorum: q, AtOnce: 1}
		for k := range pieces + 1 {
			var part Token
			noted(&part, "k", wrote|read, held(uint64(k), false, nodeID(fmt.Sprint(k))))
			s.Resume(part)
		}
		demands := s.token.demands()
		_, err := s.Write(t.Context(), "l", nil, writes(quorum.Majority))
		require.NoError(t, err)
		require.Equal(t, demands, len(q.reads), "%d", pieces+1)
	}
}

// What it costs to read a page of 256 items at One and write then: the token stays within its bytes, each item is read once at a
// majority, 16 at the same time, before it has to be left out or the write is sent.
func TestCostOfAPage(t *testing.T) {
	for name, want := range map[int]struct{ reads, write time.Duration }{10: {0, 16 * aRead}, 190: {28 * aRead, aRead}} {
		synctest.Test(t, func(t *testing.T) {
			q := new(slow)
			s := &Session{Quorum: q}
			start := time.Now()
			for i := range 256 {
				_, err := s.Read(t.Context(), fmt.Sprintf("%0*d", name, i), one)
				require.NoError(t, err)
				require.LessOrEqual(t, len(bytesOf(t, s.Token())), DefaultMaxBytes)
			}
			require.Equal(t, want.reads, time.Since(start))
			start = time.Now()
			_, err := s.Write(t.Context(), fmt.Sprintf("%0*d", name, 255), nil, writes(quorum.Majority))
			require.NoError(t, err)
			require.Equal(t, want.write, time.Since(start))
			require.Equal(t, 256, q.of)
			require.False(t, s.token.rest, "each is listed, and can be read again at One")
		})
	}
}

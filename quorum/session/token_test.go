package session

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/eventual-go/eventual/quorum"
	"github.com/stretchr/testify/require"
)

func held(version uint64, majority bool, nodes ...nodeID) quorum.Holders {
	return sorted(quorum.Holders{Version: version, Nodes: nodes, Majority: majority})
}

func noted(t *Token, key string, of what, h quorum.Holders) {
	t.note(key, &piece{of: of, held: h}, nil)
}

func bytesOf(t testing.TB, token Token) []byte {
	b, err := token.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// tokens are of all shapes, with the bytes that they have for ever.
func tokens() map[string]Token {
	var none, one, floor, weak, more, joined Token
	noted(&one, "cart", wrote|read, held(3, true, "b", "a"))
	floor = one.clone()
	floor.fold(0, 0)
	floor.keys = nil
	noted(&weak, "cart", wrote, held(3, false, "c"))
	more = one.clone()
	noted(&more, "cart", wrote, held(4, false, "c"))
	noted(&more, "", read, held(0, true, "a", "b", "c"))
	noted(&more, "shoes", wrote|read, held(4, true, "c", "b"))
	joined = more.clone()
	for _, other := range []Token{weak, floor, one} { // what nobody holds as a whole stays in pieces
		joined.Join(other)
	}
	return map[string]Token{"none": none, "one": one, "floor": floor, "weak": weak, "more": more, "joined": joined}
}

var golden = map[string]string{
	"none":   "9501c2909090",
	"one":    "9501c292a161a16291039307920001cf1c42ddc0285b9c25",
	"floor":  "9501c3909090",
	"weak":   "9501c291a163910393019100c40463617274",
	"more":   "9501c293a161a162a163930003049b1f920001219102c404636172740693000102cfe3b0c44298fc1c1427920102cf01ea5ddd3be5477a",
	"joined": "9501c393a161a162a1639200049d0f900693000102cfe3b0c44298fc1c140790cf01ea5ddd3be5477a0f90119102c40463617274",
}

func TestTokenGolden(t *testing.T) {
	for name, token := range tokens() {
		b := bytesOf(t, token)
		require.Equal(t, golden[name], hex.EncodeToString(b), name)
		var got Token
		require.NoError(t, got.UnmarshalBinary(b))
		require.Equal(t, b, bytesOf(t, got), name)
		for i := range token.keys {
			if e := &token.keys[i]; e.settled(wrote | read) {
				e.key = "" // is not told
			}
		}
		require.Equal(t, token, got, name)
	}
}

func TestTokenRefusesOtherBytes(t *testing.T) {
	good := bytesOf(t, tokens()["more"])
	for n := range good {
		var token Token
		var e *CorruptError
		require.ErrorAs(t, token.UnmarshalBinary(good[:n]), &e)
		require.Equal(t, Token{}, token)
	}
	for name, b := range map[string]string{
		"a node twice":               "9501c292a161a16191009307920001cf0102030405060708",
		"nodes out of order":         "9501c292a162a16191009307920001cf0102030405060708",
		"no such node":               "9501c291a161910093079101cf0102030405060708",
		"a node that nobody names":   "9501c292a161a162910093079100cf0102030405060708",
		"no such placement":          "9501c291a161910093179100cf0102030405060708",
		"a placement that is not":    "9501c291a16192000193079100cf0102030405060708",
		"neither written nor read":   "9501c291a161910093049100cf0102030405060708",
		"held by nobody":             "9501c2909100930390c403616263",
		"a key twice":                "9501c291a1619100960791000507910005",
		"a piece without its key":    "9501c291a161910092079100",
		"more, and there is no more": "9501c291a1619100930f9100cf0102030405060708",
	} {
		raw, err := hex.DecodeString(b)
		require.NoError(t, err)
		var token Token
		var e *CorruptError
		require.ErrorAs(t, token.UnmarshalBinary(raw), &e, name)
	}
	var token Token
	require.ErrorIs(t, token.UnmarshalBinary([]byte{0x95, 0x02, 0xc2, 0x90, 0x90, 0x90}), ErrVersion)
	require.NoError(t, token.UnmarshalBinary([]byte{0x95, 0x01, 0xc2, 0x90, 0x90, 0x90}))
}

// What is decoded is encoded to the same bytes, whatever they are; and joins with itself to itself.
func FuzzDecodeToken(f *testing.F) {
	for _, token := range tokens() {
		f.Add(bytesOf(f, token))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var token Token
		err := token.UnmarshalBinary(b)
		var e *CorruptError
		if err != nil {
			require.True(t, errors.As(err, &e) || errors.Is(err, ErrVersion), "%v", err)
			return
		}
		require.Equal(t, b, bytesOf(t, token))
		twice := token.clone()
		twice.Join(token)
		again := twice.clone()
		again.Join(token)
		require.Equal(t, bytesOf(t, twice), bytesOf(t, again))
		for i := range token.keys {
			require.False(t, !token.keys[i].settled(wrote|read) && hashOf(token.keys[i].key) != token.keys[i].hash)
		}
	})
}

// sized is a token of keys that are held by some of so many replicas.
func sized(keys, replicas, holders int, majority bool) (t Token) {
	for k := range keys {
		var nodes []nodeID
		for i := range holders {
			nodes = append(nodes, nodeID(fmt.Sprintf("node-%02d", (k+i)%replicas)))
		}
		noted(&t, fmt.Sprintf("key-%04d", k), wrote|read, held(1, majority, nodes...))
	}
	return t
}

// The size of a token is what AppendBinary says: for each key 11 bytes and one for each holder, or,
// where no majority has it, its name with 2 bytes in the place of 9; and the names of nodes once.
func TestTokenSize(t *testing.T) {
	for _, replicas := range []int{3, 5, 9} {
		for _, keys := range []int{1, 16, 256} {
			for _, holders := range []int{1, replicas/2 + 1, replicas} {
				majority := holders > replicas/2
				n := len(bytesOf(t, sized(keys, replicas, holders, majority)))
				each := 11 + holders
				if !majority {
					each = 11 + holders - 9 + 2 + len("key-0000")
				}
				names := min(replicas, keys+holders-1) * (1 + len("node-00"))
				require.LessOrEqual(t, n, 9+names+keys*each)
				require.GreaterOrEqual(t, n, names+keys*(each-1))
				t.Logf("%d replicas, %d keys, %d holders of each: %d bytes", replicas, keys, holders, n)
			}
		}
	}
}

// A joined token demands at least what each of the two does: whoever is enough for it is enough for
// both. And it does not matter which joins which; nor how
// often, but for the order in which keys are left out.
func TestTokenJoin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 9))
	for range 3000 {
		a, b := anyToken(random), anyToken(random)
		ab, ba := a.clone(), b.clone()
		ab.Join(b)
		ba.Join(a)
		require.Equal(t, bytesOf(t, ab), bytesOf(t, ba))
		again := ab.clone()
		again.Join(ab)
		require.Equal(t, bytesOf(t, ab), bytesOf(t, again))
		again.Join(a)
		for k := range 6 {
			hash := hashOf(fmt.Sprint(k))
			for set := range 1 << 4 {
				for _, of := range []what{wrote, read} {
					require.Equal(t, enough(ab.of(hash), set, of), enough(again.of(hash), set, of), "%+v joined twice", a)
					if enough(ab.of(hash), set, of) {
						require.True(t, enough(a.of(hash), set, of) && enough(b.of(hash), set, of), "%+v of %+v and %+v", ab, a, b)
					}
				}
			}
		}
	}
}

func anyToken(random *rand.Rand) (t Token) {
	t.rest = random.IntN(3) == 0
	for range random.IntN(6) {
		var nodes []nodeID
		for i := range 4 {
			if random.IntN(2) == 0 {
				nodes = append(nodes, nodeID(rune('a'+i)))
			}
		}
		if majority := len(nodes) > 2; len(nodes) > 0 {
			noted(&t, fmt.Sprint(random.IntN(6)), what(1+random.IntN(3)), held(uint64(random.IntN(2)), majority, nodes...))
		}
	}
	return t
}

// enough reports whether the answers of some of a, b, c and d contain what pieces are of.
func enough(all []*piece, set int, of what) bool {
	most := set&1+set>>1&1+set>>2&1+set>>3&1 > 2
	for _, p := range all {
		met := p.of&of == 0 || p.held.Majority && most
		for i := range 4 {
			for _, n := range p.held.Nodes {
				met = met || set>>i&1 == 1 && n == nodeID(rune('a'+i))
			}
		}
		if !met {
			return false
		}
	}
	return true
}

func TestBothHold(t *testing.T) {
	for _, c := range []struct {
		a, b, both quorum.Holders
		ok         bool
	}{
		{held(1, false, "a", "b"), held(1, false, "b", "c"), held(1, false, "b"), true},
		{held(1, false, "a"), held(1, false, "b"), quorum.Holders{}, false},
		{held(1, false, "a"), held(2, false, "a"), held(2, false, "a"), true},
		{held(1, true, "a", "b"), held(2, true, "b", "c"), held(2, true, "b"), true},
		{held(1, true, "a", "b"), held(1, true, "b", "c"), held(1, true, "b"), true},
		{held(1, true, "a", "b"), held(1, true, "c", "d"), held(0, true), true},
		{held(1, true, "a", "b"), held(1, false, "b"), held(1, false, "b"), true},
		{held(1, true, "a", "b"), held(1, false, "c"), quorum.Holders{}, false},
	} {
		for _, pair := range [][2]*quorum.Holders{{&c.a, &c.b}, {&c.b, &c.a}} {
			got, ok := both(pair[0], pair[1])
			require.Equal(t, c.ok, ok, "%+v", c)
			if ok {
				require.Equal(t, c.both, got)
			}
		}
	}
}

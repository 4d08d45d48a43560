package merkle_test

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/merkle"
)

func drawFingerprint(t *rapid.T, name string) merkle.Fingerprint {
	return merkle.Fingerprint{Hi: rapid.Uint64().Draw(t, name+".hi"), Lo: rapid.Uint64().Draw(t, name+".lo")}
}

func asInt(f merkle.Fingerprint) *big.Int {
	b := f.Bytes()
	return new(big.Int).SetBytes(b[:])
}

func TestFingerprintsAreIntegersModulo2To128(t *testing.T) {
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	rapid.Check(t, func(t *rapid.T) {
		f, g := drawFingerprint(t, "f"), drawFingerprint(t, "g")
		sum := new(big.Int).Add(asInt(f), asInt(g))
		require.Zero(t, asInt(f.Add(g)).Cmp(sum.Mod(sum, modulus)))
		require.Equal(t, f, f.Add(g).Sub(g))
		require.Equal(t, f.Add(g), g.Add(f))
		require.True(t, f.Sub(f).IsZero())
		require.Equal(t, fmt.Sprintf("%032x", asInt(f)), f.String())
	})
}

func TestTrap25_HistoryDoesNotShow(t *testing.T) {
	all := hashers()
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.SampledFrom(all).Draw(t, "hasher")
		model := content{}
		for i := range rapid.IntRange(0, 300).Draw(t, "keys") {
			model[fmt.Sprint(i)] = state(uint64(i))
		}
		want := model.tree(h)

		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		got := merkle.New(h)
		for _, i := range rng.Perm(len(model) + 100) { // more keys, and other states
			got.Set(fmt.Sprint(i), state(rng.Uint64()))
		}
		for _, i := range rng.Perm(len(model) + 100) { // remove, and bring back some
			if got.Delete(fmt.Sprint(i)); i < len(model) {
				got.Set(fmt.Sprint(i), state(uint64(i)))
			}
		}
		require.Equal(t, want.Root(), got.Root())
		r := drawRange(t)
		wantSum, wantCount := want.Sum(r)
		gotSum, gotCount := got.Sum(r)
		require.Equal(t, wantSum, gotSum)
		require.Equal(t, wantCount, gotCount)
	})
}

func TestTrap25_APairHashedTwiceDoesNotVanish(t *testing.T) {
	h := merkle.NewHasher(secret)
	once := h.Element("key", state(7))
	require.False(t, once.Add(once).IsZero())
	require.NotEqual(t, once, once.Add(once))

	tree := content{"key": state(7)}.tree(h)
	require.False(t, tree.Set("key", state(7)), "nothing changed")
	require.Equal(t, once, tree.Root())
}

func TestTrap25_SwappedValuesDoNotCancel(t *testing.T) {
	h := merkle.NewHasher(secret)
	a := content{"x": state(1), "y": state(2)}.tree(h)
	b := content{"x": state(2), "y": state(1)}.tree(h)
	require.NotEqual(t, a.Root(), b.Root())

	// Nor does a key whose name continues in another's state.
	require.NotEqual(t, h.Element("ab", state('c')), h.Element("a", state('b')))
}

// Someone who knows how elements are hashed but not the secret picks elements
// whose fingerprints cancel, by elimination over GF(2), as is done to XOR sums
// in milliseconds. Under the cluster's secret they are any elements.
func TestTrap25_ChosenKeysDoNotCancel(t *testing.T) {
	outsider := merkle.NewHasher([]byte("not the secret"))
	chosen := cancelling(outsider)
	require.Greater(t, len(chosen), 20)

	var xor [16]byte
	for _, key := range chosen {
		b := outsider.Element(key, state(0)).Bytes()
		for i := range xor {
			xor[i] ^= b[i]
		}
	}
	require.Zero(t, xor, "the attack works on XOR without the secret")

	for _, h := range []*merkle.Hasher{outsider, merkle.NewHasher(secret)} {
		tree := merkle.New(h)
		var under [16]byte
		for _, key := range chosen {
			tree.Set(key, state(0))
			b := h.Element(key, state(0)).Bytes()
			for i := range under {
				under[i] ^= b[i]
			}
		}
		require.False(t, tree.Root().IsZero())
		require.Equal(t, h == outsider, under == [16]byte{})
	}
}

// cancelling returns keys whose elements under h have the XOR zero.
func cancelling(h *merkle.Hasher) (keys []string) {
	type row struct{ bits, made *big.Int }
	pivots := map[int]row{}
	for i := 0; ; i++ {
		r := row{asInt(h.Element(fmt.Sprint(i), state(0))), new(big.Int).SetBit(new(big.Int), i, 1)}
		for r.bits.BitLen() > 0 {
			p, taken := pivots[r.bits.BitLen()]
			if !taken {
				pivots[r.bits.BitLen()] = r
				break
			}
			r.bits.Xor(r.bits, p.bits)
			r.made.Xor(r.made, p.made)
		}
		if r.bits.BitLen() == 0 {
			for k := range i + 1 {
				if r.made.Bit(k) == 1 {
					keys = append(keys, fmt.Sprint(k))
				}
			}
			return keys
		}
	}
}

func TestSecretsGiveOtherHashes(t *testing.T) {
	a, b := merkle.NewHasher(secret), merkle.NewHasher([]byte("another secret"))
	require.NotEqual(t, a.Position("key"), b.Position("key"))
	require.NotEqual(t, a.Sum([]byte("state")), b.Sum([]byte("state")))
	require.NotEqual(t, a.Element("key", state(1)), b.Element("key", state(1)))

	again := merkle.NewHasher(append([]byte{}, secret...))
	require.Equal(t, a.Position("key"), again.Position("key"))
	require.Equal(t, a.Element("key", state(1)), again.Element("key", state(1)))
}

// Inputs of all lengths around the sizes of the hasher's buffers.
func TestHashesOfAllLengthsDiffer(t *testing.T) {
	h := merkle.NewHasher(secret)
	sums, elements := map[merkle.Fingerprint]bool{}, map[merkle.Fingerprint]bool{}
	for n := range 300 {
		sums[h.Sum(make([]byte, n))] = true
		elements[h.Element(string(make([]byte, n)), state(0))] = true
	}
	require.Len(t, sums, 300)
	require.Len(t, elements, 300)
}

// What hashes are must never change: trees of two releases are compared.
// The values were computed by another program from the documentation.
func TestHashesStay(t *testing.T) {
	h := merkle.NewHasher([]byte("golden"))
	require.Equal(t, "2d80351e5d97fc2a", h.Position("key").String())
	require.Equal(t, "a51d689b04bbb530d87ff1d528d33fc8", h.Sum([]byte("state")).String())
	require.Equal(t, "2fa5535e948939c1c0807a2deb93657d", h.Sum(binary.BigEndian.AppendUint64(make([]byte, 100), 1)).String())
	require.Equal(t, "d6c9b3f159bb4ea65770f3032c99491a", h.Element("key", h.Sum([]byte("state"))).String())
}

package antientropy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// parts is a Store that can tell what another lacks: what it has seen of a set is its runs of numbers.
type parts struct {
	*sets
	least int // numbers that a set has for that to be worth it

	onSeen func(key string)
	lie    func(seen []byte, since []byte) ([]byte, error) // in place of what lacks
	wrong  func(seen []byte) ([]byte, error)               // in place of what was seen
	told   int                                             // how often it was asked what lacks
}

func newParts(least int) *parts { return &parts{sets: newSets(), least: least} }

var errSeen = errors.New("not runs of numbers")

func (p *parts) Seen(ctx context.Context, key string) (seen []byte, err error) {
	if p.onSeen != nil {
		p.onSeen(key)
	}
	all := p.get(key)
	if len(all) < p.least {
		return nil, ctx.Err()
	}
	for i, e := range all {
		if i == 0 || all[i-1]+1 != e {
			seen = binary.BigEndian.AppendUint64(seen, e)
		}
		if i == len(all)-1 || all[i+1] != e+1 {
			seen = binary.BigEndian.AppendUint64(seen, e)
		}
	}
	if p.wrong != nil {
		return p.wrong(seen)
	}
	return seen, ctx.Err()
}

func (p *parts) LoadSince(ctx context.Context, key string, seen []byte) ([]byte, error) {
	if len(seen)%16 != 0 {
		return nil, errSeen
	}
	p.told++
	var since []uint64
	for _, e := range p.get(key) {
		if !among(seen, e) {
			since = append(since, e)
		}
	}
	if p.lie != nil {
		return p.lie(seen, encodeSet(since...))
	}
	return encodeSet(since...), ctx.Err()
}

func among(runs []byte, e uint64) bool {
	for ; len(runs) > 0; runs = runs[16:] {
		if binary.BigEndian.Uint64(runs) <= e && e <= binary.BigEndian.Uint64(runs[8:]) {
			return true
		}
	}
	return false
}

// large are two stores that have the same set of n numbers.
func large(n int) (a, b *parts) {
	a, b = newParts(64), newParts(64)
	for _, p := range []*parts{a, b} {
		p.add("large", elements(n)...)
		p.add("small", 1)
	}
	return a, b
}

func moved(x Exchange) int { return x.KeysSent + x.KeysReceived }

// What differs is sent, and not what is equal, whoever lacks it; and a key that changed on one side goes one way.
func TestOfALargeKeyWhatLacksIsSent(t *testing.T) {
	const n = 10_000
	for name, write := range map[string]func(a, b *parts){
		"there": func(_, b *parts) { b.add("large", n+1) },
		"here":  func(a, _ *parts) { a.add("large", n+1) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := large(n)
			write(a, b)
			x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
			require.Equal(t, a.root(), b.root())
			require.Equal(t, 1, moved(x))
			require.Less(t, bytesOf(x), 400)
			require.Zero(t, x.Deferred+x.KeysRefused+a.loads+b.loads)
			t.Log(bytesOf(x), "bytes,", x.RoundTrips, "round trips")
		})
	}
	a, b := large(n)
	a.add("large", n+1)
	b.add("large", n+2)
	x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, a.root(), b.root())
	require.Equal(t, []int{1, 1}, []int{x.KeysSent, x.KeysReceived})
	require.Zero(t, a.loads+b.loads)
}

// A key that does not fit into a message is repaired by what does.
func TestTrap28_WhatLacksOfATooLargeKeyFits(t *testing.T) {
	a, b := large(10_000)
	a.add("large", 20_000)
	b.add("large", 30_000)
	x := run(t, NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}, small)
	require.Equal(t, a.root(), b.root())
	require.Zero(t, x.KeysRefused)

	for i := range uint64(130) { // not so the next time, but the other side gets what it lacks
		b.add("large", 40_000+i)
	}
	a.add("large", 50_000)
	var by refusals
	s := &Responder{Store: a, MaxMessage: small}
	x = run(t, NewRound(b, RoundConfig{MaxMessage: small, Refused: by.add}), s, small)
	require.Equal(t, 1, x.KeysRefused)
	tooLarge, ok := errors.AsType[*TooLargeError](by.all[0].Err)
	require.True(t, ok)
	require.Equal(t, 8*130, tooLarge.Size)
	require.Contains(t, b.get("large"), uint64(50_000))
	x = run(t, NewRound(a, RoundConfig{MaxMessage: small, Refused: by.add}), &Responder{Store: b, MaxMessage: small, Refused: by.add}, small)
	require.True(t, isTooLarge(by.all[1].Err))
	require.Equal(t, "large", by.all[1].Key)
}

// What has been seen is left out where it does not fit, and what lacks is sent without it.
func TestTrap28_WhatWasSeenKeepsToTheLimit(t *testing.T) {
	a, b := newParts(64), newParts(64)
	for i := range uint64(100) { // one run each: 1600 bytes tell what was seen
		a.add("gaps", 3*i)
		b.add("gaps", 3*i)
	}
	a.add("gaps", 1000)
	x := run(t, NewRound(a, RoundConfig{MaxMessage: 2000}), &Responder{Store: b, MaxMessage: small}, 2000)
	require.Equal(t, a.root(), b.root(), "whole, as the peer never has room to say it")
	require.Equal(t, 1, x.KeysSent)
	a.add("gaps", 2000)
	a.wrong = func([]byte) ([]byte, error) { return nil, nil }
	x = run(t, NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}, small)
	require.Equal(t, a.root(), b.root(), "whole, as nobody could say it")
	require.Equal(t, 2, moved(x))

	for _, lies := range []bool{false, true} { // there is no room beside what lacks
		a, b = newParts(64), newParts(64)
		for _, p := range []*parts{a, b} {
			p.add("k", elements(70)...)
			for i := range uint64(20) {
				p.add("k", 100+3*i)
			}
		}
		a.add("k", 1000)
		if lies {
			b.add("k", 1001)
			b.lie = func(_, since []byte) ([]byte, error) { return encodeSet(elements(70)...), nil }
		} else {
			for i := range uint64(70) {
				b.add("k", 2000+i)
			}
		}
		x = run(t, NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}, small)
		require.Zero(t, x.KeysRefused+x.Deferred)
		require.Equal(t, a.root(), b.root())
		require.Equal(t, lies, a.loads+b.loads > 0)
	}

	a, b = newParts(64), newParts(64)
	for k := range 40 {
		for i := range uint64(64) {
			a.add(fmt.Sprint(k), i, 200)
			b.add(fmt.Sprint(k), i, 300)
		}
	}
	run(t, NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}, small)
	require.Equal(t, a.root(), b.root(), "by many messages")
	require.Zero(t, a.loads+b.loads)
}

func TestOneSideThatCannotTellIsEnoughForWhole(t *testing.T) {
	for name, c := range map[string]func(a, b *parts) (Store, Store){
		"here":  func(a, b *parts) (Store, Store) { return plain{a}, b },
		"there": func(a, b *parts) (Store, Store) { return a, plain{b} },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := large(1000)
			a.add("large", 2000)
			b.add("large", 3000)
			one, other := c(a, b)
			x := run(t, NewRound(one, RoundConfig{}), &Responder{Store: other}, 1<<20)
			require.Equal(t, a.root(), b.root())
			require.Equal(t, 2, moved(x))
			require.Greater(t, bytesOf(x), 16_000)
		})
	}
}

// A peer that has little has little to tell of, and gets all.
func TestAPeerWithLittleIsSentAll(t *testing.T) {
	a, b := large(1000)
	a.add("new", elements(1000)...)
	b.add("new", 5000)
	x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
	require.Equal(t, a.root(), b.root())
	require.Equal(t, []int{1, 1}, []int{x.KeysSent, x.KeysReceived})
	require.Less(t, bytesOf(x), 9_000)
}

func TestRoundsByPartsEqualTheNaiveUnion(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		a, b, want := newParts(r.IntN(4)), newParts(r.IntN(4)), newSets()
		scatter(r, a.sets, b.sets, r.IntN(300))
		for i := range r.IntN(30) {
			key := fmt.Sprint("large ", i)
			a.add(key, elements(r.IntN(200))...)
			b.add(key, elements(r.IntN(200))...)
			a.add(key, r.Uint64N(400))
		}
		limit := []int{small, 3000, 1 << 20}[r.IntN(3)]
		for _, s := range []*parts{a, b} {
			for key, elements := range s.content() {
				want.add(key, elements...)
			}
		}
		var at refusals
		x := run(t, NewRound(a, RoundConfig{MaxMessage: limit, Refused: at.add}), &Responder{Store: b, MaxMessage: limit}, limit)
		for _, refused := range at.all {
			require.True(t, isTooLarge(refused.Err))
		}
		if x.KeysRefused == 0 && x.Deferred == 0 {
			require.Equal(t, want.content(), a.content(), "seed %d", seed)
			require.Equal(t, want.content(), b.content(), "seed %d", seed)
		}
		for range 3 {
			x = run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
		}
		require.Equal(t, a.root(), b.root(), "seed %d", seed)
		require.Equal(t, want.content(), a.content())
		require.Zero(t, x.Different)
	}
}

// However much a large key is written to meanwhile, no whole state is sent, and each round brings what both had.
func TestTrap23_ALargeKeyIsWrittenToMeanwhile(t *testing.T) {
	const n = 500
	a, b := large(n)
	written := uint64(2 * n)
	write := func() {
		written += 2
		a.add("large", written)
		b.add("large", written+1)
	}
	var deferred []merkle.Range
	for i := range 20 {
		write()
		hadA, hadB := a.get("large"), b.get("large")
		round, s := NewRound(a, RoundConfig{Insist: deferred}), &Responder{Store: b}
		for {
			method, req, more := round.Next()
			if !more {
				break
			}
			write()
			resp, err := s.ServeCall(t.Context(), "a", method, req)
			require.NoError(t, err)
			write()
			require.NoError(t, round.Step(t.Context(), resp))
		}
		deferred = round.Deferred()
		require.Zero(t, a.loads+b.loads, "round %d", i)
		require.Less(t, bytesOf(round.Result()), 8*n)
		require.Subset(t, b.get("large"), hadA)
		require.Subset(t, a.get("large"), hadB)
	}
	run(t, NewRound(a, RoundConfig{Insist: deferred}), &Responder{Store: b}, 1<<20)
	require.Equal(t, a.root(), b.root())
}

// While it is answered for a key is written to: by what lacks alone nothing is concluded.
func TestTrap23_ALargeKeyIsWrittenToWhileItIsRead(t *testing.T) {
	const n = 1000
	for _, insist := range []bool{false, true} {
		a, b := large(n)
		a.add("large", 2*n)
		next := uint64(3 * n)
		b.onSeen = func(string) { next++; b.add("large", next) }
		round := NewRound(a, RoundConfig{insistAll: insist})
		x := run(t, round, &Responder{Store: b}, 1<<20)
		require.Contains(t, a.get("large"), uint64(3*n+1))
		require.Equal(t, !insist, x.Deferred == 1)
		require.Equal(t, insist, slices.Contains(b.get("large"), 2*n))
		require.Zero(t, a.loads+b.loads)
	}
}

// What is on its way as a delta is left to that.
func TestTrap23_LargeKeysUnderWay(t *testing.T) {
	a, b := large(1000)
	b.add("large", 2000)
	s := &Responder{Store: b, InFlight: func(transport.NodeID, string) bool { return true }}
	round := NewRound(a, RoundConfig{})
	x := run(t, round, s, 1<<20)
	require.Equal(t, 1, x.Deferred)
	require.Zero(t, b.told)
	x = run(t, NewRound(a, RoundConfig{Insist: round.Deferred()}), s, 1<<20)
	require.Equal(t, a.root(), b.root())
	require.Equal(t, 1, moved(x))
	require.Zero(t, a.loads+b.loads)
}

// Whatever stores say that they have seen, and whatever they say that another lacks, they become equal. (a digest that
// collides hides a difference for ever)
func TestTrap08_NoLieHidesADifference(t *testing.T) {
	known := encodeSet(1, 2, 3)
	lies := map[string]func(p *parts, r *rand.Rand){
		"nothing lacks": func(p *parts, _ *rand.Rand) { p.lie = func([]byte, []byte) ([]byte, error) { return nil, nil } },
		"what is known": func(p *parts, _ *rand.Rand) { p.lie = func([]byte, []byte) ([]byte, error) { return known, nil } },
		"an error":      func(p *parts, _ *rand.Rand) { p.lie = func([]byte, []byte) ([]byte, error) { return nil, errSeen } },
		"the first of it": func(p *parts, _ *rand.Rand) {
			p.lie = func(_, since []byte) ([]byte, error) { return since[:min(len(since), 8)], nil }
		},
		"now and then": func(p *parts, r *rand.Rand) {
			p.lie = func(_, since []byte) ([]byte, error) { return since[:r.IntN(2)*len(since)], nil }
		},
		"seen all": func(p *parts, _ *rand.Rand) { p.wrong = func([]byte) ([]byte, error) { return run16(0, 1<<60), nil } },
		"seen nothing": func(p *parts, _ *rand.Rand) {
			p.wrong = func([]byte) ([]byte, error) { return run16(1<<60, 1<<60), nil }
		},
		"seen one more": func(p *parts, _ *rand.Rand) {
			p.wrong = func(s []byte) ([]byte, error) { s[len(s)-1]++; return s, nil }
		},
		"seen rubbish":  func(p *parts, _ *rand.Rand) { p.wrong = func([]byte) ([]byte, error) { return []byte{7}, nil } },
		"seen an error": func(p *parts, _ *rand.Rand) { p.wrong = func([]byte) ([]byte, error) { return nil, errSeen } },
	}
	for name, lie := range lies {
		for who := range 3 {
			t.Run(fmt.Sprint(name, who), func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, 1))
				a, b := large(100)
				for i := range uint64(3) {
					a.add("large", 101+10*i)
					b.add("large", 106+10*i)
					b.add("at b", elements(70)...)
					a.add("at b", elements(69)...)
				}
				for i, p := range []*parts{a, b} {
					if who != i {
						lie(p, r)
					}
				}
				want := len(a.get("large")) + 3
				rounds := 0
				for before := a.root(); a.root() != b.root(); rounds++ {
					round := NewRound(a, RoundConfig{})
					x := run(t, round, &Responder{Store: b}, 1<<20)
					require.LessOrEqual(t, x.RoundTrips, 8)
					require.Less(t, rounds, 8)
					require.True(t, a.root() == b.root() || a.root() != before || x.KeysSent > 0, "nothing has moved")
					before = a.root()
				}
				require.Len(t, a.get("large"), want)
				require.Len(t, a.get("at b"), 70)
				if name != "the first of it" && name != "now and then" {
					require.LessOrEqual(t, rounds, 2)
				}
				if who == 2 && (name == "nothing lacks" || name == "what is known" || name == "seen all") {
					require.Equal(t, 1, rounds, "in the same round, as nothing moves")
				}
			})
		}
	}
}

func run16(lo, hi uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, lo), hi)
}

// What is refused is told once, and not tried again in other words.
func TestWhatIsRefusedOfALargeKeyIsToldOnce(t *testing.T) {
	refuse := func(string) error { return errRefused }
	for name, c := range map[string]struct {
		set  func(a, b *parts)
		told int
	}{
		"here":  {func(a, _ *parts) { a.refuse = refuse }, 1},
		"there": {func(_, b *parts) { b.refuse = refuse }, 1},
		"both":  {func(a, b *parts) { a.refuse, b.refuse = refuse, refuse }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := large(100)
			a.add("large", 200)
			b.add("large", 300)
			c.set(a, b)
			x := run(t, NewRound(a, RoundConfig{}), &Responder{Store: b}, 1<<20)
			require.Equal(t, c.told, x.KeysRefused)
			require.Zero(t, a.loads+b.loads)
		})
	}
}

package crdttest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// flawed is a maximum with one flaw.
type flawed struct {
	n    *byte
	flaw string
	seen *vclock.Context
	told *crdt.Tracker[*flawed]
	errs string // what it says of itself that is not so; this is not written
}

func (f *flawed) Empty() bool { return *f.n == 0 || f.errs == "Empty" }

func (f *flawed) Len() int {
	if f.errs == "Len" {
		return int(*f.n) + 1
	}
	return int(*f.n)
}

func (f *flawed) MarshalJSON() ([]byte, error) {
	if f.errs == "JSON" {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(*f.n), 10), nil
}

func (f *flawed) Decompose(report func(part []byte, n int)) error {
	switch {
	case f.flaw == "parts of nothing" && *f.n == 0:
		report([]byte("nothing"), 1)
	case f.flaw == "parts alike" && *f.n > 0:
		report([]byte("something"), 1)
	case *f.n > 0:
		report([]byte{*f.n}, 1)
	}
	return nil
}

func (f *flawed) Track(by *crdt.Tracker[*flawed]) {
	if by != nil || f.flaw != "is tracked for ever" {
		f.told = by
	}
}

func (f *flawed) TrackedBy(by *crdt.Tracker[*flawed]) bool {
	return f.told != nil && (f.told == by || f.flaw == "knows no tracker from another")
}

// tell tells whoever tracks f what became of it.
func (f *flawed) tell(before byte) {
	if f.told == nil || before == *f.n && f.flaw != "tells again" {
		return
	}
	if f.flaw == "gives up" {
		f.told = nil
		return
	}
	if before > 0 && f.flaw != "tells of no going" {
		f.told.Report([]byte{before}, -1)
	}
	if *f.n > 0 && f.flaw != "tells of no coming" {
		f.told.Report([]byte{*f.n}, 1)
	}
}

func (f *flawed) Merge(o *flawed) bool {
	before := *f.n
	defer func() { f.tell(before) }()
	*f.n = max(before, *o.n)
	switch f.flaw {
	case "overwrites":
		*f.n = *o.n
	case "adds":
		*f.n = before + *o.n
	case "says nothing":
		return false
	case "changes its argument":
		*o.n = *f.n
	case "keeps its argument":
		if before == 0 {
			f.n = o.n
		}
	}
	return *f.n != before
}

func (f *flawed) MergeNovel(o *flawed) (*flawed, bool) {
	novel := newFlawed(f.flaw)
	changed := f.Merge(o)
	if changed || f.flaw == "news of nothing" {
		*novel.n = *o.n
	}
	if f.flaw == "no news of what is odd" && *o.n%2 == 1 {
		*novel.n = 0
	}
	if f.flaw == "novelty is the state" {
		novel.n = f.n
	}
	if f.flaw == "miscounts what was new" {
		novel.errs = "Len"
	}
	return novel, changed
}

func (f *flawed) Context() *vclock.Context {
	seen := new(vclock.Context)
	n := uint64(*f.n)
	if f.flaw == "a context of the future" && n > 1 {
		n += 100
	}
	if f.flaw != "no context" {
		seen.AddSpan(vclock.Span{Replica: writer(0, 0).Replica, Lo: 1, Hi: n})
	}
	if f.flaw == "shares its context" {
		return f.shared(seen)
	}
	return seen
}

// shared keeps a context in the state.
func (f *flawed) shared(seen *vclock.Context) *vclock.Context {
	if f.seen == nil {
		f.seen = new(vclock.Context)
	}
	f.seen.Merge(seen)
	return f.seen
}

func (f *flawed) Delta(since *vclock.Context) *flawed {
	delta := newFlawed(f.flaw)
	known := since.Has(vclock.Dot{Replica: writer(0, 0).Replica, Seq: uint64(*f.n)})
	if !known || f.flaw == "no context" {
		*delta.n = *f.n
	}
	switch {
	case f.flaw == "lacks nothing":
		*delta.n = 0
	case f.flaw == "claims more" && known:
		*delta.n = *f.n + 1
	case f.flaw == "sends itself":
		return f
	case f.flaw == "shares what is lacking":
		delta.n = f.n
	case f.flaw == "shows otherwise what is lacking":
		delta.errs = "JSON"
	}
	return delta
}

func (f *flawed) Clone() *flawed {
	c := newFlawed(f.flaw)
	*c.n, c.errs = *f.n, f.errs
	switch f.flaw {
	case "clones share":
		c.n = f.n
	case "clones are tracked":
		c.told = f.told
	}
	return c
}

func (f *flawed) AppendBinary(b []byte) ([]byte, error) {
	if f.flaw == "drops the prefix" {
		b = nil
	}
	return append(b, *f.n), nil
}

func (f *flawed) UnmarshalBinary(b []byte) error {
	if f.flaw == "panics on short input" || len(b) == 1 || len(b) > 1 && f.flaw == "takes more" {
		before := *f.n
		if *f.n = b[0]; f.flaw != "decodes untold" {
			f.tell(before)
		}
		return nil
	}
	if f.flaw == "half decodes" && len(b) > 0 {
		*f.n = b[0]
	}
	return fmt.Errorf("%d bytes", len(b))
}

func newFlawed(flaw string) *flawed { return &flawed{n: new(byte), flaw: flaw} }

func suiteOf(flaw string) Suite[*flawed] {
	return Suite[*flawed]{
		New: func() *flawed { return newFlawed(flaw) },
		Mutate: func(t *rapid.T, s *flawed, _ Writer) *flawed {
			delta := newFlawed(flaw)
			*delta.n = rapid.Byte().Draw(t, "n")
			if flaw == "no news of what is odd" { // and never makes any
				*delta.n &^= 1
			}
			before := *s.n
			*s.n = max(*s.n, *delta.n)
			s.tell(before)
			switch flaw {
			case "empty deltas":
				*delta.n = 0
			case "gives itself":
				return s
			case "takes its deltas for empty":
				delta.errs = "Empty"
			}
			return delta
		},
	}
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) Failed() bool          { return r.failed }
func (r *recorder) Fatalf(string, ...any) {
	r.failed = true
	runtime.Goexit()
}
func (r *recorder) FailNow() { r.Fatalf("") }

func fails[P crdt.State[P]](t *testing.T, law func(c *checker[P]), s Suite[P]) bool {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rapid.Check(r, func(t *rapid.T) { law(&checker[P]{T: t, Suite: s}) })
	}()
	<-done
	return r.failed
}

// Each flaw is found by the law that speaks of it, and a type without flaw passes all.
func TestLawsFindFlaws(t *testing.T) {
	assert.NoError(t, flag.Set("rapid.nofailfile", "true")) // what fails here is meant to
	defer func() { assert.NoError(t, flag.Set("rapid.nofailfile", "false")) }()
	checks := flag.Lookup("rapid.checks").Value.String()
	assert.NoError(t, flag.Set("rapid.checks", "1000")) // some flaws show seldom, and -short divides them by 5
	defer func() { assert.NoError(t, flag.Set("rapid.checks", checks)) }()
	type law = func(c *checker[*flawed])
	var (
		merge   law = (*checker[*flawed]).merge
		deltas  law = (*checker[*flawed]).deltas
		novelty law = (*checker[*flawed]).novelty
		clone   law = (*checker[*flawed]).clone
		codec   law = (*checker[*flawed]).codec
		hostile law = (*checker[*flawed]).hostile
		since   law = (*checker[*flawed]).since
		parts   law = (*checker[*flawed]).decompose
	)
	for _, l := range []law{merge, deltas, novelty, clone, codec, hostile, since, parts} {
		assert.False(t, fails(t, l, suiteOf("")))
	}
	for flaw, l := range map[string]law{
		"overwrites":            merge,
		"adds":                  merge,
		"says nothing":          merge,
		"changes its argument":  merge,
		"keeps its argument":    merge,
		"gives itself":          merge,
		"empty deltas":          deltas,
		"news of nothing":       novelty,
		"novelty is the state":  novelty,
		"clones share":          clone,
		"drops the prefix":      codec,
		"panics on short input": hostile,
		"half decodes":          hostile,
		"takes more":            hostile,

		"no news of what is odd": hostile,

		"takes its deltas for empty":      codec,
		"miscounts what was new":          novelty,
		"shows otherwise what is lacking": since,

		"lacks nothing":           since,
		"claims more":             since,
		"sends itself":            since,
		"shares what is lacking":  since,
		"shares its context":      since,
		"a context of the future": since,

		"parts of nothing":    parts,
		"parts alike":         parts,
		"is tracked for ever": parts,
		"tells again":         parts,
		"tells of no going":   parts,
		"tells of no coming":  parts,
		"clones are tracked":  parts,
		"decodes untold":      parts,
		"gives up":            parts,

		"knows no tracker from another": parts,
	} {
		assert.True(t, fails(t, l, suiteOf(flaw)), flaw)
	}
}

// bag is a set of letters: on the wire how many there are, and then each in order, amid much that tells nothing.
type bag struct {
	letters map[byte]bool
	lax     bool // takes letters in any order, and twice
}

var ballast = bytes.Repeat([]byte{7}, 15)

func (b *bag) Merge(o *bag) bool {
	before := len(b.letters)
	maps.Copy(b.letters, o.letters)
	return len(b.letters) > before
}

func (b *bag) Clone() *bag { return &bag{maps.Clone(b.letters), b.lax} }

func (b *bag) AppendBinary(to []byte) ([]byte, error) {
	to = append(to, byte(len(b.letters)))
	for _, letter := range slices.Sorted(maps.Keys(b.letters)) {
		to = append(append(to, letter), ballast...)
	}
	return to, nil
}

func (b *bag) UnmarshalBinary(from []byte) error {
	const size = 16
	if len(from) == 0 || len(from) != 1+int(from[0])*size {
		return errors.New("another length")
	}
	read, last := make(map[byte]bool), byte(0)
	for record := range slices.Chunk(from[1:], size) {
		if !bytes.Equal(record[1:], ballast) || !b.lax && record[0] <= last {
			return errors.New("out of order")
		}
		last = record[0]
		read[last] = true
	}
	b.letters = read
	return nil
}

// A decoder must not take a list in another order, or something in it twice.
func TestLawsFindWhatTakesAnyOrder(t *testing.T) {
	assert.NoError(t, flag.Set("rapid.nofailfile", "true"))
	defer func() { assert.NoError(t, flag.Set("rapid.nofailfile", "false")) }()
	for _, lax := range []bool{false, true} {
		suite := Suite[*bag]{
			New: func() *bag { return &bag{make(map[byte]bool), lax} },
			Mutate: func(t *rapid.T, s *bag, _ Writer) *bag {
				letter := rapid.SampledFrom([]byte{10, 100, 200}).Draw(t, "letter")
				s.letters[letter] = true
				return &bag{map[byte]bool{letter: true}, lax}
			},
		}
		assert.Equal(t, lax, fails(t, (*checker[*bag]).hostile, suite))
	}
}

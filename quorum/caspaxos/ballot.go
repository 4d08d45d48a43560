package caspaxos

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// A Ballot numbers a proposal, and is the version of the value that this proposal made. Ballots are totally
// ordered, by Counter and then by Proposer, and no two proposals of a key have the same. The zero Ballot comes before
// all others: it is the version of a key that was never written.
type Ballot struct {
	Counter  uint64 // below 1<<62
	Proposer uint64 // names one call of a proposer, at random
}

// maxCounter bounds counters. At a million proposals a second it lasts for a hundred thousand years.
const maxCounter = 1 << 62

// Compare is negative if b comes before o, positive if it comes after, and zero if they are equal.
func (b Ballot) Compare(o Ballot) int {
	return cmp.Or(cmp.Compare(b.Counter, o.Counter), cmp.Compare(b.Proposer, o.Proposer))
}

// IsZero reports whether b is the version of a key that was never written.
func (b Ballot) IsZero() bool { return b == Ballot{} }

// String is the counter and the proposer, such as 7@1f3a.
func (b Ballot) String() string { return fmt.Sprintf("%d@%x", b.Counter, b.Proposer) }

// ParseBallot returns the ballot that s is the String of. The error is a [*BallotError].
func ParseBallot(s string) (b Ballot, err error) {
	counter, proposer, ok := strings.Cut(s, "@")
	if ok {
		b.Counter, err = strconv.ParseUint(counter, 10, 62)
	}
	if ok && err == nil {
		b.Proposer, err = strconv.ParseUint(proposer, 16, 64)
	}
	if !ok || err != nil || b.String() != s {
		return Ballot{}, &BallotError{Text: s}
	}
	return b, nil
}

// MarshalText is String, for JSON, or an ETag: no version has a quote or a space. See [encoding.TextMarshaler].
func (b Ballot) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is [ParseBallot]. See [encoding.TextUnmarshaler].
func (b *Ballot) UnmarshalText(text []byte) error {
	read, err := ParseBallot(string(text))
	if err == nil {
		*b = read
	}
	return err
}

func (b Ballot) before(o Ballot) bool { return b.Compare(o) < 0 }

func latest(a, b Ballot) Ballot {
	if a.before(b) {
		return b
	}
	return a
}

package caspaxos

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
)

func TestStateObeysTheLaws(t *testing.T) {
	crdttest.Laws(t, crdttest.Suite[*State]{
		New: func() *State { return new(State) },
		Mutate: func(t *rapid.T, s *State, _ crdttest.Writer) *State {
			q := request{ask: askPrepare, ballot: drawBallot(t)}
			if rapid.Bool().Draw(t, "accept") {
				q.ask = askAccept
				rec := (&record{}).with([]byte{byte(q.ballot.Counter), byte(q.ballot.Proposer)}, q.ballot)
				q.record = rec.encode() // of one ballot there is one record
			}
			_, add := s.answer(&q)
			if add == nil {
				return new(State)
			}
			s.Merge(add)
			return add
		},
	})
}

func drawBallot(t *rapid.T) Ballot {
	return Ballot{rapid.Uint64Range(1, 5).Draw(t, "counter"), rapid.Uint64Range(1, 3).Draw(t, "proposer")}
}

// What an acceptor may say, case by case (Lamport: Paxos Made Simple, 2001, §2.2).
func TestAcceptor(t *testing.T) {
	one, two, three := Ballot{1, 9}, Ballot{2, 1}, Ballot{2, 2}
	rec := (&record{}).with([]byte("x"), two)
	held := &State{pledge: pledge{promised: three, known: two}, accepted: two, record: rec.encode()}
	cases := []struct {
		name string
		ask  uint8
		by   Ballot
		said uint8
		add  *State
	}{
		{"looks change nothing", askLook, Ballot{}, saidYes, nil},
		{"no promise below a promise", askPrepare, two, saidOutbid, nil},
		{"a promise once more", askPrepare, three, saidYes, &State{pledge: pledge{promised: three, known: two}}},
		{"a greater promise", askPrepare, Ballot{3, 0}, saidYes, &State{pledge: pledge{promised: Ballot{3, 0}, known: two}}},
		{"nothing accepted below a promise", askAccept, one, saidOutbid, nil},
		{"not what is held already, either", askAccept, two, saidOutbid, nil},
		{"accepted at the promise", askAccept, three, saidYes, &State{pledge: pledge{promised: three, known: three}, accepted: three, record: rec.encode()}},
	}
	for _, c := range cases {
		q := request{ask: c.ask, ballot: c.by}
		if c.ask == askAccept {
			q.record = rec.encode()
		}
		p, add := held.answer(&q)
		assert.Equal(t, c.said, p.said, c.name)
		assert.Equal(t, c.add, add, c.name)
		assert.Equal(t, reply{said: c.said, promised: three, accepted: two, record: rec.encode(), firm: true}, p, "%s: it tells what there was", c.name)
	}
	q := request{ask: askAccept, ballot: three, ahead: 7, record: rec.encode()}
	_, add := held.answer(&q)
	assert.Equal(t, &State{pledge: pledge{promised: Ballot{7, 2}, known: three}, accepted: three, record: rec.encode()}, add, "accepted, and promised to the next")
}

// What is held is firm if all later promises were made by who held it, as far as that is known.
func TestFirm(t *testing.T) {
	first := State{pledge: pledge{promised: Ballot{1, 1}, known: Ballot{1, 1}}, accepted: Ballot{1, 1}}
	s := new(State)
	assert.True(t, s.firm(), "nothing")
	s.Merge(&first)
	assert.True(t, s.firm(), "a copy")
	_, add := s.answer(&request{ask: askPrepare, ballot: Ballot{5, 1}})
	s.Merge(add)
	assert.True(t, s.firm(), "who was promised something was told")
	s.Merge(&State{pledge: pledge{promised: Ballot{4, 2}}})
	assert.False(t, s.firm(), "somebody else has promised who knew nothing")
	s.Merge(&State{pledge: pledge{promised: Ballot{6, 3}, known: Ballot{6, 3}}})
	assert.False(t, s.firm(), "what is known to be held by others is not here, and of this nothing is known any more")
	_, add = s.answer(&request{ask: askAccept, ballot: Ballot{6, 3}})
	s.Merge(add)
	assert.True(t, s.firm(), "all of that was before")
}

// A proposer finds out what became of what it proposed, unless too much has followed.
func TestFate(t *testing.T) {
	mine := []attempt{{version: Ballot{3, 1}}, {version: Ballot{5, 1}}}
	var rec record
	for n := uint64(1); n <= 2; n++ {
		rec = rec.with([]byte("x"), Ballot{n, 2})
	}
	f, _ := rec.fateOf(mine)
	assert.Equal(t, absent, f)
	rec = rec.with([]byte("x"), Ballot{5, 1})
	f, at := rec.fateOf(mine)
	assert.Equal(t, applied, f)
	assert.Equal(t, 1, at)
	for n := range uint64(memory - 1) {
		rec = rec.with([]byte("x"), Ballot{6 + n, 2})
		f, _ = rec.fateOf(mine)
		assert.Equal(t, applied, f, "remembered")
	}
	rec = rec.with([]byte("x"), Ballot{20, 2})
	f, _ = rec.fateOf(mine)
	assert.Equal(t, unknown, f, "forgotten")
	f, _ = rec.fateOf([]attempt{{version: Ballot{21, 1}}})
	assert.Equal(t, absent, f, "all that is remembered is older")
	f, _ = rec.fateOf(nil)
	assert.Equal(t, absent, f)
}

// The bytes are what other versions of this program read.
func TestGoldenBytes(t *testing.T) {
	rec := (&record{}).with([]byte("x"), Ballot{1, 7})
	rec = rec.with(nil, Ballot{2, 300})
	assert.Equal(t, "\x96\xc2\xc4\x00\x02\xcd\x01\x2c\x01\x07", string(rec.encode()))
	s := &State{pledge: pledge{promised: Ballot{3, 7}, known: Ballot{2, 300}}, accepted: Ballot{2, 300}, record: rec.encode()}
	b, err := s.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, "\x95\x03\x07\x02\xcd\x01\x2c\xc4\x0a"+string(rec.encode()), string(b))
	s = &State{pledge: pledge{promised: Ballot{5, 8}, known: Ballot{4, 8}, blind: Ballot{5, 7}}, accepted: s.accepted, record: s.record}
	b, err = s.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, "\x99\x05\x08\x02\xcd\x01\x2c\xc4\x0a"+string(rec.encode())+"\x04\x08\x05\x07", string(b))
	q := request{ask: askAccept, key: "k", placed: 4, ballot: Ballot{2, 300}, ahead: 5, record: rec.encode()}
	assert.Equal(t, "\x9b\x01\x02\xc4\x01k\x04\x02\xcd\x01\x2c\x05\xc4\x0a"+string(rec.encode())+"\x00\x00\x00", string(q.encode()))
	q = request{ask: askPrepare, key: "k", placed: 4, ballot: Ballot{2, 300}, when: condition{whenVersion, Ballot{1, 7}}}
	assert.Equal(t, "\x9b\x01\x01\xc4\x01k\x04\x02\xcd\x01\x2c\x00\xc4\x00\x03\x01\x07", string(q.encode()))
	p := reply{said: saidOutbid, promised: Ballot{3, 7}, accepted: Ballot{2, 300}, record: rec.encode(), placed: 4, firm: true}
	assert.Equal(t, "\x99\x01\x01\x03\x07\x02\xcd\x01\x2c\xc4\x0a"+string(rec.encode())+"\x04\xc3", string(p.encode()))
	_, err = decodeRequest([]byte("\x93\x02\xc0\xc0"))
	assert.ErrorIs(t, err, ErrVersion)
}

// What no acceptor and no proposer would say is refused.
func TestMessagesThatMeanNothing(t *testing.T) {
	two, three := Ballot{2, 1}, Ballot{3, 1}
	late := (&record{}).with(nil, three)
	kept := (&record{}).with(nil, two)
	for reason, q := range map[string]request{
		"no such request":              {ask: asks, ballot: two},
		"not a ballot of this request": {ask: askLook, ballot: two},
		"not ahead of its ballot":      {ask: askAccept, ballot: two, ahead: 2},
		"a record where none belongs":  {ask: askPrepare, ballot: two, record: kept.encode()},
		"newer than its ballot":        {ask: askAccept, ballot: two, record: late.encode()},
		"no such condition":            {ask: askPrepare, ballot: two, when: condition{what: conditions}},
		"not a record":                 {ask: askAccept, ballot: two, record: []byte{0xc0}},
		"ballot out of range":          {ask: askPrepare, ballot: Ballot{maxCounter, 1}},
	} {
		_, err := decodeRequest(q.encode())
		require.ErrorContains(t, err, reason)
		checkRefusal(t, err)
	}
	for reason, p := range map[string]reply{
		"no such answer":                {said: sayings},
		"not promised":                  {promised: two, accepted: three},
		"a record that nobody proposed": {promised: two, record: kept.encode()},
		"newer than its ballot":         {promised: three, accepted: two, record: late.encode()},
	} {
		_, err := decodeReply(p.encode())
		require.ErrorContains(t, err, reason)
		checkRefusal(t, err)
	}
	for _, rec := range []record{
		{found: false, data: []byte("x"), changes: []Ballot{two}},
		{found: true, changes: []Ballot{two, three}},
		{found: true, changes: []Ballot{{}}},
		{found: true, changes: make([]Ballot, memory+1)},
	} {
		_, err := decodeRecord(rec.encode())
		require.Error(t, err)
	}
}

func TestErrorsSayWhat(t *testing.T) {
	two := Ballot{2, 0x1f}
	assert.EqualError(t, &ConflictError{Key: "k", Current: Value{Version: two}}, `caspaxos: "k" is at version 2@1f, not 0@0`)
	assert.EqualError(t, &ConflictError{Key: "k", Current: Value{Found: true, Version: two}}, `caspaxos: "k" exists, at version 2@1f`)
	assert.EqualError(t, &UnknownError{Key: "k"}, `caspaxos: it is not known whether "k" was changed: too much has followed`)
	assert.EqualError(t, &UnknownError{Key: "k", Err: errDown}, `caspaxos: it is not known whether "k" was changed: down`)
	assert.EqualError(t, &MessageError{Offset: 3, Reason: "x"}, "caspaxos: bad message: x at offset 3")
}

// What comes from a peer costs no more than it weighs, and is refused or is what this program would have written.
func FuzzMessages(f *testing.F) {
	rec := (&record{}).with([]byte("x"), Ballot{1, 7})
	s := &State{pledge: pledge{promised: Ballot{3, 7}, known: Ballot{2, 300}}, accepted: Ballot{2, 300}, record: rec.encode()}
	state, _ := s.AppendBinary(nil)
	q := request{ask: askAccept, key: "k", placed: 4, ballot: Ballot{2, 300}, ahead: 5, record: rec.encode()}
	p := reply{said: saidYes, promised: s.promised, accepted: s.accepted, record: s.record}
	for _, b := range [][]byte{rec.encode(), state, q.encode(), p.encode(), []byte("\x98\x02"), nil} {
		f.Add(b)
	}
	m := &shelf{states: make(map[string][]byte)}
	h := (&Registers{Local: m, Kinds: kinds}).Handler()
	f.Fuzz(func(t *testing.T, b []byte) {
		if rec, err := decodeRecord(b); err == nil {
			assert.Equal(t, string(b), string(rec.encode()))
		}
		var s State
		if err := s.UnmarshalBinary(b); err == nil {
			again, _ := s.AppendBinary(nil)
			assert.Equal(t, b, again)
		} else {
			_, ok := errors.AsType[*crdt.CorruptError](err)
			assert.True(t, ok, "%T", err)
		}
		if p, err := decodeReply(b); err == nil {
			assert.Equal(t, b, p.encode())
		} else {
			checkRefusal(t, err)
		}
		q, err := decodeRequest(b)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		assert.Equal(t, b, q.encode())
		resp, err := h.ServeCall(t.Context(), "z", Method, b)
		require.NoError(t, err)
		_, err = decodeReply(resp)
		require.NoError(t, err)
	})
}

func checkRefusal(t *testing.T, err error) {
	_, ok := errors.AsType[*MessageError](err)
	assert.True(t, ok || errors.Is(err, ErrVersion), "%v", err)
}

package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

var errDown = errors.New("node is down")

// A world is replicas that fail and come back, messages that are late, lost and reordered, a ring
// that changes, and clients, each with a session that goes from coordinator to coordinator. All
// that happens is the choice of its random numbers.
type world struct {
	t        *testing.T
	random   *rand.Rand
	places   []quorum.Placement
	stage    int // the latest placement that anybody knows of
	known    map[nodeID]int
	ids      []nodeID
	replicas map[nodeID]replica
	servers  map[nodeID]transport.Handler
	down     map[nodeID]bool
	wire     []message
	clock    int
	written  byte

	guarantees Guarantees
	plain      bool        // negative control: no sessions
	lossy      bool        // most is written and read by one owner, and many messages are lost
	overlaps   bool        // a session has several calls under way
	pause      func() bool // of who goes on, where several do; nil where nobody else does
	clients    []*caller
	history    history
	refused    int
	done       int
	longest    int // token
}

type message struct {
	to   machine
	from nodeID // who asks
	send quorum.Send
	back bool
	resp []byte
	err  error
}

type machine interface {
	Start() []quorum.Send
	Answer(quorum.Send, []byte, error) []quorum.Send
	Hedge() []quorum.Send
	Timeout() []quorum.Send
	Done() bool
}

type replica map[string][]byte

func (r replica) Load(_ context.Context, key string) ([]byte, error) { return r[key], nil }

func (r replica) Merge(_ context.Context, key string, state []byte) ([]byte, error) {
	r[key], _ = union(r[key], state)
	return state, nil
}

// A caller is a client: who it is in the history, and its session.
type caller struct {
	id      int
	session *Session
}

func newWorld(t *testing.T, seed uint64, stages []string) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 7)), known: map[nodeID]int{}, replicas: map[nodeID]replica{},
		servers: map[nodeID]transport.Handler{}, down: map[nodeID]bool{}, history: history{begun: map[int]before{}},
	}
	for i, text := range stages {
		p := quorum.Placement{Version: uint64(i + 1)}
		now, next, _ := strings.Cut(text, "->")
		p.Owners, p.Next = named(now), named(next)
		w.places = append(w.places, p)
		for _, id := range slices.Concat(p.Owners, p.Next, []nodeID{"z"}) {
			w.add(id)
		}
	}
	for range 3 {
		w.clients = append(w.clients, nil)
	}
	return w
}

func named(text string) (all []nodeID) {
	for word := range strings.FieldsSeq(text) {
		all = append(all, nodeID(word))
	}
	return all
}

func (w *world) add(id nodeID) {
	if !slices.Contains(w.ids, id) {
		w.ids, w.replicas[id] = append(w.ids, id), replica{}
		w.servers[id] = (&quorum.Coordinator{Self: id, Local: w.replicas[id], Ring: view{w, id}, Join: union}).Handler()
	}
}

// A view is the ring as one node knows it.
type view struct {
	w  *world
	id nodeID
}

func (v view) Place(string) quorum.Placement { return v.w.places[v.w.known[v.id]] }

func (w *world) chance(n int) bool { return w.random.IntN(n) == 0 }
func (w *world) anyone() nodeID    { return w.ids[w.random.IntN(len(w.ids))] }

// run has clients and mishaps take turns.
func (w *world) run(turns int) {
	for i := range w.clients {
		w.clients[i] = w.client()
	}
	for range turns {
		w.turn()
	}
}

func (w *world) client(after ...*caller) *caller {
	c := &caller{id: len(w.history.begun), session: &Session{Quorum: at{w, w.anyone()}, Guarantees: w.guarantees, Max: w.random.IntN(5), AtOnce: 1}}
	if w.overlaps {
		c.session.Quorum = anywhere{w}
	}
	var b before
	for _, a := range after {
		b = append(b, struct{ session, until int }{a.id, w.clock})
		c.session.Resume(w.sent(a.session.Token()))
	}
	w.clock++
	w.history.begun[c.id] = b
	return c
}

// sent returns what arrives of a token.
func (w *world) sent(t Token) (got Token) {
	b, err := t.AppendBinary(nil)
	require.NoError(w.t, err)
	require.NoError(w.t, got.UnmarshalBinary(b))
	w.longest = max(w.longest, len(b))
	return got
}

func (w *world) turn() {
	w.clock++
	switch i := w.random.IntN(len(w.clients)); w.random.IntN(16) {
	case 0:
		id := w.anyone()
		w.down[id] = !w.down[id] && w.chance(3)
	case 1:
		for _, id := range w.ids {
			if w.chance(2) {
				w.learn(id)
			}
		}
	case 2:
		w.change()
	case 3: // the client goes to another process
		w.clients[i] = w.client(w.clients[i])
	case 4: // two devices of one user
		w.clients[i] = w.client(w.clients[i], w.clients[w.random.IntN(len(w.clients))])
	case 5, 6:
		w.deliver()
	case 7, 8, 9, 10:
		w.write(w.clients[i])
	case 11: // somebody who reads a majority, without a session
		c := &caller{id: -1, session: nil}
		w.read(c, quorum.ReadOptions{Level: quorum.Majority})
	default:
		w.read(w.clients[i], w.reading())
	}
}

func (w *world) key() string { return []string{"k", "l", "m"}[w.random.IntN(3)] }

func (w *world) reading() quorum.ReadOptions {
	if w.lossy && !w.chance(8) {
		return quorum.ReadOptions{Level: quorum.One}
	}
	return quorum.ReadOptions{
		Level:  []quorum.Level{quorum.One, quorum.One, quorum.Two, quorum.Majority}[w.random.IntN(4)],
		Repair: []quorum.Repair{quorum.RepairBlocking, quorum.RepairAsync, quorum.RepairOff}[w.random.IntN(3)],
		Least:  []quorum.Level{0, 0, quorum.One}[w.random.IntN(3)],
	}
}

// asks returns who a client asks: its session, by another coordinator each time.
func (w *world) asks(c *caller) Quorum {
	if c.session == nil || w.plain {
		return at{w, w.anyone()}
	}
	if !w.overlaps {
		c.session.Quorum = at{w, w.anyone()}
	}
	return c.session
}

func (w *world) write(c *caller) {
	w.written++
	e := event{session: c.id, write: true, key: w.key(), state: []byte{w.written}, began: w.clock}
	level := []quorum.Level{quorum.One, quorum.One, quorum.Majority, quorum.Two}[w.random.IntN(4)]
	if w.lossy {
		level = quorum.One
	}
	res, err := w.asks(c).Write(context.Background(), e.key, e.state, quorum.WriteOptions{Level: level})
	require.Equal(w.t, err == nil, res.Answered > 0)
	w.end(e, err)
}

func (w *world) read(c *caller, opts quorum.ReadOptions) {
	e := event{session: c.id, key: w.key(), began: w.clock, most: opts.Level == quorum.Majority && opts.Repair <= quorum.RepairBlocking && opts.Least == 0}
	res, err := w.asks(c).Read(context.Background(), e.key, opts)
	e.state = res.State
	w.end(e, err)
}

func (w *world) end(e event, err error) {
	w.clock++
	e.ended, e.ok = w.clock, err == nil
	w.history.events = append(w.history.events, e)
	w.done++
	if err != nil {
		w.refused++
		var gone *quorum.UnavailableError
		var late *quorum.TimeoutError
		require.True(w.t, errors.As(err, &gone) || errors.As(err, &late), "%v", err)
	}
}

// at is a coordinator at a node: a Quorum that is done with a call when that is decided, and leaves
// messages under way.
type at struct {
	w    *world
	self nodeID
}

func (q at) Read(_ context.Context, key string, opts quorum.ReadOptions) (res quorum.ReadResult, err error) {
	q.again(func() error {
		ranks := map[nodeID]int{}
		for _, id := range q.w.ids {
			ranks[id] = q.w.random.IntN(6) - 1
		}
		op, e := quorum.NewReadOp(quorum.ReadConfig{
			Key: key, Placement: view{q.w, q.self}.Place(key), Self: q.self, Options: opts, Join: union,
			Prefer: func(id nodeID) int { return ranks[id] },
		})
		require.NoError(q.w.t, e)
		q.w.drive(op, q.self)
		res, err = op.Result()
		return err
	})
	return res, err
}

func (q at) Write(_ context.Context, key string, delta []byte, opts quorum.WriteOptions) (res quorum.WriteResult, err error) {
	q.again(func() error {
		op, e := quorum.NewWriteOp(quorum.WriteConfig{
			Key: key, Delta: delta, Placement: view{q.w, q.self}.Place(key), Self: q.self, Options: opts,
		})
		require.NoError(q.w.t, e)
		q.w.drive(op, q.self)
		if res, err = op.Result(); err != nil {
			res = quorum.WriteResult{}
		}
		return err
	})
	return res, err
}

// again makes a call once more where it failed by an old ring.
func (q at) again(call func() error) {
	if _, old := errors.AsType[*quorum.RingError](call()); old {
		q.w.learn(q.self)
		_ = call()
	}
}

// drive runs an operation until it is decided.
func (w *world) drive(op machine, self nodeID) {
	w.post(op, self, op.Start())
	for !op.Done() {
		w.clock++
		w.stop()
		mine := slices.ContainsFunc(w.wire, func(m message) bool { return m.to == op })
		switch choice := w.random.IntN(100); {
		case !mine || choice == 0:
			w.post(op, self, op.Timeout())
			require.True(w.t, op.Done())
		case choice == 1:
			w.post(op, self, op.Hedge())
		case choice <= 3 || w.lossy && choice < 35:
			m := &w.wire[w.random.IntN(len(w.wire))]
			m.back, m.resp, m.err = true, nil, errDown
		default:
			w.deliver()
		}
	}
}

func (w *world) post(op machine, from nodeID, sends []quorum.Send) {
	for _, s := range sends {
		w.wire = append(w.wire, message{to: op, from: from, send: s})
	}
}

// deliver brings one of the messages that are under way where it goes.
func (w *world) deliver() {
	if len(w.wire) == 0 {
		return
	}
	i := w.random.IntN(len(w.wire))
	m := w.wire[i]
	w.wire = slices.Delete(w.wire, i, i+1)
	if m.back {
		w.post(m.to, m.from, m.to.Answer(m.send, m.resp, m.err))
		return
	}
	m.back, m.err = true, errDown
	if !w.down[m.send.To] {
		m.resp, m.err = w.servers[m.send.To].ServeCall(context.Background(), m.from, quorum.Method, m.send.Request())
	}
	w.wire = append(w.wire, m)
}

// learn tells a node of the next placement. If it does not hold the keys any more, it hands them to
// a majority of the owners, who know that, and drops them.
func (w *world) learn(id nodeID) {
	w.known[id] = min(w.known[id]+1, w.stage)
	for _, id := range w.ids {
		p := w.places[w.known[id]]
		var to []nodeID
		for _, owner := range p.Owners {
			if w.known[owner] == w.known[id] {
				to = append(to, owner)
			}
		}
		if !slices.Contains(slices.Concat(p.Owners, p.Next), id) && 2*len(to) > len(p.Owners) {
			for _, owner := range w.majority(to, len(p.Owners)) {
				w.copy(id, owner)
			}
			clear(w.replicas[id])
		}
	}
}

// majority returns as many of some nodes as are more than half of n, any of them.
func (w *world) majority(some []nodeID, n int) []nodeID {
	some = slices.Clone(some)
	w.random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	return some[:n/2+1]
}

func (w *world) copy(from, to nodeID) {
	for key, state := range w.replicas[from] {
		_, _ = w.replicas[to].Merge(context.Background(), key, state)
	}
}

// change has the ring change further: when all know that it changes, and those to come have what
// the owners have.
func (w *world) change() {
	for _, id := range w.ids {
		if w.known[id] < w.stage {
			return
		}
	}
	for _, to := range w.places[w.stage].Next {
		owners := w.places[w.stage].Owners
		for _, from := range w.majority(owners, len(owners)) {
			w.copy(from, to)
		}
	}
	w.stage = min(w.stage+1, len(w.places)-1)
}

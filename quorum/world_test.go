package quorum

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// A world is replicas, operations and messages under way. What happens next is the
// choice of pick, so that rapid or a seed can drive it. It judges every outcome by
// what was acknowledged and read before the operation began.
type world struct {
	pick  func(n int) int // 0 <= pick(n) < n
	judge func(format string, args ...any)
	naive bool // reads do not wait for repairs: the negative control

	n       int
	ids     []transport.NodeID
	ring    Everywhere
	nodes   map[transport.NodeID]*memory
	servers map[transport.NodeID]transport.Handler
	ops     []*running
	wire    []message
	seen    []witness // what was acknowledged or read, at which level
	written []byte
}

type running struct {
	write  *WriteOp
	read   *ReadOp
	delta  []byte
	floor  []byte // what the read must contain
	needed int
	judged bool
	under  int // messages under way
}

type message struct {
	op       *running
	send     Send
	back     bool // a response
	resp     []byte
	err      error
	repeated bool
}

type witness struct {
	state  []byte
	needed int
}

func newWorld(n int, pick func(int) int, judge func(string, ...any)) *world {
	w := &world{
		pick: pick, judge: judge, n: n, ids: nodes(n), ring: nodes(n),
		nodes:   make(map[transport.NodeID]*memory),
		servers: make(map[transport.NodeID]transport.Handler),
	}
	for _, id := range w.ids {
		w.nodes[id] = new(memory)
		w.servers[id] = (&Coordinator{Local: w.nodes[id]}).Handler()
	}
	return w
}

// run takes steps, then lets every message that is left arrive.
func (w *world) run(steps int) {
	for range steps {
		w.step()
	}
	for len(w.wire) > 0 {
		w.deliver(w.pick(len(w.wire)), false)
	}
	for _, r := range w.ops {
		if !r.done() {
			w.judge("no call is under way, and the operation is not done")
		}
	}
}

func (w *world) step() {
	switch choice := w.pick(20); {
	case len(w.wire) == 0 || choice == 0:
		w.start()
	case choice == 1:
		w.flip(w.ids[w.pick(w.n)])
	case choice == 2 && w.pick(2) == 0:
		w.hedge(w.ops[w.pick(len(w.ops))])
	case choice == 2:
		w.expire(w.ops[w.pick(len(w.ops))])
	case choice <= 4:
		w.lose(w.pick(len(w.wire)))
	case choice <= 6:
		w.deliver(w.pick(len(w.wire)), true)
	default:
		w.deliver(w.pick(len(w.wire)), false)
	}
}

// start begins a write of a number not written yet, or a read, at any level.
func (w *world) start() {
	level := []Level{One, Majority, Majority, All, 2}[w.pick(5)]
	if level == 2 && w.n < 2 || len(w.written) == 250 {
		return
	}
	r := &running{needed: level.of(w.n)}
	if w.pick(2) == 0 {
		r.delta = set(byte(len(w.written) + 1))
		w.written = append(w.written, r.delta...)
		r.write, _ = NewWriteOp(WriteConfig{Key: "k", Delta: r.delta, Placement: w.ring.Place("k"), Self: w.self(), Options: WriteOptions{Level: level}})
	} else {
		r.read, _ = NewReadOp(ReadConfig{Key: "k", Placement: w.ring.Place("k"), Self: w.self(), Options: w.reading(level), Join: union, Prefer: w.prefer()})
		needed := level.of(w.n)
		for _, s := range w.seen {
			if s.needed+needed > w.n {
				r.floor, _ = union(r.floor, s.state)
			}
		}
	}
	w.ops = append(w.ops, r)
	w.post(r, r.begin())
}

func (w *world) post(r *running, sends []Send) {
	for _, s := range sends {
		r.under++
		w.wire = append(w.wire, message{op: r, send: s})
	}
}

// flip makes a node fail all it is asked, or work again. What it holds it keeps.
func (w *world) flip(id transport.NodeID) {
	if w.servers[id] == nil {
		w.servers[id] = (&Coordinator{Local: w.nodes[id]}).Handler()
	} else {
		w.servers[id] = nil
	}
}

// self is the node that asks, which may own the key.
func (w *world) self() transport.NodeID {
	if i := w.pick(2 * w.n); i < w.n {
		return w.ids[i]
	}
	return "z"
}

// reading is what a read asks for.
func (w *world) reading(level Level) ReadOptions {
	o := ReadOptions{Level: level, NotFound: NotFound(w.pick(3))}
	if w.naive {
		o.Repair = RepairAsync + Repair(w.pick(2))
	}
	return o
}

// prefer asks nodes in any order, and takes any to be away.
func (w *world) prefer() func(transport.NodeID) int {
	ranks := make(map[transport.NodeID]int)
	for _, id := range w.ids {
		ranks[id] = w.pick(6) - 1
	}
	return func(id transport.NodeID) int { return ranks[id] }
}

// hedge has an operation lose its patience.
func (w *world) hedge(r *running) {
	if r.write != nil {
		w.post(r, r.write.Hedge())
	} else {
		w.post(r, r.read.Hedge())
	}
}

func (w *world) expire(r *running) {
	w.post(r, r.timeout())
	w.check(r)
}

// lose turns a message into silence, which the caller notices as an error, in time.
func (w *world) lose(i int) {
	m := &w.wire[i]
	m.back, m.resp, m.err = true, nil, errDown
}

// deliver takes message i to where it goes; if repeat, it is then still under way.
func (w *world) deliver(i int, repeat bool) {
	m := w.wire[i]
	if repeat && !m.repeated {
		w.wire[i].repeated = true
		m.op.under++
	} else {
		w.wire = slices.Delete(w.wire, i, i+1)
	}
	if !m.back {
		w.wire = append(w.wire, w.serve(m))
		return
	}
	m.op.under--
	w.post(m.op, m.op.answer(m.send, m.resp, m.err))
	w.check(m.op)
	if m.op.under == 0 && !m.op.done() {
		w.judge("no call is under way, and the operation is not done")
	}
}

func (w *world) serve(m message) message {
	m.back, m.err = true, errDown
	if h := w.servers[m.send.To]; h != nil {
		m.resp, m.err = h.ServeCall(context.Background(), "", Method, m.send.Request())
	}
	return m
}

// check judges an operation when it is done, once, and that it then stays so.
func (w *world) check(r *running) {
	if r.judged || !r.done() {
		return
	}
	r.judged = true
	if r.write != nil {
		w.checkWrite(r)
	} else {
		w.checkRead(r)
	}
}

func (w *world) checkWrite(r *running) {
	res, err := r.write.Result()
	if err != nil {
		return
	}
	if n := w.holders(r.delta); n < r.needed || res.Answered < r.needed {
		w.judge("write of %v acknowledged by %+v, held by %d", r.delta, res, n)
	}
	w.seen = append(w.seen, witness{r.delta, r.needed})
}

func (w *world) checkRead(r *running) {
	state, needed, ok := r.outcome()
	if !ok {
		return
	}
	if !contains(state, r.floor) {
		w.judge("read %v, but %v was acknowledged or read before", state, r.floor)
	}
	if !contains(w.written, state) {
		w.judge("read %v, which nobody wrote", state)
	}
	if n := w.holders(state); n < needed && !w.naive {
		w.judge("read %v, held by %d of %d", state, n, needed)
	}
	w.seen = append(w.seen, witness{state, needed})
}

func (w *world) holders(part []byte) (n int) {
	for _, m := range w.nodes {
		if contains(m.at("k"), part) {
			n++
		}
	}
	return n
}

func (r *running) begin() []Send {
	if r.write != nil {
		return r.write.Start()
	}
	return r.read.Start()
}

func (r *running) answer(s Send, resp []byte, err error) []Send {
	if r.write != nil {
		before := fmt.Sprint(r.write.Result())
		defer func() { mustStay(r.judged, before, fmt.Sprint(r.write.Result())) }()
		return r.write.Answer(s, resp, err)
	}
	before := fmt.Sprint(r.read.Result())
	defer func() { mustStay(r.judged, before, fmt.Sprint(r.read.Result())) }()
	return r.read.Answer(s, bytes.Clone(resp), err)
}

func mustStay(decided bool, before, after string) {
	if decided && before != after {
		panic("a decided outcome changed: " + before + " became " + after)
	}
}

func (r *running) timeout() []Send {
	if r.write != nil {
		return r.write.Timeout()
	}
	return r.read.Timeout()
}

func (r *running) done() bool {
	if r.write != nil {
		return r.write.Done()
	}
	return r.read.Done()
}

func (r *running) outcome() (state []byte, needed int, ok bool) {
	res, err := r.read.Result()
	return res.State, r.needed, err == nil
}

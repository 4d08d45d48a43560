package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/vclock"
)

// A durable is a cluster of stores on disks to which all happens that can happen to one. All that was ever sent may
// arrive anywhere, and at the end does. Elements are added once, so an event that was numbered twice shows: one of the
// two is missing then.
type durable struct {
	t       *rapid.T
	hosts   []*machineHost
	sent    []posted
	n       int
	added   map[string]string // element → key, of what was acknowledged
	unsure  map[string]bool   // elements of which nobody knows
	removed map[string]bool
	total   int64 // of the counter
	guesses bool  // so that the total is not known
	copies  []copied
}

// A copied is a disk that was copied, and what was on it.
type copied struct {
	disk   *disk.Disk
	of     int
	states map[string]string
}

// A machineHost is one disk and the store on it, and what must be there after a crash.
type machineHost struct {
	*host
	s      *store.Store
	places int
	sure   map[string]string // what is durable, by key
	log    []posted          // what each write since has made of a key
	clock  vclock.Timestamp  // the last stamp that is durable
	failed bool              // a write did, so that more may be there

	discards string // key that it may have forgotten, if that failed
}

var modelKeys = []string{"x", "y", "z", "n"}

func newDurable(t *rapid.T) *durable {
	d := &durable{t: t, added: map[string]string{}, unsure: map[string]bool{}, removed: map[string]bool{}}
	for i := range 3 {
		h := &machineHost{host: newHost(string(rune('a' + i))), sure: map[string]string{}}
		h.cfg.Sync = rapid.SampledFrom([]time.Duration{0, 0, -1}).Draw(t, "sync")
		h.cfg.Cache = rapid.SampledFrom([]int64{1, 300, 1 << 20}).Draw(t, "cache")
		d.hosts = append(d.hosts, h)
		h.s = h.open(t)
		_, err := h.s.Adopt(t.Context(), "")
		require.NoError(t, err)
	}
	return d
}

func (d *durable) host() *machineHost {
	return d.hosts[rapid.IntRange(0, len(d.hosts)-1).Draw(d.t, "host")]
}

func (d *durable) key() string { return rapid.SampledFrom(modelKeys[:3]).Draw(d.t, "key") }

// wrote notes what a write has made of keys, or that it has failed.
func (d *durable) wrote(h *machineHost, delta store.Delta, err error, keys ...string) bool {
	if err != nil {
		require.ErrorAs(d.t, err, new(*store.FailedError))
		h.failed = true
		d.reopen(h, true)
		return false
	}
	if state, err := sent(delta, nil); err == nil && len(state) > 0 {
		d.sent = append(d.sent, posted{delta.Key(), state})
	}
	h.note(d.t, keys...)
	return true
}

func (h *machineHost) note(t *rapid.T, keys ...string) {
	for _, key := range keys {
		h.log = append(h.log, posted{key, load(t, h.s, key)})
	}
	if h.cfg.Sync == 0 {
		h.settle()
	}
}

// moment is the last one that was stamped, whoever did it.
func (h *machineHost) moment() vclock.Timestamp {
	last := h.s.Clock().Last()
	last.Replica = vclock.ReplicaID{}
	return last
}

// settle takes note that all is durable.
func (h *machineHost) settle() {
	for _, p := range h.log {
		h.sure[p.key] = string(p.state)
	}
	h.log, h.clock = nil, h.moment()
}

func (d *durable) add(*rapid.T) {
	h, key := d.host(), d.key()
	d.n++
	e := fmt.Sprint(d.n)
	d.unsure[e] = true
	delta, err := store.Update(h.s, key, func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return c.Add(by.Replica, e)
	})
	if d.wrote(h, delta, err, key) {
		delete(d.unsure, e)
		d.added[e] = key
	}
}

func (d *durable) count(*rapid.T) {
	h := d.host()
	delta, err := store.Update(h.s, "n", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, 1) })
	if d.wrote(h, delta, err, "n") {
		d.total++
	} else {
		d.guesses = true
	}
}

func (d *durable) assign(*rapid.T) {
	h, key := d.host(), d.key()
	var stamp vclock.Timestamp
	delta, err := store.Update(h.s, key, func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		stamp = by.Stamp()
		return r.Set(stamp, fmt.Sprint(d.n))
	})
	require.Positive(d.t, stamp.Compare(h.clock), "it is later than what is durable")
	d.wrote(h, delta, err, key)
}

func (d *durable) batch(*rapid.T) {
	h := d.host()
	var b store.Batch
	var elements []string
	for range 2 {
		d.n++
		e, key := fmt.Sprint(d.n), d.key()
		elements = append(elements, e, key)
		d.unsure[e] = true
		inserting(&b, key, e)
	}
	delta, err := h.s.Apply(&b)
	if d.wrote(h, delta, err, elements[1], elements[3]) {
		d.added[elements[0]], d.added[elements[2]] = elements[1], elements[3]
		delete(d.unsure, elements[0])
		delete(d.unsure, elements[2])
	}
}

func (d *durable) remove(*rapid.T) {
	h, key := d.host(), d.key()
	for _, e := range members(d.t, h.s, key) {
		d.removed[e] = true
	}
	delta, err := h.s.Delete(key)
	d.wrote(h, delta, err, key)
	if err != nil {
		d.uncertain(key)
	}
}

// uncertain says that nobody knows which elements of a key were removed.
func (d *durable) uncertain(key string) {
	for e := range d.removed {
		if d.added[e] == key {
			d.unsure[e] = true
		}
	}
}

// load sends a whole state.
func (d *durable) load(*rapid.T) {
	h, key := d.host(), rapid.SampledFrom(modelKeys).Draw(d.t, "key")
	if state := load(d.t, h.s, key); len(state) > 0 {
		d.sent = append(d.sent, posted{key, state})
	}
}

// discard has a host forget a key that it has sent as a whole.
func (d *durable) discard(*rapid.T) {
	h, key := d.host(), rapid.SampledFrom(modelKeys).Draw(d.t, "key")
	held, state := h.s.Index(), load(d.t, h.s, key)
	if len(state) == 0 {
		return
	}
	d.sent = append(d.sent, posted{key, state})
	at := held.Hasher().Position(key)
	_, err := h.s.Discard(d.t.Context(), held, []merkle.Range{{From: at, To: at}})
	h.discards = key
	d.wrote(h, store.Delta{}, err, key)
	h.discards = ""
}

func (d *durable) deliver(*rapid.T) {
	if len(d.sent) > 0 {
		d.merge(d.host(), rapid.SampledFrom(d.sent).Draw(d.t, "posted"))
	}
}

// merge has something arrive, for which the host may have to come to where others are before.
func (d *durable) merge(h *machineHost, p posted) {
	_, err := h.s.Merge(d.t.Context(), p.key, p.state)
	if stale := new(*store.StaleError); errors.As(err, stale) {
		d.align()
		_, err = h.s.Merge(d.t.Context(), p.key, p.state)
	}
	d.wrote(h, store.Delta{}, err, modelKeys...) // a batch has more keys than that one
}

// ahead is who has settled most.
func (d *durable) ahead() *machineHost {
	return slices.MaxFunc(d.hosts, func(a, b *machineHost) int {
		return strings.Compare(a.s.Generation(), b.s.Generation())
	})
}

// align brings all to the generation of who is ahead.
func (d *durable) align() {
	ahead := d.ahead()
	for _, h := range d.hosts {
		records, ok := ahead.s.Since(h.s.Generation(), 1<<30)
		require.True(d.t, ok)
		for _, r := range records {
			d.wrote(h, store.Delta{}, h.s.Settle(d.t.Context(), r), modelKeys...)
		}
		if h.s.Generation() != ahead.s.Generation() { // it failed on the way
			for _, r := range records {
				require.NoError(d.t, h.s.Settle(d.t.Context(), r))
			}
			h.note(d.t, modelKeys...)
		}
	}
}

// collect has all agree on forgetting what was deleted.
func (d *durable) collect(*rapid.T) {
	for _, h := range d.hosts {
		h.disk.Fail(1<<40, disk.ErrFailed) // not now: half a collection is for other tests
	}
	d.align()
	proposal := d.hosts[0].s.Propose(1<<20, 0)
	if proposal == nil {
		return
	}
	var replies [][]byte
	for _, h := range d.hosts {
		reply, err := h.s.Prepare(d.t.Context(), proposal)
		require.NoError(d.t, err)
		replies = append(replies, reply)
	}
	record, err := d.hosts[0].s.Conclude(d.t.Context(), proposal, replies)
	require.NoError(d.t, err)
	for _, h := range d.hosts {
		if record != nil {
			require.NoError(d.t, h.s.Settle(d.t.Context(), record))
		}
		h.note(d.t, modelKeys...)
		h.settle() // where a store stands is always durable, and all before it
	}
}

// close ends a store and opens it again.
func (d *durable) close(*rapid.T) {
	h := d.host()
	before := h.s.Replica()
	if err := h.s.Close(); err != nil {
		h.failed = true
		h.disk.Crash(h.disk.Tail())
		d.opened(h)
		return
	}
	h.settle()
	d.opened(h)
	require.Equal(d.t, before, h.s.Replica(), "the name was free")
}

func (d *durable) crash(*rapid.T) { d.reopen(d.host(), false) }

// reopen opens a disk after a crash, or after a write has failed.
func (d *durable) reopen(h *machineHost, failed bool) {
	before := h.s.Replica()
	most := h.disk.Tail()
	if failed {
		most++
	}
	h.disk.Crash(rapid.IntRange(0, most).Draw(d.t, "left"))
	_ = h.s.Close()
	d.opened(h)
	require.NotEqual(d.t, before, h.s.Replica())
}

// opened opens a store and checks what is there.
func (d *durable) opened(h *machineHost) {
	h.s = h.open(d.t)
	states := map[string]string{}
	for _, key := range modelKeys {
		if state := load(d.t, h.s, key); len(state) > 0 {
			states[key] = string(state)
		}
	}
	if !h.failed {
		require.True(d.t, h.among(states), "%v is not what any number of writes have left", states)
	}
	for e, key := range d.elementsOf(h) {
		if !h.failed || !d.removed[e] && key != h.discards {
			require.Contains(d.t, members(d.t, h.s, key), e, "it was durable")
		}
	}
	require.GreaterOrEqual(d.t, h.moment().Compare(h.clock), 0)
	h.sure, h.log, h.failed = states, nil, false
	h.clock = h.moment()
	d.consistent(h)
}

// elementsOf are the elements that must be there.
func (d *durable) elementsOf(h *machineHost) map[string]string {
	must := map[string]string{}
	if len(h.log) > 0 {
		return must // see among
	}
	for key, state := range h.sure {
		v, err := h.s.Decode([]byte(state))
		require.NoError(d.t, err)
		if c, ok := crdt.Component[*crdt.ORSet[string]](crdt.Standard(), v); ok {
			for e := range c.All() {
				must[e] = key
			}
		}
	}
	return must
}

// among reports whether states are those after some number of the writes that may be lost.
func (h *machineHost) among(states map[string]string) bool {
	now := maps.Clone(h.sure)
	for i := 0; ; i++ {
		maps.DeleteFunc(now, func(_, state string) bool { return state == "" })
		if maps.Equal(now, states) {
			return true
		}
		if i == len(h.log) {
			return false
		}
		now[h.log[i].key] = string(h.log[i].state)
	}
}

// consistent checks that a store knows all of what it holds.
func (d *durable) consistent(h *machineHost) {
	plain, held := store.New(store.Config{Secret: h.cfg.Secret}), 0
	for _, key := range modelKeys {
		if state := load(d.t, h.s, key); len(state) > 0 {
			v, err := h.s.Decode(state)
			require.NoError(d.t, err)
			value, err := v.AppendBinary(nil)
			require.NoError(d.t, err)
			merge(d.t, plain, key, value)
			held++
		}
	}
	settled(d.t, h.s, held) // rows are made again in a goroutine, which may have been ended by Close before
	require.Equal(d.t, plain.Index().Root(), h.s.Index().Root())
	require.Equal(d.t, plain.Len(), h.s.Len())
	require.Equal(d.t, slices.Collect(plain.Keys("")), slices.Collect(h.s.Keys("")))
	require.Empty(d.t, h.damages())
}

// copy copies a disk that is in use.
func (d *durable) copy(*rapid.T) {
	i := rapid.IntRange(0, len(d.hosts)-1).Draw(d.t, "host")
	h := d.hosts[i]
	h.places++
	c := copied{disk: h.disk.Copy(fmt.Sprint(i, " copy ", h.places)), of: i, states: map[string]string{}}
	for _, key := range modelKeys {
		if state := load(d.t, h.s, key); len(state) > 0 {
			c.states[key] = string(state)
		}
	}
	d.copies = append(d.copies, c)
}

// restore puts an older copy in place of a disk, be it closed or pulled out.
func (d *durable) restore(*rapid.T) {
	if len(d.copies) == 0 {
		return
	}
	i := rapid.IntRange(0, len(d.copies)-1).Draw(d.t, "copy")
	c := d.copies[i]
	h := d.hosts[c.of]
	if d.hosts[(c.of+1)%len(d.hosts)].s.Generation() < d.ahead().s.Generation() {
		return // somebody has to know what was agreed on
	}
	if rapid.Bool().Draw(d.t, "pulled") {
		h.disk.Crash(0)
	}
	_ = h.s.Close()
	before := h.s.Replica()
	h.places++
	h.disk = c.disk.Copy(fmt.Sprint(c.of, " copy ", h.places))
	h.sure, h.log, h.failed, h.clock = maps.Clone(c.states), nil, false, vclock.Timestamp{}
	d.opened(h)
	require.NotEqual(d.t, before, h.s.Replica())
}

// fail has a write to come fail.
func (d *durable) fail(*rapid.T) {
	d.host().disk.Fail(rapid.IntRange(1, 6).Draw(d.t, "writes"), disk.ErrFailed)
}

// damage changes a value on a disk that nobody has, or its row, into what cannot be read.
func (d *durable) damage(*rapid.T) {
	h := d.host()
	keys := slices.Concat(h.disk.Keys("v"), h.disk.Keys("f"))
	if len(keys) == 0 {
		return
	}
	if h.s.Close() != nil {
		h.failed = true
		h.disk.Crash(h.disk.Tail())
		d.opened(h)
		return
	}
	key := []byte(rapid.SampledFrom(keys).Draw(d.t, "damaged"))
	if key[0] == 'v' && rapid.Bool().Draw(d.t, "unreadable") {
		h.disk.Damage(key)
	} else {
		h.disk.Replace(key, []byte(rapid.SampledFrom([]string{"", "x", "\xc1", "\x94\x04"}).Draw(d.t, "bytes")))
	}
	h.s = h.open(d.t)
	held := map[string]bool{}
	for _, k := range modelKeys {
		if load(d.t, h.s, k) != nil {
			held[k] = true
		}
	}
	settled(d.t, h.s, len(held))
	require.NoError(d.t, h.s.Close()) // what was held on to need not be durable before
	h.s = h.open(d.t)
	settled(d.t, h.s, len(held))
	h.forgive()
	h.sure, h.log = map[string]string{}, nil
	h.note(d.t, modelKeys...)
	h.settle()
	maps.DeleteFunc(h.sure, func(_, state string) bool { return state == "" })
	d.consistent(h)
}

// finish has everything that was ever sent arrive everywhere, and everybody exchange with everybody.
func (d *durable) finish() {
	for _, h := range d.hosts {
		h.disk.Fail(1<<40, disk.ErrFailed)
	}
	d.align()
	for _, h := range d.hosts {
		for _, p := range d.sent {
			merge(d.t, h.s, p.key, p.state)
		}
	}
	want := map[string][]string{}
	for e, key := range d.added {
		if !d.removed[e] {
			want[key] = append(want[key], e)
		}
	}
	exchange(d.t, d.hosts[0].s, d.hosts[1].s, d.hosts[2].s)
	exchange(d.t, d.hosts[0].s, d.hosts[1].s, d.hosts[2].s)
	for _, h := range d.hosts {
		for _, key := range modelKeys[:3] {
			there := members(d.t, h.s, key)
			require.Subset(d.t, there, want[key], "key %q at %v", key, h.s.Replica())
			for _, e := range there {
				require.True(d.t, d.unsure[e] || !d.removed[e], "%q came back", e)
			}
		}
		if !d.guesses {
			require.Equal(d.t, d.total, total(d.t, h.s, "n"))
		}
		require.Equal(d.t, d.hosts[0].s.Index().Root(), h.s.Index().Root())
		d.consistent(h)
	}
}

func TestDurableModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDurable(t)
		t.Repeat(map[string]func(*rapid.T){
			"add": d.add, "another": d.add, "count": d.count, "assign": d.assign, "batch": d.batch, "remove": d.remove,
			"load": d.load, "deliver": d.deliver, "again": d.deliver, "collect": d.collect, "discard": d.discard,
			"close": d.close, "crash": d.crash, "copy": d.copy, "restore": d.restore, "fail": d.fail, "damage": d.damage,
		})
		d.finish()
		for _, h := range d.hosts {
			require.NoError(t, h.s.Close())
		}
	})
}

package crdt_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

// inheritable is a type with Handover.
type inheritable[P any] interface {
	crdt.Causal[P]
	crdt.State[P]
	MergeNovel(P) (P, bool)
	Handover(at P, to vclock.ReplicaID, from ...vclock.ReplicaID) (bool, error)
}

// cluster runs each replica twice: as it would be without handovers, and with. What is said of one is said of the
// other.
type cluster[P inheritable[P]] struct {
	*rapid.T
	suite    crdttest.Suite[P]
	ids      []vclock.ReplicaID
	plain    []P
	handed   []P
	done     []int // how many of the agreements each replica has carried out
	sent     []envelope[P]
	novel    []P // parts of messages, as they would be passed on
	agreed   []agreement[P]
	present  func(P) string
	ops      []change[P]
	fold     func(s P, by crdttest.Writer, settled *vclock.Context) P // nil unless the type can
	keeps    bool                                                     // departed replicas leave something for ever
	stamp    int64
	departed int
}

// change is a mutation. It draws nothing, since it is made twice.
type change[P any] = func(s P, by crdttest.Writer) P

type envelope[P any] struct{ plain, handed P }

type agreement[P any] struct {
	at    P // of the handed
	plain P
	to    vclock.ReplicaID
	from  []vclock.ReplicaID
}

// settle carries out the first n agreements on a copy.
func (c *cluster[P]) settle(s P, n int) P {
	s = s.Clone()
	told, by := c.tracked(s)
	for _, a := range c.agreed[:n] {
		before := c.bytes(s)
		changed, err := s.Handover(a.at, a.to, a.from...)
		if err != nil {
			c.Fatalf("refused: %v: %x", err, c.bytes(s))
		}
		if changed == bytes.Equal(before, c.bytes(s)) {
			c.Fatalf("changed is %v: %x became %x", changed, before, c.bytes(s))
		}
	}
	c.check(s, told, by)
	return s
}

// tracked follows the parts of s, if it tells of any.
func (c *cluster[P]) tracked(s P) (told map[string]int, by *crdt.Tracker[P]) {
	d, ok := any(s).(crdt.Decomposable[P])
	if !ok {
		return nil, nil
	}
	f := &followed{parts: c.partsOf(s)}
	by = crdt.NewTracker[P](f.count)
	d.Track(by)
	return f.parts, by
}

func (c *cluster[P]) partsOf(s P) map[string]int {
	f := &followed{parts: make(map[string]int)}
	if err := any(s).(crdt.Decomposable[P]).Decompose(f.count); err != nil {
		c.Fatal(err)
	}
	return f.parts
}

// check demands that what was told of s is so, that nothing in it contradicts itself, and that it can be read.
func (c *cluster[P]) check(s P, told map[string]int, by *crdt.Tracker[P]) {
	if d, ok := any(s).(crdt.Decomposable[P]); ok && d.TrackedBy(by) && !maps.Equal(c.partsOf(s), told) {
		c.Fatalf("told of %x, there are %x", told, c.partsOf(s))
	}
	if d, ok := any(s).(interface{ CheckInvariants() }); ok {
		d.CheckInvariants()
	}
	read := c.suite.New()
	if err := read.UnmarshalBinary(c.bytes(s)); err != nil {
		c.Fatalf("%v: %x", err, c.bytes(s))
	}
}

func (c *cluster[P]) bytes(s P) []byte {
	b, err := s.AppendBinary(nil)
	if err != nil {
		c.Fatal(err)
	}
	return b
}

// same checks that x is what y becomes when all agreements are carried out.
func (c *cluster[P]) same(what string, x, y P) {
	c.Helper()
	n := len(c.agreed)
	if got, want := c.bytes(c.settle(x, n)), c.bytes(c.settle(y, n)); !bytes.Equal(got, want) {
		c.Fatalf("%s:\n got %x\nwant %x", what, got, want)
	}
}

func (c *cluster[P]) replica(name string) int { return rapid.IntRange(0, len(c.ids)-1).Draw(c.T, name) }

// active is a replica that has not departed.
func (c *cluster[P]) active(name string) int {
	return rapid.IntRange(c.departed, len(c.ids)-1).Draw(c.T, name)
}

// write makes one change at replica i, twice.
func (c *cluster[P]) write(i int, op change[P]) {
	c.stamp++
	by := crdttest.Writer{Replica: c.ids[i], Stamp: vclock.Timestamp{Wall: c.stamp, Replica: c.ids[i]}}
	mixed := c.isMixed(i)
	m := envelope[P]{op(c.plain[i], by).Clone(), op(c.handed[i], by).Clone()}
	if mixed {
		m = envelope[P]{c.plain[i].Clone(), c.handed[i].Clone()}
	}
	c.sent = append(c.sent, m)
}

// isMixed reports whether replica i has heard of a successor before it has carried out the agreement. Then something
// that has ended may look alive under its old name, and be ended again by a delta: true, and more than the delta says
// that a replica without handovers sends. So only whole states compare.
func (c *cluster[P]) isMixed(i int) bool {
	seen := c.handed[i].Context()
	for _, a := range c.agreed[c.done[i]:] {
		if seen.Max(a.to) > 0 {
			return true
		}
	}
	return false
}

// receive merges a message at replica i. One that has carried out agreements does so on arrival, before or after.
func (c *cluster[P]) receive(i int, m envelope[P]) {
	c.plain[i].Merge(m.plain)
	in := m.handed.Clone()
	if rapid.Bool().Draw(c.T, "before") {
		in = c.settle(in, c.done[i])
	}
	if rapid.Bool().Draw(c.T, "novel") {
		novel, _ := c.handed[i].MergeNovel(in)
		c.novel = append(c.novel, novel)
	} else {
		c.handed[i].Merge(in)
	}
	c.handed[i] = c.settle(c.handed[i], c.done[i])
}

func (c *cluster[P]) step() {
	switch rapid.IntRange(0, 6).Draw(c.T, "step") {
	case 0, 1:
		c.write(c.active("writer"), rapid.SampledFrom(c.ops).Draw(c.T, "op"))
	case 6:
		c.gather(c.active("writer"))
	case 2:
		if len(c.sent) > 0 { // late, repeated
			c.receive(c.active("to"), rapid.SampledFrom(c.sent).Draw(c.T, "message"))
		}
	case 3:
		from, to := c.replica("from"), c.active("to")
		c.receive(to, envelope[P]{c.plain[from].Clone(), c.handed[from].Clone()})
	case 4:
		from, to := c.active("from"), c.active("to")
		plain := c.plain[from].Delta(c.plain[to].Context())
		c.receive(to, envelope[P]{plain, c.handed[from].Delta(c.handed[to].Context())})
	default:
		i := c.active("who")
		c.done[i] = rapid.IntRange(c.done[i], len(c.agreed)).Draw(c.T, "agreements")
		c.handed[i] = c.settle(c.handed[i], c.done[i])
	}
	for i := range c.ids {
		c.same(fmt.Sprintf("replica %d differs from one that never handed over", i), c.handed[i], c.plain[i])
	}
}

// gather lets all others hear of replica i, and that of them, and fold what it has written and all have seen.
func (c *cluster[P]) gather(i int) {
	for k := c.departed; k < len(c.ids); k++ {
		c.receive(k, envelope[P]{c.plain[i].Clone(), c.handed[i].Clone()})
		c.receive(i, envelope[P]{c.plain[k].Clone(), c.handed[k].Clone()})
	}
	settled := new(vclock.Context)
	for span := range c.plain[i].Context().SpansOf(c.ids[i]) {
		settled.AddSpan(span)
	}
	for _, s := range c.plain[c.departed:] {
		settled = settled.Diff(settled.Diff(s.Context()))
	}
	if c.fold != nil {
		c.write(i, func(s P, by crdttest.Writer) P { return c.fold(s, by, settled) })
	}
}

// depart lets the next replica write no more, and has all agree on what it leaves, together with what was inherited
// before: everybody gets all of it first, and then states of all are merged into the cut.
func (c *cluster[P]) depart() {
	gone := c.departed
	if c.fold != nil && rapid.Bool().Draw(c.T, "fold") {
		c.gather(gone)
	}
	c.departed++
	for i := range c.ids {
		c.done[i] = len(c.agreed)
		c.receive(i, envelope[P]{c.plain[gone].Clone(), c.handed[gone].Clone()})
	}
	for range rapid.IntRange(0, 3).Draw(c.T, "writes between the rounds") {
		c.write(c.active("writer"), c.reset)
	}
	a := agreement[P]{
		at: c.suite.New(), plain: c.suite.New(),
		to: vclock.Named(fmt.Sprint([]string{"estate", "0"}[gone%2], gone)), from: []vclock.ReplicaID{c.ids[gone]},
	}
	if len(c.agreed) > 0 {
		a.from = append(a.from, c.agreed[len(c.agreed)-1].to)
	}
	for i := range c.ids {
		a.at.Merge(c.handed[i])
		a.plain.Merge(c.plain[i])
	}
	if rapid.Bool().Draw(c.T, "slim") {
		a.at = leftBy(a.at, a.from)
	}
	c.agreed = append(c.agreed, a)
}

// leftBy returns what serves as the cut as well: what the departed have left in it.
func leftBy[P inheritable[P]](s P, from []vclock.ReplicaID) P {
	others := new(vclock.Context)
	for span := range s.Context().All() {
		if !slices.Contains(from, span.Replica) {
			others.AddSpan(span)
		}
	}
	return s.Delta(others)
}

// reset takes away all there is, where that can be done.
func (c *cluster[P]) reset(s P, by crdttest.Writer) P {
	if r, ok := any(s).(interface{ Reset() P }); ok {
		return r.Reset()
	}
	return c.ops[0](s, by)
}

// testHandover runs random executions with departures. With every message in every order, late and repeated, and with
// replicas that are late to carry out what was agreed, states equal those without any handover.
func testHandover[P inheritable[P]](t *testing.T, s crdttest.Suite[P], show func(P) string, ops ...change[P]) {
	testHandoverOf(t, cluster[P]{suite: s, present: show, ops: ops})
}

func testHandoverOf[P inheritable[P]](t *testing.T, of cluster[P]) {
	rapid.Check(t, func(t *rapid.T) {
		c := of
		c.T, c.ids = t, []vclock.ReplicaID{idA, idB, idC, vclock.Named("d")}
		for range c.ids {
			c.plain, c.handed = append(c.plain, c.suite.New()), append(c.handed, c.suite.New())
			c.done = append(c.done, 0)
		}
		for range rapid.IntRange(1, 3).Draw(t, "departures") {
			for range rapid.IntRange(0, 8).Draw(t, "steps") {
				c.step()
			}
			c.depart()
		}
		for range rapid.IntRange(0, 10).Draw(t, "steps") {
			c.step()
		}
		c.distributes()
		c.finish()
	})
}

// any draws a state or message, of a time before all handovers or later.
func (c *cluster[P]) any(name string) P {
	pool := slices.Concat(c.plain, c.handed, c.novel)
	for _, m := range c.sent {
		pool = append(pool, m.plain, m.handed)
	}
	return rapid.SampledFrom(pool).Draw(c.T, name).Clone()
}

// distributes checks that handing over a merged state is the same as merging what was handed over.
func (c *cluster[P]) distributes() {
	n := len(c.agreed)
	for range 3 {
		x, y := c.any("x"), c.any("y")
		apart := c.settle(x, n)
		apart.Merge(c.settle(y, n))
		x.Merge(y)
		if got, want := c.bytes(c.settle(x, n)), c.bytes(apart); !bytes.Equal(got, want) {
			c.Fatalf("handed over after merging and before:\n%x\n%x", got, want)
		}
	}
}

// finish merges everything everywhere, and compares what shows.
func (c *cluster[P]) finish() {
	plain, handed := c.suite.New(), c.suite.New()
	for i := range c.ids {
		plain.Merge(c.plain[i])
		handed.Merge(c.handed[i])
	}
	for _, m := range rapid.Permutation(c.sent).Draw(c.T, "order") {
		plain.Merge(m.plain)
		handed.Merge(m.handed)
	}
	handed = c.settle(handed, len(c.agreed))
	c.same("merging and handing over differ in another order", handed, plain)
	if got, want := c.present(handed), c.present(plain); got != want {
		c.Fatalf("shows %s, want %s", got, want)
	}
	for _, a := range c.agreed {
		for _, r := range a.from {
			if left := handed.Context().Max(r); left > 0 && !c.keeps {
				c.Fatalf("still has %v:%d", r, left)
			}
		}
	}
	last := c.agreed[len(c.agreed)-1]
	if changed, err := handed.Handover(last.at, last.to, last.from...); changed || err != nil {
		c.Fatalf("the second time: %v, %v", changed, err)
	}
}

type pn = crdt.PNCounter

func addsOf(n int64) change[*pn] {
	return func(c *pn, by crdttest.Writer) *pn { return c.Add(by.Replica, n) }
}

func TestTrap16_PNCounterHandover(t *testing.T) {
	testHandover(t, pncounters(), func(c *pn) string { return fmt.Sprint(c.Value()) },
		addsOf(3), addsOf(-5), addsOf(100), func(c *pn, _ crdttest.Writer) *pn { return c.Reset() })
}

func TestTrap16_GCounterHandover(t *testing.T) {
	add := func(n uint64) change[*crdt.GCounter] {
		return func(c *crdt.GCounter, by crdttest.Writer) *crdt.GCounter { return c.Add(by.Replica, n) }
	}
	testHandover(t, gcounters(), func(c *crdt.GCounter) string { return fmt.Sprint(c.Value()) },
		add(3), add(100), add(1), func(c *crdt.GCounter, _ crdttest.Writer) *crdt.GCounter { return c.Reset() })
}

func TestTrap16_ORSetHandover(t *testing.T) {
	add := func(e ...string) change[*set] {
		return func(s *set, by crdttest.Writer) *set { return s.Add(by.Replica, e...) }
	}
	remove := func(e string) change[*set] {
		return func(s *set, _ crdttest.Writer) *set { return s.Remove(e) }
	}
	testHandover(t, orsets(), func(s *set) string { return fmt.Sprint(sorted(s)) },
		add("x"), add("y", "z"), add("z"), remove("x"), remove("z"))
}

func TestTrap16_MVRegisterHandover(t *testing.T) {
	type register = crdt.MVRegister[string]
	testHandover(t, mvregisters(), func(m *register) string { return fmt.Sprint(m.Values()) },
		func(m *register, by crdttest.Writer) *register { return m.Set(by.Replica, fmt.Sprint(by.Stamp.Wall)) },
		func(m *register, by crdttest.Writer) *register {
			return m.Put(by.Replica, nil, fmt.Sprint(by.Stamp.Wall))
		},
		func(m *register, _ crdttest.Writer) *register { return m.Reset() })
}

func TestTrap16_RWSetHandover(t *testing.T) {
	add := func(e ...string) change[*rwset] {
		return func(s *rwset, by crdttest.Writer) *rwset { return s.Add(by.Replica, e...) }
	}
	remove := func(e ...string) change[*rwset] {
		return func(s *rwset, by crdttest.Writer) *rwset { return s.Remove(by.Replica, e...) }
	}
	testHandover(t, rwsets(), func(s *rwset) string { return fmt.Sprint(s.Len(), slices.Sorted(s.All())) },
		add("x"), add("y", "z"), add("z"), remove("x"), remove("z"), remove("w", "y"),
		func(s *rwset, _ crdttest.Writer) *rwset { return s.Reset() })
}

func TestTrap16_EWFlagHandover(t *testing.T) {
	testHandover(t, ewflags(), func(f *crdt.EWFlag) string { return fmt.Sprint(f.Value()) },
		func(f *crdt.EWFlag, by crdttest.Writer) *crdt.EWFlag { return f.Enable(by.Replica) },
		func(f *crdt.EWFlag, _ crdttest.Writer) *crdt.EWFlag { return f.Disable() })
}

func TestTrap16_DWFlagHandover(t *testing.T) {
	testHandover(t, dwflags(), func(f *crdt.DWFlag) string { return fmt.Sprint(f.Value(), f.Empty()) },
		func(f *crdt.DWFlag, by crdttest.Writer) *crdt.DWFlag { return f.Enable(by.Replica) },
		func(f *crdt.DWFlag, by crdttest.Writer) *crdt.DWFlag { return f.Disable(by.Replica) },
		func(f *crdt.DWFlag, _ crdttest.Writer) *crdt.DWFlag { return f.Reset() })
}

package crdt_test

import (
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// kept has what a benchmark makes, so that it is really made.
var kept any

// What a small update costs, step by step, as a store takes it: find the state, change it, see whether that was
// anything, write the delta; and what it costs to read and to compare a small value.
func BenchmarkSmall(b *testing.B) {
	kinds := crdt.Standard()
	at := vclock.Timestamp{Wall: 1_700_000_000_000_000_000, Replica: idA}
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	var up crdt.GCounter
	var c crdt.PNCounter
	run("GCounter.Add", func() { kept = up.Add(idA, 1) })
	run("PNCounter.Add", func() { kept = c.Add(idA, 1) })
	for _, r := range []vclock.ReplicaID{idB, idC} {
		c.Add(r, 5)
	}
	run("PNCounter.Add of three", func() { kept = c.Add(idB, -1) })
	var r crdt.LWWRegister[string]
	run("LWWRegister.Set", func() { at.Wall++; kept = r.Set(at, "value") })
	var f crdt.EWFlag
	run("EWFlag.Enable", func() { kept = f.Enable(idA) })
	var s set
	run("ORSet.Add", func() { kept = s.Add(idA, "x") })
	run("ORSet.Add and Remove", func() { kept = s.Add(idA, "x"); kept = s.Remove("x") })

	var v crdt.Value
	ensured[*crdt.PNCounter](b, &v).Add(idA, 5)
	run("Ensure", func() { _, _ = crdt.Ensure[*crdt.PNCounter](kinds, &v) })
	run("Component", func() { _, _ = crdt.Component[*crdt.PNCounter](kinds, &v) })
	delta := new(crdt.PNCounter).Add(idA, 1)
	register := new(crdt.LWWRegister[string]).Set(at, "value")
	buf := make([]byte, 0, 256)
	run("Wrap and AppendBinary", func() {
		w, _ := crdt.Wrap(kinds, delta)
		buf, _ = w.AppendBinary(buf[:0])
	})
	run("Value.AppendBinary", func() { buf, _ = v.AppendBinary(buf[:0]) })
	run("PNCounter.AppendBinary", func() { buf, _ = delta.AppendBinary(buf[:0]) })
	run("LWWRegister.AppendBinary", func() { buf, _ = register.AppendBinary(buf[:0]) })
	data := encodedValue(b, &v)
	run("Decode", func() { kept, _ = kinds.Decode(data) })
	run("Fingerprint", func() { _, _, _ = v.Fingerprint(noHash) })
	run("Merge of a delta", func() { c.Merge(delta) })
}

func noHash(part []byte) (hi, lo uint64) { return uint64(len(part)), uint64(part[0]) }

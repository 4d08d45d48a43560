package crdt_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func TestTrap09_ORMapSiblingsAreOnlyConcurrentWrites(t *testing.T) {
	const clients = 5
	var server ormap
	server.Counter("other").Add(idA, 1)
	at := server.Map("m").MVRegister("v")
	var contexts [clients]*vclock.Context
	for i := range 200 {
		client := i % clients
		at.Put(idA, contexts[client], fmt.Sprint(i))
		contexts[client] = at.Context()
		assert.LessOrEqual(t, len(at.Values()), clients)
	}
	stale := at.Context()
	at.Put(idA, stale, "first")
	at.Put(idA, stale, "second")
	assert.Equal(t, []string{"first", "second"}, at.Values())
	at.Put(idA, at.Context(), "both seen")
	assert.Equal(t, []string{"both seen"}, at.Values())
	assert.EqualValues(t, 1, server.Counter("other").Value())
	server.CheckInvariants()
}

func TestTrap09_ORMapAContextReachesBeyondTheCoordinator(t *testing.T) {
	var read, coordinator ormap
	read.Counter("other").Add(idA, 1)
	read.MVRegister("v").Set(idA, "old")
	delta := coordinator.MVRegister("v").Put(idB, read.MVRegister("v").Context(), "new")
	third := read.Clone()
	coordinator.Merge(&read)
	third.Merge(delta)
	for _, m := range []*ormap{&coordinator, third} {
		assert.Equal(t, []string{"new"}, m.MVRegister("v").Values())
		assert.EqualValues(t, 1, m.Counter("other").Value())
	}
	assert.Equal(t, encoded(t, third), encoded(t, &coordinator))
}

// A context that is not of the register takes nothing away from what lives in other fields.
func TestORMapPutLeavesOtherFieldsAlone(t *testing.T) {
	var m, reader ormap
	m.MVRegister("v").Set(idA, "old")
	m.MVRegister("w").Set(idA, "kept")
	reader.Merge(&m)
	reader.Flag("up").Enable(idC)
	up := reader.Clone()
	delta := m.MVRegister("v").Put(idB, reader.Context(), "new")
	for _, x := range []*ormap{&m, &reader} {
		x.Merge(up)
		x.Merge(delta)
		assert.Equal(t, []string{"new"}, x.MVRegister("v").Values())
		assert.Equal(t, []string{"kept"}, x.MVRegister("w").Values())
		assert.True(t, x.Flag("up").Enabled(), "what has not come yet is not claimed either")
	}
}

// Nobody but r numbers events of r: see MVRegister.
func TestORMapPutDoesNotBelieveClaimsAboutItsOwnReplica(t *testing.T) {
	var m ormap
	m.MVRegister("v").Set(idA, "first")
	forged := new(vclock.Context)
	forged.AddSpan(vclock.Span{Replica: idA, Lo: 1, Hi: math.MaxUint64})
	delta := m.MVRegister("v").Put(idA, forged, "second")
	assert.Equal(t, []string{"second"}, m.MVRegister("v").Values())
	assert.EqualValues(t, 2, delta.Context().Max(idA))
	m.MVRegister("v").Put(idA, nil, "third")
	assert.Len(t, m.MVRegister("v").Values(), 2, "the register can still be written")
	assert.Zero(t, m.MVRegister("v").Put(vclock.ReplicaID{}, forged, "no writer").Context().Count())
}

// twin is a field of a map, and a register that gets the same writes by itself.
type twin struct {
	m ormap
	r crdt.MVRegister[string]
}

func (x *twin) field() crdt.MVField[string] { return x.m.Map("m").MVRegister("v") }

// A field shows what an MVRegister does once all has arrived, and nothing less before: a context of a field has no
// events of what was overwritten, so that goes when the overwriting is known.
func TestORMapPutIsThatOfAnMVRegister(t *testing.T) {
	ids := []vclock.ReplicaID{idA, idB, idC}
	for seed := range 300 {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		twins := []*twin{{}, {}, {}}
		type read struct{ field, register *vclock.Context }
		reads, late := []read{{}}, []*twin{{}}
		for i := range 60 {
			k := random.IntN(3)
			x, since := twins[k], reads[random.IntN(len(reads))]
			switch random.IntN(8) {
			case 0:
				d := late[random.IntN(len(late))]
				x.m.Merge(&d.m)
				x.r.Merge(&d.r)
			case 1:
				y := twins[random.IntN(3)]
				x.m.Merge(&y.m)
				x.r.Merge(&y.r)
			case 2:
				reads = append(reads, read{x.field().Context(), x.r.Context()})
			case 3:
				x.m.Map("m").Counter("v").Add(ids[k], 1)
			case 4:
				late = append(late, &twin{*x.m.Map("m").Remove("v"), *x.r.Reset()})
			case 5:
				late = append(late, &twin{*x.field().Set(ids[k], fmt.Sprint(i)), *x.r.Set(ids[k], fmt.Sprint(i))})
			default:
				late = append(late, &twin{*x.field().Put(ids[k], since.field, fmt.Sprint(i)),
					*x.r.Put(ids[k], since.register, fmt.Sprint(i))})
			}
			x.m.CheckInvariants()
			for _, v := range x.r.Values() {
				assert.Contains(t, x.field().Values(), v)
			}
		}
		all := new(twin)
		for _, x := range append(slices.Clone(twins), late...) {
			all.m.Merge(&x.m)
			all.r.Merge(&x.r)
		}
		assert.Equal(t, all.r.Values(), all.field().Values(), "seed %d", seed)
	}
}

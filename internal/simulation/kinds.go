package simulation

import (
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// component is one kind of value; a key may hold all of them.
type component uint8

const (
	gcounter component = iota
	pncounter
	bounded
	maxRegister
	minRegister
	lww
	mv
	gset
	twoPhase
	orset
	rwset
	lwwset
	ewflag
	dwflag
	lwwmap
	log
	ormap
	components = iota
)

func (c component) String() string { return datatypes[c].name }

// A datatype is all that the simulator knows of one type of package crdt.
type datatype struct {
	name   string
	weight int // how often it is chosen

	// What clients do, with the effect on the model, and what a reset takes away.
	// A kind without a reset only grows.
	change changer
	reset  func(s *store.Store, key string) ([]byte, error)
	undone func(l *ledger, live bitset) shadow

	// What a state with these live marks must show, and what it shows: "" where
	// there is nothing, as if it had never been written.
	specify func(l *ledger, live bitset) string
	read    reader

	// What is worth counting in a state with these marks, "" for nothing. May be nil.
	remark func(l *ledger, s shadow) string
}

// reader reads one component of a value.
type reader func(k *crdt.Kinds, v *crdt.Value, l *ledger) string

// datatypes is every one of them, by component. It is filled in by init, since what clients do
// comes back to it.
var datatypes [components]datatype

func init() {
	datatypes = [components]datatype{
		gcounter:    {"gcounter", 2, growCounter, reset[*crdt.GCounter], takeAway, specifySum, readGCounter, nil},
		pncounter:   {"pncounter", 2, changeCounter, reset[*crdt.PNCounter], takeAway, specifySum, readPNCounter, nil},
		bounded:     {"bounded", 4, changeBounded, nil, nil, specifyBounded, readBounded, remarkBounded},
		maxRegister: {"max", 1, raiseMax, nil, nil, specifyExtreme, readMax, nil},
		minRegister: {"min", 1, lowerMin, nil, nil, specifyExtreme, readMin, nil},
		lww:         {"lww", 2, setRegister, reset[*crdt.LWWRegister[string]], takeAway, specifyTexts, readLWW, nil},
		mv:          {"mv", 2, writeSiblings, reset[*crdt.MVRegister[string]], takeAway, specifyTexts, readMV, remarkSiblings},
		gset:        {"gset", 1, growSet, nil, nil, specifyTexts, readGSet, nil},
		twoPhase:    {"2pset", 2, changeTwoPhase, reset[*crdt.TwoPhaseSet[string]], removeForGood, specifyAdded, readTwoPhase, nil},
		orset:       {"orset", 2, changeSet, reset[*crdt.ORSet[string]], takeAway, specifyTexts, readORSet, nil},
		rwset:       {"rwset", 2, changeRWSet, reset[*crdt.RWSet[string]], takeAway, specifyUncontested, readRWSet, remarkContested},
		lwwset:      {"lwwset", 2, changeLWWSet, reset[*crdt.LWWSet[string]], takeAwayAdded, specifyAdded, readLWWSet, nil},
		ewflag:      {"ewflag", 1, changeEWFlag, reset[*crdt.EWFlag], takeAway, specifyEWFlag, readEWFlag, remarkSiblings},
		dwflag:      {"dwflag", 1, changeDWFlag, reset[*crdt.DWFlag], takeAway, specifyDWFlag, readDWFlag, remarkContested},
		lwwmap:      {"lwwmap", 2, changeLWWMap, reset[*crdt.LWWMap[string, string]], takeAwayAdded, specifyBindings, readLWWMap, nil},
		log:         {"log", 1, appendToLog, nil, nil, specifyLog, readLog, nil},
		ormap:       {"ormap", 8, changeMap, reset[*crdt.ORMap[string]], takeAway, specifyMap, readMap, remarkMap},
	}
}

func (c component) grows() bool { return datatypes[c].reset == nil }

func reset[P interface {
	crdt.State[P]
	Reset() P
}](s *store.Store, key string) ([]byte, error) {
	return encoded(store.Update(s, key, func(v P, _ store.Writer) P { return v.Reset() }))
}

// chooseKinds is what clients keep under one key: up to three kinds, or two where
// keys are to be small. One that only grows keeps its key from being deleted, so
// most keys have none.
func (r *run) chooseKinds() (chosen []component) {
	most := 3
	if r.plan.wide {
		most = 2
	}
	if r.clients.chance(0.4) && (!r.plan.collects || r.turns.chance(0.2)) {
		chosen = append(chosen, r.chooseKind(component.grows))
	}
	for n := max(1, r.clients.IntN(most+1)); len(chosen) < n; {
		chosen = append(chosen, r.chooseKind(func(c component) bool {
			return !c.grows() && !contains(chosen, c)
		}))
	}
	return chosen
}

// chooseKind draws one of the kinds that are fit, by weight.
func (r *run) chooseKind(fit func(c component) bool) component {
	var lots []component
	for c := range component(components) {
		for range datatypes[c].weight {
			if fit(c) {
				lots = append(lots, c)
			}
		}
	}
	return lots[r.clients.IntN(len(lots))]
}

func contains(list []component, c component) bool {
	for _, o := range list {
		if o == c {
			return true
		}
	}
	return false
}

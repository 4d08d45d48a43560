package crdt

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
)

// A Kind ties a type that implements [State] to the tag that stands for it in encoded values. Make one with
// [NewKind].
type Kind struct{ def *kindDef }

// kindDef is what a Kind knows of its type.
type kindDef struct {
	tag    uint64
	name   string
	typ    reflect.Type // the pointer type
	fresh  func() component
	blank  component // by whose type the kind is found
	own    bool      // a type of this package, and none that embeds one
	bottom []byte    // wire form of the zero value
	err    error     // why there is none
}

// firstFreeTag is the first of the tags that are not for this package.
const firstFreeTag = 64

// NewKind returns a kind for the type *S. The tag must never stand for another type in the same system; those
// below 64 are for this package, and [NewKinds] refuses them for any but its own kinds, see [Standard]. The name is
// for people.
//
//	crdt.NewKind[crdt.ORSet[int64]](64, "numbers")
func NewKind[S any, P interface {
	*S
	State[P]
}](tag uint64, name string) Kind {
	d := &kindDef{tag: tag, name: name, typ: reflect.TypeFor[P]()}
	d.own = d.typ.Elem().PkgPath() == reflect.TypeFor[Kind]().PkgPath()
	d.fresh = func() component {
		c := new(struct {
			boxed[P]
			state S
		})
		c.boxed = boxed[P]{def: d, state: P(&c.state)}
		return &c.boxed
	}
	d.blank = &boxed[P]{def: d}
	d.bottom, d.err = P(new(S)).AppendBinary(nil)
	return Kind{d}
}

// Tag is the tag that stands for the kind in encoded values.
func (k Kind) Tag() uint64 {
	if k.def == nil {
		return 0
	}
	return k.def.tag
}

// String is the name of the kind.
func (k Kind) String() string {
	if k.def == nil {
		return "none"
	}
	return k.def.name
}

// Kinds is the table of the kinds that a program can decode. It does not change and may be used concurrently.
// All replicas of a system should have one table: a value with a kind that is not in it is refused whole.
type Kinds struct {
	byTag  map[uint64]*kindDef
	own    [firstFreeTag]*kindDef // those of byTag that are of this package
	blanks []component            // one of each kind, in the order in which they were added
}

// NewKinds returns a table of kinds. It fails if a tag is 0, or is below 64 and not that of the same type in
// [Standard], or a tag or type appears twice, or a type cannot be encoded.
func NewKinds(kinds ...Kind) (*Kinds, error) { return new(Kinds).With(kinds...) }

// With returns a table that has further kinds besides those of k. It fails as [NewKinds] does.
func (k *Kinds) With(kinds ...Kind) (*Kinds, error) {
	all := &Kinds{byTag: make(map[uint64]*kindDef), blanks: slices.Clone(k.blanks)}
	all.own = k.own
	maps.Copy(all.byTag, k.byTag)
	for _, kind := range kinds {
		if kind.Tag() == 0 {
			return nil, fmt.Errorf("crdt: kind %v has no tag", kind)
		}
		if own := standard().byTag[kind.Tag()]; kind.Tag() < firstFreeTag && (own == nil || own.typ != kind.def.typ) {
			return nil, fmt.Errorf("crdt: kind %v has the tag %d, of those below %d that are reserved", kind, kind.Tag(),
				firstFreeTag)
		}
		if err := all.add(kind.def); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (k *Kinds) add(def *kindDef) error {
	if def.err != nil {
		return fmt.Errorf("crdt: kind %s: %w", def.name, def.err)
	}
	if other, ok := k.byTag[def.tag]; ok {
		return fmt.Errorf("crdt: kinds %s and %s have one tag, %d", other.name, def.name, def.tag)
	}
	for _, other := range k.byTag {
		if other.typ == def.typ {
			return fmt.Errorf("crdt: kinds %s and %s have one type, %v", other.name, def.name, def.typ)
		}
	}
	k.byTag[def.tag] = def
	if def.tag < firstFreeTag {
		k.own[def.tag] = def
	}
	k.blanks = append(k.blanks, def.blank)
	return nil
}

// has reports whether a kind is in the table, be it as one that was made apart from that.
func (k *Kinds) has(def *kindDef) bool {
	var mine *kindDef
	if def.tag < firstFreeTag {
		mine = k.own[def.tag]
	} else {
		mine = k.byTag[def.tag]
	}
	return mine == def || mine != nil && mine.typ == def.typ
}

// kindOf returns the kind that k has for the type P. It looks at one after the other, which takes less than a hash of
// the type does.
func kindOf[P State[P]](k *Kinds) (*kindDef, error) {
	for _, c := range k.blanks {
		if b, ok := c.(*boxed[P]); ok {
			return b.def, nil
		}
	}
	return nil, &UnknownKindError{Type: reflect.TypeFor[P]()}
}

// kindFor is kindOf for a type that is known as the program runs.
func (k *Kinds) kindFor(typ reflect.Type) (*kindDef, error) {
	for _, c := range k.blanks {
		if def := c.kind(); def.typ == typ {
			return def, nil
		}
	}
	return nil, &UnknownKindError{Type: typ}
}

// Standard returns the table of this package's kinds; elements, keys and values are strings, extremes int64:
//
//	1 GCounter               5 LWWRegister[string]    9 TwoPhaseSet[string]   13 DWFlag                    17 ORMap[string]
//	2 PNCounter              6 MVRegister[string]    10 RWSet[string]         14 LWWMap[string, string]    18 Expiry
//	3 GSet[string]           7 MaxRegister[int64]    11 LWWSet[string]        15 Log[string]
//	4 ORSet[string]          8 MinRegister[int64]    12 EWFlag                16 BoundedCounter
//
// Add your own by [Kinds.With].
func Standard() *Kinds { return standard() }

var standard = sync.OnceValue(func() *Kinds {
	all := &Kinds{byTag: make(map[uint64]*kindDef)}
	for _, kind := range [...]Kind{
		NewKind[GCounter](formGCounter.tag, formGCounter.name),
		NewKind[PNCounter](formPNCounter.tag, formPNCounter.name),
		NewKind[GSet[string]](formGSet.tag, formGSet.name),
		NewKind[ORSet[string]](formORSet.tag, formORSet.name),
		NewKind[LWWRegister[string]](formLWWRegister.tag, formLWWRegister.name),
		NewKind[MVRegister[string]](formMVRegister.tag, formMVRegister.name),
		NewKind[MaxRegister[int64]](formMaxRegister.tag, formMaxRegister.name),
		NewKind[MinRegister[int64]](formMinRegister.tag, formMinRegister.name),
		NewKind[TwoPhaseSet[string]](formTwoPhaseSet.tag, formTwoPhaseSet.name),
		NewKind[RWSet[string]](formRWSet.tag, formRWSet.name),
		NewKind[LWWSet[string]](formLWWSet.tag, formLWWSet.name),
		NewKind[EWFlag](formEWFlag.tag, formEWFlag.name),
		NewKind[DWFlag](formDWFlag.tag, formDWFlag.name),
		NewKind[LWWMap[string, string]](formLWWMap.tag, formLWWMap.name),
		NewKind[Log[string]](formLog.tag, formLog.name),
		NewKind[BoundedCounter](formBoundedCounter.tag, formBoundedCounter.name),
		NewKind[ORMap[string]](formORMap.tag, formORMap.name),
		NewKind[Expiry](formExpiry.tag, formExpiry.name),
	} {
		_ = all.add(kind.def) // cannot fail: tags and types differ
	}
	return all
})

// Join merges two encoded values, of which either may be empty. The result may be one of the arguments itself.
// It fails as [Kinds.Decode] does.
func (k *Kinds) Join(a, b []byte) ([]byte, error) {
	v, err := k.Decode(a)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(a, b) {
		return a, nil
	}
	w, err := k.Decode(b)
	if err != nil {
		return nil, err
	}
	switch {
	case len(b) == 0 || !v.Merge(w):
		return a, nil
	case len(a) == 0:
		return b, nil
	}
	return v.AppendBinary(nil)
}

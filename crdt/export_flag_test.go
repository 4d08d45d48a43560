package crdt

import "github.com/eventual-go/eventual/vclock"

func (f *dotFlag) parts() (parts []dotFlag) {
	for d := range dots(&f.seen) {
		var part dotFlag
		part.seen.Add(d)
		if _, lives := f.search(d); lives {
			part.live = append(part.live, d)
		}
		parts = append(parts, part)
	}
	return parts
}

func (f *EWFlag) Parts() (parts []*EWFlag) {
	for _, p := range f.on.parts() {
		parts = append(parts, &EWFlag{p})
	}
	return parts
}

func (f *DWFlag) Parts() (parts []*DWFlag) {
	for _, p := range f.off.parts() {
		parts = append(parts, &DWFlag{p})
	}
	return parts
}

// Living returns the dots in force.
func (f *EWFlag) Living() *vclock.Context { c := f.on.raisings(); return &c }

// Living returns the dots in force.
func (f *DWFlag) Living() *vclock.Context { c := f.off.raisings(); return &c }

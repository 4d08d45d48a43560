package crdt

import "github.com/eventual-go/eventual/vclock"

func (f *EWFlag) Parts() (parts []*EWFlag) {
	for _, p := range f.writes.Parts() {
		parts = append(parts, &EWFlag{*p})
	}
	return parts
}

func (f *DWFlag) Parts() (parts []*DWFlag) {
	for _, p := range f.writes.Parts() {
		parts = append(parts, &DWFlag{*p})
	}
	return parts
}

// Living returns the dots in force.
func (f *EWFlag) Living() *vclock.Context { return f.writes.living() }

// Living returns the dots in force.
func (f *DWFlag) Living() *vclock.Context { return f.writes.living() }

func (m *MVRegister[T]) living() *vclock.Context {
	c := m.overwritten()
	return &c
}

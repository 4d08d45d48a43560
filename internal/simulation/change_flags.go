package simulation

import (
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// An enable-wins flag is on while there is an enabling that no disabling has seen.

func changeEWFlag(r *run, n *node, l *ledger) (c change) {
	c.effect = removal(n.replica.live(l, ewflag))
	if r.clients.chance(0.4) {
		c.name = "ewflag disable"
		c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.EWFlag, _ store.Writer) *crdt.EWFlag {
			return v.Disable()
		}))
		return c
	}
	c.name = "ewflag enable"
	c.delta, c.err = mint(n, l, ewflag, func(v *crdt.EWFlag, by store.Writer) *crdt.EWFlag {
		return v.Enable(by.Replica)
	})
	c.effect.seen = c.effect.seen.with(l.add(mark{component: ewflag}))
	return c
}

func specifyEWFlag(_ *ledger, live bitset) string {
	if len(live) == 0 {
		return ""
	}
	return "on"
}

var readEWFlag = read(func(v *crdt.EWFlag, _ *ledger) string { return "on" })

// A disable-wins flag is on while there is an enabling and no disabling. Either is a
// mark of its own, and ends all marks that are known.

func changeDWFlag(r *run, n *node, l *ledger) change {
	write, m := (*crdt.DWFlag).Enable, mark{component: dwflag}
	c := change{name: "dwflag enable", effect: removal(n.replica.live(l, dwflag))}
	if m.removal = r.clients.chance(0.4); m.removal {
		c.name, write = "dwflag disable", (*crdt.DWFlag).Disable
	}
	c.delta, c.err = mint(n, l, dwflag, func(v *crdt.DWFlag, by store.Writer) *crdt.DWFlag {
		return write(v, by.Replica)
	})
	c.effect.seen = c.effect.seen.with(l.add(m))
	return c
}

func specifyDWFlag(l *ledger, live bitset) string {
	switch {
	case len(live) == 0:
		return ""
	case l.removed(live, ""):
		return "off"
	}
	return "on"
}

var readDWFlag = read(func(f *crdt.DWFlag, _ *ledger) string {
	if f.Value() {
		return "on"
	}
	return "off"
})

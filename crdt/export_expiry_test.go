package crdt

func (e *Expiry) Parts() []*Expiry { return []*Expiry{e.Clone()} }

package store

import "github.com/eventual-go/eventual/internal/planted"

// persist writes down who the store is and where it stands, and waits until that is durable.
func (s *Store) persist(a *era, more ...Op) error {
	if s.disk == nil {
		return nil
	}
	if err := s.coverClock(); err != nil {
		return err
	}
	ops := append(more, Op{OpSet, []byte{spaceHead}, s.head(a).encode()})
	switch before := s.era.Load(); {
	case before != nil && before.promised == a.promised:
	case a.promised != nil:
		ops = append(ops, Op{OpSet, []byte{spacePromise}, a.promised.encoded})
	default:
		ops = append(ops, Op{Kind: OpDelete, Key: []byte{spacePromise}})
	}
	return s.force(ops...)
}

func (s *Store) head(a *era) *head {
	return &head{
		base:      a.base,
		named:     s.named,
		writer:    a.writer,
		writers:   s.writers,
		rotation:  a.rotation,
		place:     s.disk.place,
		check:     s.index.checked(),
		at:        a.at,
		tenure:    a.tenure,
		turning:   a.arrivals != nil && planted.Bug != planted.SettleNotResumed,
		inherited: a.heirs,
	}
}

// chainOps are the steps from one chain of records to another.
func chainOps(before, after []*record) (ops []Op) {
	kept := make(map[*record]bool)
	for _, r := range after {
		kept[r] = true
	}
	had := make(map[*record]bool)
	for _, r := range before {
		if had[r] = true; !kept[r] {
			ops = append(ops, Op{Kind: OpDelete, Key: recordKey(r.at.number)})
		}
	}
	for _, r := range after {
		if !had[r] {
			ops = append(ops, Op{OpSet, recordKey(r.at.number), r.encoded})
		}
	}
	return ops
}

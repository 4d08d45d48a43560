package store

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/eventual-go/eventual/crdt"
)

// This file reads what a store has on disk.

func (s *Store) readHead() (*head, error) {
	b, err := s.disk.backend.Get([]byte{spaceHead})
	if err != nil || b == nil {
		return nil, err
	}
	return decodeHead(b)
}

// readEra returns where the store stands, by its head and the records that are kept.
func (s *Store) readEra(h *head) (*era, error) {
	a := &era{at: h.at, tenure: h.tenure, base: h.base, rotation: h.rotation, writer: h.writer, heirs: h.inherited}
	err := s.disk.backend.Scan([]byte{spaceRecord}, nil, func(_, value []byte) error {
		r, err := decodeRecord(value)
		if err == nil && len(a.chain) > 0 && !r.on(a.chain[len(a.chain)-1].at) {
			err = &crdt.CorruptError{Kind: formRecord, Reason: "does not follow the one before"}
		}
		a.chain = append(a.chain, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if n := len(a.chain); n > 0 && a.chain[n-1].at != a.at {
		return nil, &crdt.CorruptError{Kind: formRecord, Reason: "does not lead to where the store is"}
	}
	promised, err := s.disk.backend.Get([]byte{spacePromise})
	if err != nil {
		return nil, err
	}
	if promised != nil {
		if a.promised, err = decodeRecord(promised); err != nil {
			return nil, err
		}
	}
	if n := len(a.chain); h.turning && n > 0 {
		a.arrivals = &arrivals{record: a.chain[n-1]}
	}
	return a, nil
}

func (s *Store) readClock() error {
	b, err := s.disk.backend.Get([]byte{spaceClock})
	if err != nil || b == nil {
		return err
	}
	if len(b) != 8 {
		return &crdt.CorruptError{Kind: formHead, Reason: "no moment"}
	}
	wall := int64(binary.BigEndian.Uint64(b))
	s.clock.Floor(floorOf(wall))
	s.disk.floor.Store(wall)
	return nil
}

// dropTenures takes away what there is of earlier tenures: the store was emptied since.
func (s *Store) dropTenures(present uint32) error {
	found := errors.New("found")
	for _, space := range []byte{spaceValue, spaceRow} {
		for from := uint32(0); from < present; {
			tenure := present // also of a key that is none
			err := s.disk.backend.Scan([]byte{space}, binary.BigEndian.AppendUint32(nil, from), func(key, _ []byte) error {
				if len(key) >= tenurePrefix {
					tenure = binary.BigEndian.Uint32(key[1:])
				}
				return found
			})
			if err == nil || err == found && tenure >= present {
				break
			}
			if err != found {
				return err
			}
			if err := s.dropTenure(space, tenure); err != nil {
				return err
			}
			from = tenure + 1
		}
	}
	return nil
}

func (s *Store) dropTenure(space byte, tenure uint32) error {
	_, err := s.write(&batch{ops: []Op{{Kind: OpDeletePrefix, Key: appendKey(nil, space, tenure, "")}}}, false)
	return err
}

// readRows has an entry for each key on disk. Where rows cannot be read, the others that follow may not be found either:
// all of them are made again from the values.
func (s *Store) readRows(tenure uint32) error {
	now, tree := s.now(), s.index.tree
	var states filling
	err := s.disk.backend.Scan(appendKey(nil, spaceRow, tenure, ""), nil, func(key, value []byte) error {
		r, ok := decodeRow(value)
		if !ok {
			s.index.doubt.Store(true) // the row is made again from the value
		}
		e := s.table.restore(string(key[tenurePrefix:]), &r, now)
		e.tenure = tenure
		s.deadlines.set(e.key, r.deadline)
		if !r.fingerprint.IsZero() {
			states.add(tree.Hasher(), e, r.fingerprint)
		}
		return nil
	})
	states.pour(tree)
	if errors.Is(err, ErrDamaged) {
		s.index.doubt.Store(true)
		return nil
	}
	return err
}

// restore adds the entry of a key that is on disk.
func (t *table) restore(key string, r *row, now time.Time) *entry {
	sh := t.shardOf(key)
	e := sh.insert(key)
	e.written, e.cold = true, true
	e.rotation, e.writer = r.rotation, r.writer
	e.deadline.Store(r.deadline)
	if r.live {
		e.live.Store(true)
		t.live.Add(1)
	} else {
		sh.bury(e, now)
	}
	return e
}

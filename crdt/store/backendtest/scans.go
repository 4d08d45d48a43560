package backendtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

func testScan(r *rig) {
	b, _ := r.fresh()
	for _, key := range []string{"b", "a2", "a", "a1", "a\xff", "a10", "\xff1", "\xff", "a\x00"} {
		r.write(b, set(key, "."))
	}
	for _, c := range []struct {
		prefix, from string
		want         []string
	}{
		{"", "", []string{"a", "a\x00", "a1", "a10", "a2", "a\xff", "b", "\xff", "\xff1"}},
		{"a", "", []string{"a", "a\x00", "a1", "a10", "a2", "a\xff"}},
		{"a", "1", []string{"a1", "a10", "a2", "a\xff"}},
		{"a", "11", []string{"a2", "a\xff"}},
		{"a", "\xff\x00", nil},
		{"a1", "0", []string{"a10"}},
		{"\xff", "", []string{"\xff", "\xff1"}},
		{"\xff", "2", nil},
		{"c", "", nil},
		{"", "b", []string{"b", "\xff", "\xff1"}},
	} {
		var keys []string
		for _, found := range r.all(b, c.prefix, c.from) {
			keys = append(keys, found[:len(found)-2])
		}
		require.Equal(r, c.want, keys, "prefix %q from %q", c.prefix, c.from)
	}
	r.close(b)
}

func testScanEnds(r *rig) {
	b, _ := r.fresh()
	r.apply(b, set("a", "1"), set("b", "2"), set("c", "3"))
	ended, visits := errors.New("ended"), 0
	err := b.Scan(nil, nil, func([]byte, []byte) error {
		if visits++; visits == 2 {
			return ended
		}
		return nil
	})
	require.True(r, err == ended, "the error of visit is returned as it is, not %v", err)
	require.Equal(r, 2, visits)
	require.Len(r, r.all(b, "", ""), 3)
	r.close(b)
}

// A scan is of the moment when it began, and visit may do with the backend what it likes.
func testScanOfOneMoment(r *rig) {
	b, _ := r.fresh()
	r.apply(b, set("a", "1"), set("c", "3"), set("d", "4"), join("j", delta("a", 1, "one")))
	var found []string
	err := b.Scan(nil, nil, func(key, value []byte) error {
		if len(found) == 0 {
			r.apply(b, set("b", "new"), del("c"), set("d", "new"), join("j", delta("b", 1, "two")))
			require.Equal(r, "new", r.get(b, "d"))
			require.Len(r, r.all(b, "", ""), 4)
		}
		found = append(found, string(key)+"="+string(value))
		return nil
	})
	require.NoError(r, err)
	require.Equal(r, []string{"a=1", "c=3", "d=4", "j=" + string(delta("a", 1, "one"))}, found)
	r.close(b)
}

// Writers write pairs, each in one Apply, and readers never see one half. What is joined by many is joined by all.
func testConcurrent(r *rig) {
	const writers, writes = 4, 50
	b, place := r.fresh()
	failed := make([]error, 2*writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() { failed[w] = writePairs(b, w, writes) })
		all.Go(func() { failed[writers+w] = readPairs(b, writes) })
	}
	all.Wait()
	require.NoError(r, errors.Join(failed...))
	r.close(b)
	b = r.open(place)
	for w := range writers {
		require.Equal(r, fmt.Sprint(writes-1), r.get(b, fmt.Sprint("x", w)))
	}
	var operands [][]byte
	for w := range writers {
		for i := range writes {
			operands = append(operands, delta(fmt.Sprint(w), uint64(i+1), fmt.Sprint(i)))
		}
	}
	require.Equal(r, string(store.Joined(standard, operands...)), r.get(b, "j"))
	r.close(b)
}

func writePairs(b store.Backend, w, writes int) error {
	for i := range writes {
		n := fmt.Sprint(i)
		c, err := b.Apply([]store.Op{set(fmt.Sprint("x", w), n), join("j", delta(fmt.Sprint(w), uint64(i+1), n)),
			set(fmt.Sprint("y", w), n)}, i%8 == 0)
		if err == nil && c != nil {
			err = c.Wait()
		}
		if err != nil {
			return err
		}
		if got, err := b.Get([]byte(fmt.Sprint("y", w))); err != nil || string(got) != n {
			return fmt.Errorf("after %s was set, it is %q (%v)", n, got, err)
		}
	}
	return nil
}

func readPairs(b store.Backend, reads int) error {
	for range reads {
		var x, y []string
		err := b.Scan(nil, nil, func(key, value []byte) error {
			switch key[0] {
			case 'x':
				x = append(x, string(value))
			case 'y':
				y = append(y, string(value))
			}
			return nil
		})
		if err != nil || !slices.Equal(x, y) {
			return fmt.Errorf("half of what was applied in one step is seen: %v and %v (%v)", x, y, err)
		}
	}
	return nil
}

package crdt_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program that knows nothing but WIRE.md reads every vector, and understands it, or refuses it.
func TestGoldenVectorsAreReadByTheSpecification(t *testing.T) {
	for file, vectors := range goldenFiles(t) {
		for _, v := range vectors {
			t.Run(file+"/"+v.name, func(t *testing.T) { v.checkPlain(t) })
		}
	}
}

func (v vector) checkPlain(t *testing.T) {
	b, err := hex.DecodeString(v.hex)
	require.NoError(t, err)
	m, err := readPlain(v.typ, b)
	if v.fail != "" {
		require.Error(t, err, "must be refused: %s", v.fail)
		return
	}
	require.NoError(t, err)
	if !silent[goldenFile(v.typ)] {
		assert.Equal(t, v.says, m.says)
	}
	value, err := json.Marshal(m.value)
	require.NoError(t, err)
	assert.Equal(t, exactly(t, []byte(v.json)), exactly(t, value))
}

// silent are the files whose vectors were published before vectors said what they mean.
var silent = map[string]bool{
	"contexts": true, "gcounter": true, "gset": true, "lwwregister": true, "mvregister": true, "orset": true,
	"pncounter": true, "value": true,
}

// exactly is what a JSON text holds, with numbers of any size as they are.
func exactly(t *testing.T, text []byte) (value any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&value))
	return value
}

// Of vectors with a byte changed, left out or put in, both readers take and refuse the same.
func TestGoldenVectorsDamaged(t *testing.T) {
	taken, refused := 0, 0
	for _, vectors := range goldenFiles(t) {
		for _, v := range vectors {
			b, err := hex.DecodeString(v.hex)
			require.NoError(t, err)
			for damaged := range damages(b) {
				if agree(t, v.typ, damaged) {
					taken++
				} else {
					refused++
				}
			}
		}
	}
	t.Logf("%d taken, %d refused", taken, refused)
}

// agree demands that both readers take b, as the same value, or that both refuse it. It reports which.
func agree(t *testing.T, typ string, b []byte) (taken bool) {
	again, text, err := goldenTypes[typ](b)
	m, plainErr := readPlain(typ, b)
	if refused := again == nil && err != nil; refused != (plainErr != nil) {
		t.Fatalf("%s %x: %v, but by the specification: %v", typ, b, err, plainErr)
	}
	if plainErr != nil {
		return false
	}
	if !bytes.Equal(b, again) {
		t.Fatalf("%s %x came back as %x", typ, b, again)
	}
	if typ == "Value" || typ == "Contexts" {
		return true // how they are shown is not part of the form
	}
	if value, plainErr := json.Marshal(m.value); err == nil && plainErr == nil {
		assert.Equal(t, exactly(t, text), exactly(t, value), "%s %x", typ, b)
	}
	return true
}

// A claim of a gigabyte costs nothing, wherever in a state it stands.
func TestTrap31_ClaimsAnywhereCostNothing(t *testing.T) {
	claims := [][]byte{{0xdd, 0x40, 0, 0, 0}, {0xc6, 0x40, 0, 0, 0}, {0xdb, 0x40, 0, 0, 0}} // array, binary, text
	for _, vectors := range goldenFiles(t) {
		for _, v := range vectors {
			b, _ := hex.DecodeString(v.hex)
			for _, at := range startsOf(b) {
				for _, claim := range claims {
					input := slices.Concat(b[:at], claim, b[at:])
					if n := allocated(func() { goldenTypes[v.typ](input) }); n > 1<<20 {
						t.Errorf("%s %x costs %d bytes", v.typ, input, n)
					}
				}
			}
		}
	}
}

// startsOf returns where in b values start, as far as it can be read.
func startsOf(b []byte) (starts []int) {
	m := &msgpack{b: b}
	defer func() {
		_ = recover()
		starts = m.starts
	}()
	m.value(16)
	return nil
}

// damages yields what b becomes by damage to one byte.
func damages(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range b {
			for bit := range 8 {
				c := bytes.Clone(b)
				c[i] ^= 1 << bit
				if !yield(c) {
					return
				}
			}
			for _, c := range [][]byte{slices.Delete(bytes.Clone(b), i, i+1), slices.Insert(bytes.Clone(b), i, 0), slices.Insert(bytes.Clone(b), i, b[i])} {
				if !yield(c) {
					return
				}
			}
		}
	}
}

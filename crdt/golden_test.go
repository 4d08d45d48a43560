package crdt_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
)

// Golden vectors are the wire form as other programs see it: see WIRE.md. Each is a block of lines
//
//	name: what it is, in words
//	type: what it is a state of
//	hex:  the bytes
//	json: the value for people
//	says: what the state says, in the words of the reader in golden_bodies_test.go
//	fail: why the bytes must be refused, in place of both
//	sum:  a checksum over this block and all before it
//
// Vectors are appended, never edited: the sums of one file are a chain, and seals pin its links.

// appendGolden writes vectors that are in golden_states_test.go and not yet in testdata.
var appendGolden = flag.Bool("golden.append", false, "append new golden vectors")

// A seal pins the vectors of a file that have been published.
type seal struct {
	file    string
	vectors int
	sum     string // of the last of them
}

// seals are appended too, one whenever vectors were.
var seals = []seal{
	{"contexts", 4, "39bc8add468cb9a6b8632a39a0d36651"},
	{"gcounter", 23, "6cc6fac1b8e511366bb14eaf6630e591"},
	{"gset", 11, "73274197c9aec5262e3fbd396e27ba64"},
	{"lwwregister", 11, "afeeea74d34303ea5b63059c8d71cac5"},
	{"mvregister", 12, "c36a20bb95c6532039ef3c8e7aa35515"},
	{"orset", 19, "16c18ac33c50e35e47452786f51318e3"},
	{"pncounter", 8, "1b8c693c66dc04d822ade071f80ae457"},
	{"value", 8, "37c64606655d34be7f23f7a76931d9ab"},
	{"boundedcounter", 18, "7bdee2636d514253e7ff88e819d6dada"},
	{"contexts", 5, "836ecf0c370f421957f9e0c0a64171e8"},
	{"dwflag", 11, "b712e89872ea303a6a8695cc31578b9b"},
	{"ewflag", 13, "ce7831dda9d17864bd6c3e0c9f51861e"},
	{"log", 15, "c8c1eac0d25fb1b043523ebf8981c731"},
	{"lwwmap", 14, "55ca62629ed9462e2db79fcad4fcf38f"},
	{"lwwset", 15, "948247d2952b8632266737ae7c7b8994"},
	{"maxregister", 19, "aad4234bf5b0ebf460bb7af6fe414b1c"},
	{"minregister", 11, "d6efc13f73babc07fc8f2a0956176380"},
	{"ormap", 32, "35086f3ab9d758431a1525d1934a3cbb"},
	{"rwset", 18, "807885d30fd0785fef70bfd1b469a786"},
	{"twophaseset", 9, "3a14e11248f333ffc774b03c8f64e0ce"},
	{"value", 9, "ba5235c6b8c723b8c72b45ae87192465"},
	{"expiry", 10, "85213a1f551e6f998b477eb27d0a9faf"},
	{"value", 10, "d79ab6dc82e843eeb122c0efda0a86d8"},
}

// vector is one block of a file.
type vector struct {
	name, typ, hex, json, says, fail, sum string
}

// goldenType decodes bytes as one type, and returns the bytes and the JSON that come back.
type goldenType func(b []byte) (again, text []byte, err error)

func goldenOf[S any, P interface {
	*S
	crdt.State[P]
	json.Marshaler
}](b []byte) (again, text []byte, err error) {
	s := P(new(S))
	if err := s.UnmarshalBinary(b); err != nil {
		return nil, nil, err
	}
	again, err = s.AppendBinary(nil)
	text, jsonErr := s.MarshalJSON()
	return again, text, errors.Join(err, jsonErr)
}

var goldenTypes = map[string]goldenType{
	"GCounter":              goldenOf[crdt.GCounter],
	"PNCounter":             goldenOf[crdt.PNCounter],
	"GSet of string":        goldenOf[crdt.GSet[string]],
	"GSet of int64":         goldenOf[crdt.GSet[int64]],
	"GSet of 4 bytes":       goldenOf[crdt.GSet[[4]byte]],
	"ORSet of string":       goldenOf[crdt.ORSet[string]],
	"ORSet of uint16":       goldenOf[crdt.ORSet[uint16]],
	"LWWRegister of string": goldenOf[crdt.LWWRegister[string]],
	"LWWRegister of float":  goldenOf[crdt.LWWRegister[float64]],
	"LWWRegister of bool":   goldenOf[crdt.LWWRegister[bool]],
	"MVRegister of string":  goldenOf[crdt.MVRegister[string]],
	"MVRegister of bytes":   goldenOf[crdt.MVRegister[[]byte]],

	"MaxRegister of int64":       goldenOf[crdt.MaxRegister[int64]],
	"MaxRegister of string":      goldenOf[crdt.MaxRegister[string]],
	"MaxRegister of float":       goldenOf[crdt.MaxRegister[float64]],
	"MinRegister of int64":       goldenOf[crdt.MinRegister[int64]],
	"MinRegister of bytes":       goldenOf[crdt.MinRegister[[]byte]],
	"TwoPhaseSet of string":      goldenOf[crdt.TwoPhaseSet[string]],
	"TwoPhaseSet of int64":       goldenOf[crdt.TwoPhaseSet[int64]],
	"RWSet of string":            goldenOf[crdt.RWSet[string]],
	"RWSet of uint16":            goldenOf[crdt.RWSet[uint16]],
	"LWWSet of string":           goldenOf[crdt.LWWSet[string]],
	"LWWSet of 4 bytes":          goldenOf[crdt.LWWSet[[4]byte]],
	"EWFlag":                     goldenOf[crdt.EWFlag],
	"DWFlag":                     goldenOf[crdt.DWFlag],
	"LWWMap of string to string": goldenOf[crdt.LWWMap[string, string]],
	"LWWMap of int64 to bytes":   goldenOf[crdt.LWWMap[int64, []byte]],
	"Log of string":              goldenOf[crdt.Log[string]],
	"Log of int64":               goldenOf[crdt.Log[int64]],
	"BoundedCounter":             goldenOf[crdt.BoundedCounter],
	"ORMap of string":            goldenOf[crdt.ORMap[string]],
	"ORMap of int8":              goldenOf[crdt.ORMap[int8]],
	"Expiry":                     goldenOf[crdt.Expiry],

	"Value": func(b []byte) (again, text []byte, err error) {
		v, err := crdt.Standard().Decode(b)
		if err != nil {
			return nil, nil, err
		}
		again, err = v.AppendBinary(nil)
		text, jsonErr := v.MarshalJSON()
		return again, text, errors.Join(err, jsonErr)
	},
	"Contexts": func(b []byte) (again, text []byte, err error) {
		var c crdt.Contexts
		if err := c.UnmarshalBinary(b); err != nil {
			return nil, nil, err
		}
		again, err = c.AppendBinary(nil)
		text, jsonErr := c.MarshalJSON()
		return again, text, errors.Join(err, jsonErr)
	},
}

// goldenFile is the file that vectors of a type are in.
func goldenFile(typ string) string {
	return strings.ToLower(strings.Fields(typ)[0])
}

// body is the block without its sum.
func (v vector) body() string {
	last := "json: " + v.json
	switch {
	case v.fail != "":
		last = "fail: " + v.fail
	case v.says != "":
		last += "\nsays: " + v.says
	}
	return fmt.Sprintf("name: %s\ntype: %s\nhex:  %s\n%s\n", v.name, v.typ, v.hex, last)
}

// link is the sum of a block that comes after one with the sum before.
func (v vector) link(before string) string {
	sum := sha256.Sum256([]byte(before + "\n" + v.body()))
	return hex.EncodeToString(sum[:16])
}

func readGolden(t *testing.T, file string) (vectors []vector) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file+".golden"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	var v vector
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "name":
			v = vector{name: value}
		case "type":
			v.typ = value
		case "hex":
			v.hex = strings.TrimSpace(value)
		case "json":
			v.json = value
		case "says":
			v.says = value
		case "fail":
			v.fail = value
		case "sum":
			v.sum = strings.TrimSpace(value)
			vectors = append(vectors, v)
		default:
			require.Empty(t, lines.Text(), "unknown line in %s", file)
		}
	}
	require.NoError(t, lines.Err())
	return vectors
}

func goldenFiles(t *testing.T) map[string][]vector {
	files := make(map[string][]vector)
	for typ := range goldenTypes {
		files[goldenFile(typ)] = readGolden(t, goldenFile(typ))
	}
	return files
}

// Every vector decodes, comes back as the same bytes and shows the same value, or is refused for its reason.
func TestGoldenVectors(t *testing.T) {
	for file, vectors := range goldenFiles(t) {
		assert.NotEmpty(t, vectors, file)
		for _, v := range vectors {
			t.Run(file+"/"+v.name, func(t *testing.T) { v.check(t) })
		}
	}
}

func (v vector) check(t *testing.T) {
	b, err := hex.DecodeString(v.hex)
	require.NoError(t, err)
	decode, known := goldenTypes[v.typ]
	require.True(t, known, v.typ)
	again, text, err := decode(b)
	if v.fail != "" {
		require.Error(t, err)
		assert.Contains(t, err.Error(), v.fail)
		return
	}
	require.NoError(t, err)
	assert.Equal(t, v.hex, hex.EncodeToString(again))
	assert.JSONEq(t, v.json, string(text))
}

// No line that is there was edited, no block taken out, moved or put in between.
func TestGoldenVectorsAreOnlyAppended(t *testing.T) {
	for file, vectors := range goldenFiles(t) {
		sums := []string{""}
		for i, v := range vectors {
			sums = append(sums, v.link(sums[i]))
			assert.Equal(t, sums[i+1], v.sum, "%s was edited at %q or before", file, v.name)
		}
		last := 0
		for _, s := range seals {
			if s.file != file {
				continue
			}
			require.Less(t, s.vectors, len(sums), "vectors of %s are missing", file)
			assert.Equal(t, s.sum, sums[s.vectors], "%s was edited before its vector %d", file, s.vectors)
			last = s.vectors
		}
		assert.Equal(t, len(vectors), last, "append the seal {%q, %d, %q}", file, len(vectors), sums[len(vectors)])
	}
}

// The states that the vectors were made from are still encoded as they were.
func TestGoldenStates(t *testing.T) {
	files := goldenFiles(t)
	have := make(map[string]vector)
	for file, vectors := range files {
		for _, v := range vectors {
			require.NotContains(t, have, file+"/"+v.name, "two vectors with one name")
			have[file+"/"+v.name] = v
		}
	}
	for _, v := range goldenStates(t) {
		file := goldenFile(v.typ)
		old, found := have[file+"/"+v.name]
		if found {
			v.sum = old.sum
			assert.Equal(t, old, v)
			continue
		}
		if !*appendGolden {
			t.Errorf("%s lacks %q: run with -golden.append", file, v.name)
			continue
		}
		v.check(t)
		if n := len(files[file]); n > 0 {
			v.sum = v.link(files[file][n-1].sum)
		} else {
			v.sum = v.link("")
		}
		files[file] = append(files[file], v)
		appendVector(t, file, v)
	}
}

func appendVector(t *testing.T, file string, v vector) {
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	f, err := os.OpenFile(filepath.Join("testdata", file+".golden"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = f.WriteString(v.body() + "sum:  " + v.sum + "\n\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

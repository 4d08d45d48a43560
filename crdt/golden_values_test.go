package crdt_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// plainType is a type of elements or values.
type plainType string

// of reads one: a string, int64, float64, bool, or []byte.
func (t plainType) of(q *items) any {
	switch t {
	case "string":
		return q.text()
	case "int8", "uint16", "int64":
		n := q.int()
		limits := map[plainType][2]int64{"int8": {-128, 127}, "uint16": {0, 65535}, "int64": {math.MinInt64, math.MaxInt64}}[t]
		demand(limits[0] <= n && n <= limits[1], "integer out of range")
		return n
	case "bool":
		v, ok := q.next().(bool)
		demand(ok, "no bool")
		return v
	case "float":
		v, ok := q.next().(float64)
		demand(ok, "no float")
		return v
	}
	b, ok := q.next().([]byte)
	demand(ok && (t == "bytes" || t == "4 bytes" && len(b) == 4), "no such binary")
	return b
}

// later reads one that must come after the one before.
func (t plainType) later(q *items, before any) any {
	v := t.of(q)
	demand(before == nil || compare(before, v) < 0, "out of order")
	return v
}

func compare(a, b any) int {
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		return cmp.Compare(a, b.(int64))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case float64:
		return compareFloats(a, b.(float64))
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) // false, true
}

// compareFloats puts NaN last and -0 before 0.
func compareFloats(a, b float64) int {
	switch {
	case a != a && b != b:
		return 0
	case a != a:
		return 1
	case b != b:
		return -1
	case a == 0 && b == 0:
		return cmp.Compare(1/a, 1/b)
	}
	return cmp.Compare(a, b)
}

// show prints an element or value.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []byte:
		return "x" + strconv.Quote(hex.EncodeToString(v))
	}
	return fmt.Sprint(v)
}

// plain is an element or value as it goes into JSON.
func (t plainType) plain(v any) any {
	if b, ok := v.([]byte); ok && t != "bytes" {
		numbers := make([]int, len(b))
		for i := range b {
			numbers[i] = int(b[i])
		}
		return numbers
	}
	return v
}

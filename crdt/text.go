package crdt

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// textOf writes v for people, as package json does. Floats that are no numbers, for which JSON has no word, become the
// texts "NaN", "+Inf" and "-Inf", so that one of them does not stand in the way of everything else.
func textOf[T any](v T) ([]byte, error) {
	text, err := json.Marshal(v)
	if err == nil {
		return text, nil
	}
	_, unsupported := err.(*json.UnsupportedValueError) // one that a type's own method returns comes wrapped
	if f := reflect.ValueOf(v); unsupported && f.CanFloat() {
		return json.Marshal(strconv.FormatFloat(f.Float(), 'g', -1, 64))
	}
	return nil, fmt.Errorf("crdt: type %v as JSON: %w", reflect.TypeFor[T](), err)
}

// marshalArray writes one value at a time, so that bytes are numbers in an array and not text.
func marshalArray[T any](items []T) ([]byte, error) {
	b := []byte{'['}
	for i, item := range items {
		text, err := textOf(item)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, text...)
	}
	return append(b, ']'), nil
}

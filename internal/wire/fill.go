package wire

import "slices"

// What is not known before it is written can be filled in: a head is begun with as many bytes as it mostly takes, and
// ended when its contents are there. They move where it takes more.

// BeginBytes begins a binary. What is appended to the result from then on is its contents; [EndBytes] must be told where
// they begin, which is the length of the result.
func BeginBytes(b []byte) []byte { return append(b, bin8, 0) }

// EndBytes ends a binary whose contents are b[at:].
func EndBytes(b []byte, at int) []byte {
	var room [5]byte
	const begun = 2
	head := appendBinary(room[:0], len(b)-at)
	b = slices.Insert(b, at, head[begun:]...)
	copy(b[at-begun:], head)
	return b
}

// BeginArray begins an array. What is appended to the result from then on is its items; [EndArray] must be told where
// they begin, which is the length of the result.
func BeginArray(b []byte) []byte { return append(b, fixArray) }

// EndArray ends an array of n items, which are in b[at:].
func EndArray(b []byte, at, n int) []byte {
	const begun = 1
	if n < 16 {
		b[at-begun] = fixArray | byte(n)
		return b
	}
	w := NewWriter(make([]byte, 0, 5))
	w.Array(n)
	head := w.Done()
	b = slices.Insert(b, at, head[begun:]...)
	copy(b[at-begun:], head)
	return b
}

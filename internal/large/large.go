// Package large says from when on what a key holds counts as large. It is large for all purposes at once: the index
// then follows its changes part by part, and a reconciliation sends what the peer lacks of it in place of the whole.
//
// The numbers are variables for the simulator alone, whose values are small: it sets them before anything runs. Nothing
// else may write to them.
package large

var (
	// Parts is from how many parts on a collection is large: hashing few costs less than following each change.
	Parts = 64

	// Seen is how many bytes for each part of a large collection may say what was seen of it. A part takes eight bytes
	// or more, so four times as many are saved at least.
	Seen = 2
)

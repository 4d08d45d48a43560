// Package wire is the one place where eventual turns values into bytes and back.
//
// The bytes are msgpack, written and read by the msgpack v5 library, held to a
// canonical subset: arrays, integers, booleans, nil, 64-bit floats, strings and
// binaries, each in its shortest form. No maps, no extensions. Equal values
// therefore have equal bytes on every platform, which is what lets an index hash
// them.
//
// The library alone cannot face a peer: a five-byte header may ask for gigabytes
// and deep nesting overflows the stack. So nothing is decoded before [Check] has
// passed over the raw bytes: every count is at most the bytes left, the depth at
// most [MaxDepth], and there is exactly one value. After that a decoder may
// allocate by the counts it reads, and costs at most a constant times its input.
//
// A [Writer] and a [Reader] are for one goroutine at a time.
package wire

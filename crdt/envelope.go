package crdt

import (
	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// form is the envelope of one type's wire form: an array of type tag, format version and body.
type form struct {
	name string
	tag  uint64
}

// version is the format version of every type so far.
const version = 1

// Other types have theirs beside them, up to 18; 63 is that of [Contexts].
var (
	formGCounter    = form{"gcounter", 1}
	formPNCounter   = form{"pncounter", 2}
	formGSet        = form{"gset", 3}
	formORSet       = form{"orset", 4}
	formLWWRegister = form{"lwwregister", 5}
	formMVRegister  = form{"mvregister", 6}
)

// begin starts the envelope of a state whose body has n values.
func (f form) begin(dst []byte, n int) *wire.Writer {
	w := wire.NewWriter(dst)
	w.Array(2 + n)
	w.Uint(f.tag)
	w.Uint(version)
	return w
}

// open checks the envelope and returns a reader at the body, and the number of values in it.
func (f form) open(b []byte) (r *wire.Reader, n int, err error) {
	r, err = wire.NewReader(b)
	if err != nil {
		if v := f.peek(b); v > version {
			return nil, 0, &VersionError{Kind: f.name, Version: v, Supported: version}
		}
		return nil, 0, corrupt(f.name, err)
	}
	n = r.Array()
	tag, v := r.Uint(), r.Uint()
	switch {
	case r.Err() != nil:
		return nil, 0, corrupt(f.name, r.Err())
	case tag != f.tag:
		return nil, 0, &MismatchError{Kind: f.name, Tag: tag}
	case v > version:
		return nil, 0, &VersionError{Kind: f.name, Version: v, Supported: version}
	case v < version:
		r.Fail("format version 0")
	}
	return r, n - 2, nil
}

// peek returns the version of a state of this type whose body is of no known form: a later version may use more
// of msgpack than this one accepts. It is 0 where b does not begin like a state.
func (f form) peek(b []byte) uint64 {
	if len(b) < 3 || b[0] < 0x92 || b[0] > 0x9f || uint64(b[1]) != f.tag || b[2] > 0x7f {
		return 0
	}
	return uint64(b[2])
}

// openOf is open for a body of exactly n values.
func (f form) openOf(b []byte, n int) (*wire.Reader, error) {
	r, got, err := f.open(b)
	if err == nil && got != n {
		r.Fail("wrong number of fields")
	}
	return r, err
}

// close reports the first failure of r as a CorruptError.
func (f form) close(r *wire.Reader) error { return corrupt(f.name, r.Close()) }

func writeReplica(w *wire.Writer, id vclock.ReplicaID) {
	b := id.Bytes()
	w.Bytes(b[:])
}

// readReplica reads an identity that must come after prev.
func readReplica(r *wire.Reader, prev vclock.ReplicaID) vclock.ReplicaID {
	id := readAnyReplica(r)
	if id.Compare(prev) <= 0 {
		r.Fail("replicas out of order")
	}
	return id
}

func readAnyReplica(r *wire.Reader) vclock.ReplicaID {
	b := r.Bytes()
	if len(b) != 16 {
		r.Fail("replica identity must have 16 bytes")
		return vclock.ReplicaID{}
	}
	return vclock.ReplicaIDFrom([16]byte(b))
}

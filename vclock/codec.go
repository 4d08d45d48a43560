package vclock

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/internal/wire"
)

// formatVersion is the version of the stand-alone encodings: [version, body]. A change of the format raises
// it; golden vectors keep the old ones readable.
const formatVersion = 1

// ErrVersion reports an encoding that is newer than this package. It is not damaged: keep it.
var ErrVersion = errors.New("vclock: encoded in a newer format")

// CorruptError reports bytes that are no encoding of the type that they were read as.
type CorruptError struct {
	Type   string // "clock", "context" or "timestamp"
	Offset int    // bytes from the start of the input, at or just behind the fault
	Reason string // lower case, no trailing full stop
}

// Error says what is wrong, and where.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("vclock: corrupt %s at byte %d: %s", e.Type, e.Offset, e.Reason)
}

// AppendBinary appends the clock's encoding to b. Equal clocks have equal bytes. The error is always nil.
func (c *Clock) AppendBinary(b []byte) ([]byte, error) {
	w := startEncoding(b)
	c.appendWire(w)
	return w.Done(), nil
}

// UnmarshalBinary sets c to the clock that [Clock.AppendBinary] encoded. It accepts no other bytes, and
// keeps no reference to data. The error is a [*CorruptError] or wraps [ErrVersion]; after one c is as it
// was.
func (c *Clock) UnmarshalBinary(data []byte) error {
	read, err := decode("clock", data, readClock)
	if err != nil {
		return err
	}
	*c = *read
	return nil
}

// AppendBinary appends the context's encoding to b. Equal contexts have equal bytes. The error is always
// nil.
func (c *Context) AppendBinary(b []byte) ([]byte, error) {
	w := startEncoding(b)
	c.appendWire(w)
	return w.Done(), nil
}

// UnmarshalBinary sets c to the context that [Context.AppendBinary] encoded. It accepts no other bytes, and
// keeps no reference to data. The error is a [*CorruptError] or wraps [ErrVersion]; after one c is as it
// was.
func (c *Context) UnmarshalBinary(data []byte) error {
	read, err := decode("context", data, readContext)
	if err != nil {
		return err
	}
	*c = *read
	return nil
}

// AppendBinary appends the timestamp's encoding to b, for instance to keep it for [HLC.Floor]. The error is
// always nil.
func (t Timestamp) AppendBinary(b []byte) ([]byte, error) {
	w := startEncoding(b)
	t.appendWire(w)
	return w.Done(), nil
}

// UnmarshalBinary sets t to the timestamp that [Timestamp.AppendBinary] encoded. It accepts no other bytes.
// The error is a [*CorruptError] or wraps [ErrVersion]; after one t is as it was.
func (t *Timestamp) UnmarshalBinary(data []byte) error {
	read, err := decode("timestamp", data, readTimestamp)
	if err != nil {
		return err
	}
	*t = read
	return nil
}

func startEncoding(b []byte) *wire.Writer {
	w := wire.NewWriter(b)
	w.Array(2)
	w.Uint(formatVersion)
	return w
}

// decode reads a whole stand-alone encoding. The version is looked at before the shape, which is a newer
// version's to change.
func decode[T any](kind string, data []byte, read func(*wire.Reader) T) (value T, err error) {
	r, err := wire.NewReader(data)
	if err != nil {
		return value, corrupt(kind, err)
	}
	n, version := r.Array(), r.Uint()
	switch {
	case r.Err() != nil:
		return value, corrupt(kind, r.Err())
	case version > formatVersion:
		return value, fmt.Errorf("%w: %s in version %d", ErrVersion, kind, version)
	case version < formatVersion || n != 2:
		r.Fail("not an envelope of a version and a body")
		return value, corrupt(kind, r.Err())
	}
	value = read(r)
	return value, corrupt(kind, r.Close())
}

// corrupt puts an error of the wire into this package's terms.
func corrupt(kind string, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return &CorruptError{Type: kind, Reason: err.Error()}
	}
	return &CorruptError{Type: kind, Offset: e.Offset, Reason: e.Reason}
}

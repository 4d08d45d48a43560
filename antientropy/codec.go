package antientropy

import (
	"errors"
	"strings"

	"github.com/eventual-go/eventual/internal/wire"
)

// The methods of the protocol. A [transport.Mux] finds them all by the prefix
// "antientropy/".
const (
	methodPush      = "antientropy/push"
	methodReconcile = "antientropy/reconcile"
	methodPull      = "antientropy/pull"
)

const version = 2

// Bounds on what a message costs beside the keys and states in it.
const (
	defaultMaxMessage = 1 << 20
	minMaxMessage     = 1024
	messageOverhead   = 64  // the head of any message
	rangeOverhead     = 8   // the head of the answer about one range
	entryOverhead     = 48  // of one key and state, with fingerprint
	maxReason         = 200 // bytes of a refusal's text
	maxToldKey        = 128 // bytes of a key that is only reported
	maxToldRefusals   = 64  // refusals in one answer that carry a text
	maxKeysAt         = 64  // keys in one range: of a billion keys no dozen share 32 bits
	maxHeld           = 63  // of them, that a question tells of
)

func maxMessage(n int) int {
	if n <= 0 {
		return defaultMaxMessage
	}
	return max(n, minMaxMessage)
}

// fits reports whether a message may consist of this key and state.
func fits(key string, size, limit int) bool {
	return len(key)+size+entryOverhead+rangeOverhead+messageOverhead <= limit
}

// open checks a message and its version, and that the rest of it has n values.
func open(method string, b []byte, n int) (*wire.Reader, error) {
	r, _, err := openEither(method, b, n, n)
	return r, err
}

// openEither is open for a message of one of two lengths, and returns which.
func openEither(method string, b []byte, n, m int) (r *wire.Reader, fields int, err error) {
	if r, err = wire.NewReader(b); err != nil {
		return nil, 0, corrupt(method, err)
	}
	fields = r.Array() - 1
	if v := r.Uint(); r.Err() == nil && v > 0 && v != version {
		return nil, 0, ErrVersion
	} else if v != version {
		r.Fail("unknown version")
	} else if fields != n && fields != m {
		r.Fail("message of another length")
	}
	return r, fields, corrupt(method, r.Err())
}

func closed(method string, r *wire.Reader) error { return corrupt(method, r.Close()) }

// corrupt turns a failure of package wire into this package's own.
func corrupt(method string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return &CorruptError{Method: method, Offset: e.Offset, Reason: e.Reason}
	}
	return &CorruptError{Method: method, Reason: err.Error()}
}

func message(n int) *wire.Writer {
	w := wire.NewWriter(nil)
	w.Array(n + 1)
	w.Uint(version)
	return w
}

// reconcile: [version, session, generation or nil, [rank, least, promised], message of the session]
// → [version, rank, message], or elsewhere.

func encodeReconcile(session uint64, p *position, msg []byte) []byte {
	w := message(4)
	w.Uint(session)
	p.write(w)
	w.Bytes(msg)
	return w.Done()
}

func decodeReconcile(b []byte) (session uint64, p position, msg []byte, err error) {
	r, err := open(methodReconcile, b, 4)
	if err != nil {
		return 0, position{}, nil, err
	}
	session, p, msg = r.Uint(), readPosition(r), r.Bytes()
	return session, p, msg, closed(methodReconcile, r)
}

func encodeReconciled(s rank, msg []byte) []byte {
	w := message(2)
	w.Uint(uint64(s))
	w.Bytes(msg)
	return w.Done()
}

func decodeReconciled(b []byte) (s rank, msg []byte, err error) {
	r, err := open(methodReconcile, b, 2)
	if err != nil {
		return 0, nil, err
	}
	s, msg = rank(r.Uint()), r.Bytes()
	return s, msg, closed(methodReconcile, r)
}

// push: [version, [key, state, key, state, ...]]
// → [version, merged, novel, refused, [index, reason, ...]].

// An entry is one key with a state or delta. Entries are shared, never changed.
type entry struct {
	key   string
	state []byte
}

func (e *entry) cost() int { return len(e.key) + len(e.state) + entryOverhead }

func encodePush(entries []*entry) []byte {
	w := message(1)
	w.Array(2 * len(entries))
	for _, e := range entries {
		w.String(e.key)
		w.Bytes(e.state)
	}
	return w.Done()
}

// decodePush returns entries whose states alias b.
func decodePush(b []byte) ([]entry, error) {
	r, err := open(methodPush, b, 1)
	if err != nil {
		return nil, err
	}
	n := r.Array()
	if n%2 != 0 {
		r.Fail("key without a state")
	}
	entries := make([]entry, 0, min(n/2, 256)) // a count alone allocates nothing much
	for range n / 2 {
		entries = append(entries, entry{r.String(), r.Bytes()})
		if r.Err() != nil {
			break
		}
	}
	return entries, closed(methodPush, r)
}

// pushed is the answer to a push.
type pushed struct {
	merged  int // entries merged, of which
	novel   int // so many brought something new
	refused int // entries refused, of which the first are told with a reason
	told    []refusal
}

type refusal struct {
	index  int // of the entry in the push
	reason string
}

func (p *pushed) merge(novel []byte) {
	p.merged++
	if len(novel) > 0 {
		p.novel++
	}
}

func (p *pushed) refuse(index int, err error) {
	p.refused++
	if len(p.told) < maxToldRefusals {
		p.told = append(p.told, refusal{index, cut(err.Error(), maxReason)})
	}
}

func encodePushed(p *pushed) []byte {
	w := message(4)
	w.Uint(uint64(p.merged))
	w.Uint(uint64(p.novel))
	w.Uint(uint64(p.refused))
	w.Array(2 * len(p.told))
	for _, t := range p.told {
		w.Uint(uint64(t.index))
		w.String(t.reason)
	}
	return w.Done()
}

// decodePushed reads the answer to a push of so many entries.
func decodePushed(b []byte, entries int) (*pushed, error) {
	r, err := open(methodPush, b, 4)
	if err != nil {
		return nil, err
	}
	p := &pushed{merged: count(r, entries), novel: count(r, entries), refused: count(r, entries)}
	n := r.Array()
	if n%2 != 0 || n > 2*p.refused {
		r.Fail("refusals do not add up")
		n = 0
	}
	for range n / 2 {
		p.told = append(p.told, refusal{count(r, entries-1), cut(r.String(), maxReason)})
	}
	return p, closed(methodPush, r)
}

// count reads a number of at most limit.
func count(r *wire.Reader, limit int) int {
	n := r.Uint()
	if n > uint64(max(limit, 0)) {
		r.Fail("number out of range")
		return 0
	}
	return int(n)
}

// cut shortens s to at most n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

package ring

import (
	"github.com/eventual-go/eventual/internal/wire"
)

// MethodState is the method that a [Keeper] calls and its Handler serves: a node's state. A
// [transport.Mux] takes it by the prefix "ring/".
const MethodState = "ring/state"

// messageVersion is the version of messages. A request is [version, epoch, fingerprint, done], a
// response the same and the encoded ring, empty if it is not newer than that of who asks.
const messageVersion = 1

func appendState(w *wire.Writer, s State) {
	w.Uint(messageVersion)
	w.Uint(s.Epoch)
	w.Bytes(s.Fingerprint[:])
	w.Bool(s.Done)
}

func appendRequest(dst []byte, s State) []byte {
	w := wire.NewWriter(dst)
	w.Array(4)
	appendState(w, s)
	return w.Done()
}

// appendResponse appends what is answered to who has a ring of the given epoch.
func appendResponse(dst []byte, s State, r *Ring, epoch uint64) []byte {
	w := wire.NewWriter(dst)
	w.Array(5)
	appendState(w, s)
	if r != nil && r.epoch > epoch {
		w.Bytes(r.encoded)
	} else {
		w.Bytes(nil)
	}
	return w.Done()
}

func readState(d *wire.Reader) (s State) {
	s.Epoch = d.Uint()
	if b := d.Bytes(); len(b) == len(s.Fingerprint) {
		s.Fingerprint = Fingerprint(b)
	} else {
		d.Fail("fingerprint of another length")
	}
	s.Done = d.Bool()
	return s
}

func parseRequest(b []byte) (State, error) {
	d, err := open(b, messageVersion, 4)
	if err != nil {
		return State{}, corrupt("request", err)
	}
	s := readState(d)
	return s, corrupt("request", d.Close())
}

// parseResponse returns a ring, or nil where there is none in the response.
func parseResponse(b []byte) (State, *Ring, error) {
	d, err := open(b, messageVersion, 5)
	if err != nil {
		return State{}, nil, corrupt("response", err)
	}
	s := readState(d)
	data := d.Bytes()
	if err := d.Close(); err != nil {
		return State{}, nil, corrupt("response", err)
	}
	if len(data) == 0 {
		return s, nil, nil
	}
	r, err := Decode(data)
	if err == nil && (r.epoch != s.Epoch || r.print != s.Fingerprint) {
		err = &CorruptError{What: "response", Reason: "the ring is not that of the state"}
	}
	return s, r, err
}

package membership

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/hashicorp/memberlist"

	"github.com/eventual-go/eventual/transport"
)

// A meta is what a member says of itself in each message that it is alive.
//
//	1 byte   version
//	1 byte   flags: 1 is leaving; others are for later versions
//	8 bytes  of the process, random
//	8 bytes  version: the later a member says something new, the more; below 1<<63
//	8 bytes  weight, as IEEE 754 bits; 0 is 1
//	1+n each cluster, zone, address of the transport
//
// Numbers are big-endian. What follows is for later versions and is skipped.
type meta struct {
	leaving bool
	process uint64
	version uint64
	weight  float64
	cluster string
	zone    string
	addr    string
}

const (
	metaVersion = 1
	metaLeaving = 1 << 0
	metaFixed   = 2 + 8 + 8 + 8
	maxVersion  = 1<<63 - 1 // so that there is a next one
)

var (
	errMeta    = errors.New("malformed metadata")
	errVersion = errors.New("metadata of another version")
)

// append returns b with the metadata, or a [*transport.TooLargeError].
func (m *meta) append(b []byte) ([]byte, error) {
	at := len(b)
	b = append(b, metaVersion, 0)
	if m.leaving {
		b[at+1] |= metaLeaving
	}
	b = binary.BigEndian.AppendUint64(b, m.process)
	b = binary.BigEndian.AppendUint64(b, m.version)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(m.weight))
	for _, s := range []string{m.cluster, m.zone, m.addr} {
		if len(s) > transport.MaxName {
			return nil, &transport.TooLargeError{What: "name in the metadata", Limit: transport.MaxName, Size: len(s)}
		}
		b = append(append(b, byte(len(s))), s...)
	}
	if n := len(b) - at; n > memberlist.MetaMaxSize {
		return nil, &transport.TooLargeError{What: "metadata", Limit: memberlist.MetaMaxSize, Size: n}
	}
	return b, nil
}

func parseMeta(b []byte) (meta, error) {
	switch {
	case len(b) == 0:
		return meta{}, errMeta
	case b[0] != metaVersion:
		return meta{}, errVersion
	case len(b) < metaFixed || len(b) > memberlist.MetaMaxSize:
		return meta{}, errMeta
	}
	m := meta{
		leaving: b[1]&metaLeaving != 0,
		process: binary.BigEndian.Uint64(b[2:]),
		version: binary.BigEndian.Uint64(b[10:]),
		weight:  math.Float64frombits(binary.BigEndian.Uint64(b[18:])),
	}
	if !validWeight(m.weight) || m.version > maxVersion {
		return meta{}, errMeta
	}
	b = b[metaFixed:]
	for _, s := range []*string{&m.cluster, &m.zone, &m.addr} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return meta{}, errMeta
		}
		n := 1 + int(b[0])
		*s, b = string(b[1:n]), b[n:]
	}
	return m, nil
}

func validWeight(w float64) bool { return w >= 0 && !math.IsInf(w, 0) }

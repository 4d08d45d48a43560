package membership

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Claims are a part of each exchange of all that is known: how new something has to be that a member says of itself,
// for those that are gone, or are met as two processes. A member that is taken for gone wrongly, or whose clock
// was ahead when it was another process, learns so what to outdo, and everybody else what is alive.
//
//	1 byte version, then for each member
//	8 bytes its version
//	1+n its name
const claimsVersion = 1

// claims are those of this node, by ID.
func (s *session) claims() (out []byte) {
	s.m.change(s, func(time.Time) { out = s.m.table.appendClaims([]byte{claimsVersion}) })
	return out
}

func (t *table) appendClaims(b []byte) []byte {
	for _, id := range slices.Sorted(maps.Keys(t.rows)) {
		r := t.rows[id]
		if r.Status.Here() && r.rival <= r.version {
			continue
		}
		b = binary.BigEndian.AppendUint64(b, max(r.version, r.rival))
		b = append(append(b, byte(len(id))), id...)
	}
	return b
}

// claimed takes the claims of another member, of which those about this one matter.
func (s *session) claimed(b []byte) {
	version, ok := findClaim(b, s.m.Self)
	if !ok {
		return
	}
	s.m.change(s, func(now time.Time) {
		if version < s.m.version {
			return
		}
		s.m.table.doubted(now, s.m.Self, version) // if it is more than this process has ever said
		s.outdo(version)
	})
}

// findClaim returns what is claimed of a member. What is malformed claims nothing.
func findClaim(b []byte, id transport.NodeID) (version uint64, ok bool) {
	if len(b) == 0 || b[0] != claimsVersion {
		return 0, false
	}
	for b = b[1:]; len(b) >= 9 && len(b) >= 9+int(b[8]); b = b[9+int(b[8]):] {
		if string(b[9:9+int(b[8])]) == string(id) {
			version = binary.BigEndian.Uint64(b)
			return version, version <= maxVersion
		}
	}
	return 0, false
}

// outdo has this node say something newer than a version that it was told of, now or within a Sync; it needs m.mu.
func (s *session) outdo(version uint64) {
	s.m.outdo(version)
	select {
	case s.renew <- struct{}{}:
	default:
	}
}

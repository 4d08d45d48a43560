package placed

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A task is what one request asks for, and what came of it, decoded once more.
type task struct {
	kind    uint64
	target  transport.NodeID
	state   []byte
	status  uint64
	body    []byte
	failure bool
}

const (
	taskMerge    = 3
	taskHint     = 4
	statusSame   = 2
	statusDigest = 3
	statusMoved  = 5
)

func decode(req, resp []byte, err error) (t task) {
	q, qerr := wire.NewReader(req)
	if qerr != nil {
		return task{failure: true}
	}
	q.Array()
	q.Uint()
	t.kind = q.Uint()
	q.Bytes()
	q.Uint()
	t.target, t.state = transport.NodeID(q.Bytes()), q.Bytes()
	p, perr := wire.NewReader(resp)
	if err != nil || perr != nil {
		t.failure = true
		return t
	}
	p.Array()
	p.Uint()
	t.status, t.body = p.Uint(), p.Bytes()
	t.failure = t.status > statusDigest
	return t
}

// note takes down what came of a Send.
func (r *run) note(o *operation, s *quorum.Send, resp []byte, err error) {
	t := decode(s.Request(), resp, err)
	if t.status == statusMoved && len(t.body) == 8 {
		r.did("a refusal by version")
		if version := binary.BigEndian.Uint64(t.body); version > o.moved && version != math.MaxUint64 {
			o.moved, o.by = version, r.node(s.To)
		}
	}
	if o.heard[s.ID] || o.decided {
		return
	}
	o.heard[s.ID] = true
	o.spoke |= r.node(s.To).bit()
	switch from := r.node(s.To); {
	case t.failure:
	case t.kind == taskHint:
		o.kept++
		if o.asks.Fallbacks == quorum.FallbacksCount && slices.Contains(o.place.Fallbacks, s.To) && o.stands&from.bit() == 0 {
			o.stands |= from.bit() // for one owner, however many hints it keeps
			o.stood |= r.node(t.target).bit()
		}
	case t.target != "":
		o.stood |= r.node(t.target).bit()
		o.data = o.data || len(t.body) > 0
	case o.write != nil:
		o.acks |= from.bit()
	case t.kind == taskMerge:
		o.mended |= from.bit()
	default:
		o.data = o.data || nonzero(t.body) || t.status == statusSame && nonzero(t.state)
		o.acks |= from.bit()
	}
}

func nonzero(b []byte) bool { return slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

package membership

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
)

func TestLogLines(t *testing.T) {
	var out bytes.Buffer
	l := logger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})), false)
	l.Print("[WARN] memberlist: Binding to public address without encryption!")
	for _, level := range []string{"[DEBUG] memberlist: ", "[INFO] memberlist: ", "[WARN] ", "[ERR] memberlist: ", "[ERROR] memberlist: ", "Err: "} {
		l.Print(level, "text")
	}
	require.Equal(t, `level=DEBUG msg=text
level=INFO msg=text
level=WARN msg=text
level=ERROR msg=text
level=ERROR msg=text
level=INFO msg="Err: text"
`, out.String())
	logger(nil, false).Print("nobody hears this")
}

func TestErrorsSayWhat(t *testing.T) {
	require.Equal(t, `membership: two processes are "b": one at 1.2.3.4:5, the other at 1.2.3.4:6`,
		(&ConflictError{Node: "b", Gossip: "1.2.3.4:5", OtherGossip: "1.2.3.4:6"}).Error())
	require.Equal(t, `membership: "b" at 1.2.3.4:5 is refused: it is of another cluster`,
		fmt.Sprint(&RefusedError{Node: "b", Gossip: "1.2.3.4:5", Reason: "it is of another cluster"}))
}

// Who is of this label and is no member by what it says is refused, and told of.
func TestForeignMetadataIsRefused(t *testing.T) {
	m := &Members{Self: "a", Cluster: "c"}
	s := &session{m: m, wake: make(chan struct{}, 1)}
	m.session, m.table.limit = s, 1
	d := delegate{s}
	other := meta{cluster: "other"}
	foreign, err := other.append(nil)
	require.NoError(t, err)
	node := func(name string, meta []byte) *memberlist.Node {
		return &memberlist.Node{Name: name, Meta: meta, Addr: []byte{127, 0, 0, 1}, Port: 7}
	}
	for reason, n := range map[string]*memberlist.Node{
		"it is of another cluster":             node("b", foreign),
		"malformed metadata":                   node("b", nil),
		"metadata of another version":          node("b", []byte("\x02")),
		"its name has no bytes, or too many":   node("", []byte(saidBytes)),
		"its name has no bytes, or too many\t": node(string(make([]byte, 256)), []byte(saidBytes)),
	} {
		var refusal *RefusedError
		require.ErrorAs(t, d.NotifyAlive(n), &refusal)
		require.Equal(t, reason[:len(refusal.Reason)], refusal.Reason)
		require.ErrorAs(t, d.NotifyMerge([]*memberlist.Node{node("b", []byte(saidBytes)), n}), &refusal)
		require.Equal(t, "127.0.0.1:7", refusal.Gossip)
	}
	require.NoError(t, d.NotifyAlive(node("b", []byte(saidBytes))))
	d.NotifyJoin(node("b", []byte(saidBytes)))
	require.ErrorContains(t, d.NotifyAlive(node("e", []byte(saidBytes))), "too many members")
	require.EqualValues(t, 11, m.Stats().Refused)
	_, _, refused := m.news()
	require.Len(t, refused, 6)
}

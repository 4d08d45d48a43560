package hosts

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	writes = flag.Int("writes", 16, "how many turns clients of each host have in each phase; 16 have each of them do all there is to do once")
	seed   = flag.Uint64("seed", 1, "of which packets are lost and how late the others are")
)

const root = "../.."

// build makes kv. That go test runs this again when kv is another, its sources are looked at:
// of a program that a test runs it knows nothing.
func build(t *testing.T, dir string) {
	list := exec.Command("go", "list", "-deps", "-f",
		`{{if not .Standard}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}`, ".")
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "kv"), ".")
	list.Dir, build.Dir = root+"/examples/kv", root+"/examples/kv"
	files, err := list.Output()
	require.NoError(t, err)
	for file := range strings.Lines(string(files)) {
		_, err := os.Stat(strings.TrimSpace(file))
		require.NoError(t, err)
	}
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// A world is the hosts and what lies between them, and what is known of both.
type world struct {
	t      *testing.T
	dir    string
	net    *router
	hosts  []*host // a to e
	sixth  *host
	ledger *ledger
	begin  time.Time
}

// newWorld has the five hosts run, and reach one another.
func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), ledger: newLedger()}
	build(t, w.dir)
	w.net = newRouter(weather{loss: 0.05, delay: 100 * time.Millisecond, jitter: 20 * time.Millisecond}, *seed)
	t.Cleanup(w.net.close)
	t.Cleanup(w.tell)
	var names []string
	for i := range 5 {
		names = append(names, string(rune('a'+i)))
		w.hosts = append(w.hosts, newHost(t, w.net, w.dir, names[i], fmt.Sprintf("198.18.0.%d", i+1)))
	}
	w.sixth = newHost(t, w.net, w.dir, "x", "198.18.0.66")
	w.certs("ours", names...)
	w.tellPeers()
	w.begin = time.Now()
	for _, h := range w.hosts {
		h.start(h.name, "ours")
	}
	w.allReachAll()
	w.say("five hosts reach one another; 5 %% of packets are lost, each takes 100 to 120 ms: there and back 200 to 240 ms")
	return w
}

func (w *world) say(format string, args ...any) {
	fmt.Printf("%6.2f s  %s\n", time.Since(w.begin).Seconds(), fmt.Sprintf(format, args...))
}

// tell shows what the replicas said, if something went wrong.
func (w *world) tell() {
	for _, h := range append(w.hosts, w.sixth) {
		if h != nil && w.t.Failed() {
			w.t.Logf("%s:\n%s", h.name, h.log)
		}
	}
}

// certs has kv make certificates, as its README says.
func (w *world) certs(folder string, replicas ...string) {
	cmd := exec.Command(filepath.Join(w.dir, "kv"), append([]string{"certs", filepath.Join(w.dir, folder)}, replicas...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "%s", out)
}

func (w *world) copy(from, to string) {
	text, err := os.ReadFile(filepath.Join(w.dir, from))
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, to), text, 0o600))
}

// tellPeers writes the file in which all replicas look one another up.
func (w *world) tellPeers() {
	var text strings.Builder
	for _, h := range w.hosts {
		fmt.Fprintf(&text, "%s=%s\n", h.name, h.peerAddr())
	}
	file := filepath.Join(w.dir, "peers")
	require.NoError(w.t, os.WriteFile(file+".new", []byte(text.String()), 0o600))
	require.NoError(w.t, os.Rename(file+".new", file))
}

// allReachAll waits until each has had an answer of all others.
func (w *world) allReachAll() {
	for _, h := range w.hosts {
		within(w.t, "all answer "+h.name, func() bool {
			return h.do("POST", "/v1/counters/visits?level=all", `{"add": 0}`, nil) == http.StatusOK
		})
	}
}

// write has clients write on hosts, and says how that went.
func (w *world) write(where, level string, hosts ...*host) {
	w.ledger.write(level, *writes, hosts...)
	w.say("written %s, at level %s: %d acknowledged in all, %d failed", where, level, w.ledger.acked.Load(), w.ledger.failed.Load())
}

// Five replicas with certificates take counters, sets and registers where a packet in twenty
// is lost, and each takes a tenth of a second. They are cut apart and healed; one stops and
// comes back at another address. A sixth host tries to be one of them. In the end all are
// equal, and what was acknowledged is there.
func TestFiveHosts(t *testing.T) {
	if why := missing(); why != "" {
		t.Skip(why)
	}
	sweep(t)
	w := newWorld(t)
	w.strangerIsRefused()
	w.partitionHeals()
	w.hostMoves()
	w.nothingIsLost()
}

// A stranger has certificates of an authority of its own, and knows whom to believe.
func (w *world) strangerIsRefused() {
	w.certs("strange", "a")
	w.copy("ours/ca.crt", "strange/ca.crt")
	w.sixth.start("a", "strange")
	w.sixth.deceive()
	w.write("everywhere", "majority", w.hosts...)
	w.refuse(w.hosts[1:], "unknown authority")
	w.sixth.stop()
	w.say("a stranger that says it is a is refused, and told of, by all others")
}

func (w *world) partitionHeals() {
	majority, minority := w.hosts[:3], w.hosts[3:]
	w.net.part([]string{"a", "b", "c"}, []string{"d", "e"})
	w.write("on both sides of a partition", "one", w.hosts...)
	within(w.t, "the sides miss each other", func() bool { return !see(majority, minority) && !see(minority, majority) })
	w.write("on the side of three", "majority", majority...)
	var refusal struct{ Answered, Needed int }
	require.NotEqual(w.t, http.StatusOK, minority[0].do("GET", "/v1/counters/visits", "", &refusal))
	require.Equal(w.t, 3, refusal.Needed)
	require.LessOrEqual(w.t, refusal.Answered, len(minority))
	require.NotEqual(w.t, majority[0].status().Root, minority[0].status().Root)

	w.net.part()
	w.say("healed: one root on all after %.2f s", agree(w.hosts).Seconds())
}

// What e has answered while it was alone is on its disk only when it is killed. The sixth
// host gets the address that e had, and a certificate of the cluster's authority, which is
// for another name.
func (w *world) hostMoves() {
	e, others := w.hosts[4], w.hosts[:4]
	w.net.part([]string{"a", "b", "c", "d"}, []string{"e"})
	w.write("on e, cut off", "one", e)
	e.kill()
	w.net.part()
	old := e.addr.String()
	e.move("198.18.7.5")

	w.certs("ours", "f")
	require.NoError(w.t, os.Mkdir(filepath.Join(w.dir, "false"), 0o700))
	w.copy("ours/ca.crt", "false/ca.crt")
	w.copy("ours/f.crt", "false/e.crt")
	w.copy("ours/f.key", "false/e.key")
	w.sixth.move(old)
	w.sixth.start("e", "false")
	w.sixth.deceive()
	w.write("on the others, while e is away", "majority", others...)
	w.refuse(others, "certificate of another node")
	w.say("an impostor at the address that e had is refused, and told of, by all")

	since := time.Now()
	w.tellPeers()
	e.start("e", "ours")
	agree(w.hosts)
	equal := time.Since(since)
	w.allReachAll()
	w.say("e has moved: one root on all %.2f s after its start, and each reaches it after %.2f s", equal.Seconds(), time.Since(since).Seconds())
}

func (w *world) nothingIsLost() {
	w.write("everywhere", "majority", w.hosts...)
	w.say("one root on all after %.2f s", agree(w.hosts).Seconds())
	sent, again := 0, 0
	for _, h := range w.hosts {
		w.ledger.check(h)
		sent += h.counter("OutSegs")
		again += h.counter("RetransSegs")
		require.Zero(w.t, h.counter("InCsumErrors"), h.name)
	}
	got := w.net.traffic()
	w.say("what was acknowledged is there. %v; of %d segments of TCP %d were sent again", got, sent, again)
	require.Zero(w.t, got.damaged)
	require.NotZero(w.t, got.lost)
	require.NotZero(w.t, got.cut)
	require.NotZero(w.t, again)
}

// see reports whether one of some hosts holds one of others for reachable.
func see(some, others []*host) bool {
	for _, h := range some {
		for _, p := range h.status().Peers {
			for _, other := range others {
				if p.Reachable && p.ID == other.name {
					return true
				}
			}
		}
	}
	return false
}

// refuse waits until all of some hosts have told that they refused the sixth, and it that
// it was refused by each.
func (w *world) refuse(by []*host, why string) {
	w.t.Helper()
	for _, h := range by {
		within(w.t, h.name+" tells of the sixth host", func() bool {
			return h.said("handshake with "+w.sixth.addr.String(), why)
		})
		within(w.t, "the sixth host tells of "+h.name, func() bool {
			return w.sixth.said("handshake with "+h.addr.String(), "refused by it")
		})
	}
}

// said reports whether a line of what replicas on the host said has all of these words.
func (h *host) said(words ...string) bool {
	for line := range strings.Lines(h.log.String()) {
		if containsAll(line, words) {
			return true
		}
	}
	return false
}

func containsAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// deceive writes what nobody may ever see, and cannot write more than that.
func (h *host) deceive() {
	h.t.Helper()
	require.Equal(h.t, http.StatusOK, h.do("POST", "/v1/counters/visits?level=one", `{"add": 1000000000}`, nil))
	require.Equal(h.t, http.StatusOK, h.do("POST", "/v1/sets/guests?level=one", `{"add": ["nobody"]}`, nil))
	require.NotEqual(h.t, http.StatusOK, h.do("POST", "/v1/counters/visits?w=2", `{"add": 1}`, nil))
}

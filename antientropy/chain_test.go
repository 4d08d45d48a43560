package antientropy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/eventual-go/eventual/merkle"
)

// A chain is a Store of which nothing counts but its generation. The names of
// generations tell the way: each is that before it and a name more. A record, or a
// proposal, is a generation.
type chain struct {
	name     string // of the one that proposes
	at       string
	known    int // records that are kept
	promised string
	proposed int
	most     int  // proposals that it ever makes
	quiet    bool // there is nothing to propose for now
	emptied  int
	broken   string // proposals that it had prepared, and may have contradicted since, each with a space after it
	contrary string // a record that it came to settle of those
}

// free notes that what was promised binds no more.
func (c *chain) free() {
	if c.promised != "" && !strings.Contains(c.broken, c.promised+" ") {
		c.broken += c.promised + " "
	}
	c.promised = ""
}

// bind promises what in place of what was promised before.
func (c *chain) bind(what string) {
	if c.promised != what {
		c.free()
	}
	c.promised = what
}

// come goes on to where a record leads.
func (c *chain) come(record string) {
	if strings.Contains(c.broken, record+" ") {
		c.contrary = record
	}
	c.at, c.promised, c.broken = record, "", ""
	c.known++
}

var (
	_ Follower  = (*chain)(nil)
	_ Collector = (*chain)(nil)
)

const first = "/"

var noIndex = merkle.New(merkle.NewHasher(secret))

var errChain = errors.New("not on top of this generation")

func before(generation string) string { return generation[:strings.LastIndex(generation, "/")+1] }

// after is the generation that a proposal, or a record, leads to.
func after(generation, name string) string {
	return strings.TrimSuffix(generation, "/") + "/" + name
}

// on reports whether a record is on top of a generation.
func on(record, generation string) bool {
	return strings.TrimSuffix(before(record), "/") == strings.TrimSuffix(generation, "/")
}

// leads reports whether a generation is on the way to another.
func leads(from, to string) bool {
	return from != "" && (from == to || strings.HasPrefix(to, strings.TrimSuffix(from, "/")+"/"))
}

func (c *chain) Index() *merkle.Tree                          { return noIndex.Snapshot() }
func (c *chain) Load(context.Context, string) ([]byte, error) { return nil, nil }
func (c *chain) Merge(context.Context, string, []byte) ([]byte, error) {
	return nil, nil
}

func (c *chain) Generation() string { return c.at }

func (c *chain) Since(generation string, limit int) (records [][]byte, ok bool) {
	if !leads(generation, c.at) || depth(c.at)-depth(generation) > c.known {
		return nil, false
	}
	for at := c.at; at != generation; at = parent(at) {
		records = append(records, []byte(at))
	}
	slices.Reverse(records)
	return records, true
}

func depth(generation string) int {
	return strings.Count(strings.TrimPrefix(generation, "/"), "/") + b2i(generation != first)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func parent(generation string) string {
	if p := strings.TrimSuffix(before(generation), "/"); p != "" {
		return p
	}
	return first
}

func (c *chain) Settle(_ context.Context, record []byte) error {
	r := string(record)
	switch {
	case leads(r, c.at):
		return nil
	case c.at == "" || !on(r, c.at):
		return errChain
	}
	c.come(r)
	return nil
}

func (c *chain) Adopt(_ context.Context, generation string) (iter.Seq2[string, []byte], error) {
	none := func(func(string, []byte) bool) {}
	if c.at != "" && (generation == "" || generation == c.at) {
		return none, nil
	}
	if c.at != "" {
		c.emptied++
	}
	generation = cmp.Or(generation, first)
	c.at, c.promised, c.broken, c.known = generation, "", "", 0
	return none, nil
}

func (c *chain) Propose(int, time.Duration) []byte {
	if c.at == "" || c.quiet || c.proposed == c.most {
		return nil
	}
	c.proposed++
	return []byte(after(c.at, fmt.Sprint(c.name, c.proposed)))
}

func (c *chain) Prepare(_ context.Context, proposal []byte) ([]byte, error) {
	if len(proposal) > 0 && !on(string(proposal), c.at) {
		return nil, errChain
	}
	c.bind(string(proposal))
	return nil, nil
}

func (c *chain) Conclude(_ context.Context, proposal []byte, _ [][]byte) ([]byte, error) {
	if c.promised != string(proposal) {
		return nil, errChain
	}
	c.come(string(proposal))
	return proposal, nil
}

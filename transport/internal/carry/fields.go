package carry

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/eventual-go/eventual/transport"
)

// MaxNumber bounds every number of bytes in a field, so that it fits into an int.
const MaxNumber = 1 << 30

// Escape makes a name of any bytes fit for a field.
func Escape(name string) string { return url.PathEscape(name) }

// Fields reads headers or metadata, from strangers, until one of them is wrong: Err
// says which.
type Fields struct {
	Of  map[string][]string
	Err error
}

// One returns a field that is there once: of two, others may have seen the other.
func (f *Fields) One(key string) string {
	values := f.Of[key]
	if len(values) != 1 {
		f.fail(key)
		return ""
	}
	return values[0]
}

// Name returns what was escaped, of at most transport.MaxName bytes. Only what Escape
// writes is taken: two that somebody in between has joined with a comma are not.
func (f *Fields) Name(key string) string {
	is := f.One(key)
	s, err := url.PathUnescape(is)
	if err != nil || len(s) > transport.MaxName || Escape(s) != is {
		f.fail(key)
		return ""
	}
	return s
}

// Number returns a number of bytes, up to MaxNumber.
func (f *Fields) Number(key string) int {
	n := f.Uint(key, 31)
	if n > MaxNumber {
		f.fail(key)
		return 0
	}
	return int(n)
}

// Uint returns a number of so many bits.
func (f *Fields) Uint(key string, bits int) uint64 {
	n, err := strconv.ParseUint(f.One(key), 10, bits)
	if err != nil {
		f.fail(key)
	}
	return n
}

func (f *Fields) fail(key string) {
	if f.Err == nil {
		f.Err = fmt.Errorf("%s is missing, repeated or malformed", key)
	}
}

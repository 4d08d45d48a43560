package identity

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Files are credentials in three files in PEM, which may be replaced while the program
// runs, in any order:
//
//	files := &identity.Files{Cert: "node.crt", Key: "node.key", CA: "cluster.crt"}
//	t := &tcp.Transport{Self: "a", TLS: &tcp.TLS{Credentials: files.Credentials}}
//
// To change authorities, first have the CA file of all nodes name both, then replace
// the certificates, then take the old authority away. Fields must not be changed after
// the first use. Files are safe for concurrent use.
type Files struct {
	Cert string // the node's certificate, and after it what lies between it and the authority
	Key  string // its private key
	CA   string // the certificates of the cluster's authorities

	// Every is how often at most it is looked whether a file was replaced. If zero, ten
	// seconds. Files that could never be used are looked at once a second, if that is
	// more often.
	Every time.Duration

	// OnError is told when files cannot be used: one of them is unreadable, or certificate
	// and key are not a pair. Those from before are used until they can be, and OnError is
	// told again each time that they were looked at and cannot. It may be nil.
	OnError func(error)

	mu      sync.Mutex
	loading chan struct{} // closed when it is over; nil if nobody looks at the files
	loaded  Credentials   // the zero value before the first
	failed  error         // why there is none before the first
	stamps  [3]os.FileInfo
	looked  time.Time
}

const firstEvery = time.Second

// Credentials returns what the files hold, or held when they could last be used. It
// fails if they never could. It looks at the files once in Every and reads them if one
// of them is another; while that is going on, other calls get what was there before, or
// wait if there was nothing.
func (f *Files) Credentials() (Credentials, error) {
	c, others, err := f.ready(time.Now())
	switch {
	case others != nil:
		<-others
		return f.last()
	case err != errLook:
		return c, err
	}
	c, stamps, err := f.load()
	f.done(c, stamps, err)
	if err != nil && f.OnError != nil {
		f.OnError(err)
	}
	return f.last()
}

// errLook says that the caller has to look at the files.
var errLook = errors.New("look at the files")

// ready returns what is known, or whom to wait for.
func (f *Files) ready(now time.Time) (c Credentials, others <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	every, known := cmp.Or(max(f.Every, 0), 10*time.Second), f.loaded.Certificate != nil
	if !known {
		every = min(every, firstEvery)
	}
	switch {
	case f.loading != nil && !known:
		return Credentials{}, f.loading, nil
	case f.loading != nil, !f.looked.IsZero() && now.Sub(f.looked) < every:
		return f.loaded, nil, f.failed
	}
	f.loading = make(chan struct{})
	return Credentials{}, nil, errLook
}

func (f *Files) last() (Credentials, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded, f.failed
}

// load reads the files if they have changed. The stamps are taken first: what changes
// later is seen the next time.
func (f *Files) load() (c Credentials, stamps [3]os.FileInfo, err error) {
	for i, name := range []string{f.Cert, f.Key, f.CA} {
		if stamps[i], err = os.Stat(name); err != nil {
			return c, stamps, fmt.Errorf("identity: credentials: %w", err)
		}
	}
	if f.unchanged(stamps) {
		c, _ = f.last()
		return c, stamps, nil
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return c, stamps, fmt.Errorf("identity: credentials %s and %s: %w", f.Cert, f.Key, err)
	}
	roots, err := readRoots(f.CA)
	if err != nil {
		return c, stamps, fmt.Errorf("identity: credentials %s: %w", f.CA, err)
	}
	return Credentials{Certificate: &pair, Roots: roots}, stamps, nil
}

// readRoots takes all certificates of a file or none: it may be in the middle of being
// written.
func readRoots(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	roots, none := x509.NewCertPool(), true
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		roots.AddCert(c)
		none, text = false, rest
	}
	switch {
	case none:
		return nil, errNoRoots
	case bytes.Contains(text, []byte("-----BEGIN")):
		return nil, errCut
	}
	return roots, nil
}

var errCut = errors.New("cut short")

// unchanged says whether the files are those that could be used last.
func (f *Files) unchanged(stamps [3]os.FileInfo) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, was := range f.stamps {
		is := stamps[i]
		if was == nil || !os.SameFile(was, is) || !was.ModTime().Equal(is.ModTime()) || was.Size() != is.Size() {
			return false
		}
	}
	return true
}

func (f *Files) done(c Credentials, stamps [3]os.FileInfo, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.loading)
	f.loading, f.looked = nil, time.Now()
	switch {
	case err == nil:
		f.loaded, f.failed, f.stamps = c, nil, stamps
	case f.loaded.Certificate == nil:
		f.failed = err
	}
}

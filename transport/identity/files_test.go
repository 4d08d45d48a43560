package identity

import (
	"crypto/tls"
	"encoding/pem"
	"io/fs"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport/internal/authority"
)

// A folder holds the files of a node.
type folder struct {
	t    *testing.T
	dir  string
	f    *Files
	errs []error
}

func newFolder(t *testing.T) *folder {
	d := &folder{t: t, dir: t.TempDir()}
	d.f = &Files{Cert: d.dir + "/cert", Key: d.dir + "/key", CA: d.dir + "/ca", OnError: func(err error) { d.errs = append(d.errs, err) }}
	return d
}

func (d *folder) write(c *tls.Certificate, what ...string) {
	for _, name := range what {
		block := authority.CertBlock(c.Certificate[0])
		if name == "key" {
			block = authority.KeyBlock(d.t, c)
		}
		authority.WriteFile(d.t, d.dir, name, block)
	}
}

func (d *folder) roots(all ...*authority.Authority) {
	var blocks []pem.Block
	for _, a := range all {
		blocks = append(blocks, authority.CertBlock(a.Cert.Raw))
	}
	authority.WriteFile(d.t, d.dir, "ca", blocks...)
}

// look has the next call look at the files.
func (d *folder) look() (Credentials, error) {
	d.f.looked = time.Time{}
	return d.f.Credentials()
}

// shown returns the credentials, which must show c and have said n errors so far.
func (d *folder) shows(c *tls.Certificate, n int) Credentials {
	d.t.Helper()
	got, err := d.look()
	require.NoError(d.t, err)
	require.Equal(d.t, c.Certificate, got.Certificate.Certificate)
	require.Len(d.t, d.errs, n)
	return got
}

// Files are read again when they were replaced, and what cannot be used is not.
func TestFilesAreReadAgain(t *testing.T) {
	ca, other := authority.New(t), authority.New(t)
	old, renewed := ca.Issue("", "a"), ca.Issue("", "a")
	d := newFolder(t)
	_, err := d.f.Credentials()
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Len(t, d.errs, 1)
	d.write(old, "cert", "key")
	d.roots(ca)
	first := d.shows(old, 1)
	require.True(t, first.Roots.Equal(ca.Roots))
	second := d.shows(old, 1)
	require.Same(t, first.Certificate, second.Certificate, "not read again")

	d.write(renewed, "cert") // the key is to follow
	d.shows(old, 2)
	d.shows(old, 3)
	d.write(renewed, "key")
	d.shows(renewed, 3)

	require.NoError(t, os.Remove(d.f.Key))
	d.shows(renewed, 4)
	d.write(renewed, "key")
	d.shows(renewed, 4)

	d.roots(ca, other)
	both := d.shows(renewed, 4)
	require.False(t, both.Roots.Equal(ca.Roots))
	whole, err := os.ReadFile(d.f.CA)
	require.NoError(t, err)
	for i, quarters := range []int{1, 3} { // in the middle of being written
		require.NoError(t, os.WriteFile(d.f.CA, whole[:len(whole)*quarters/4], 0o600))
		require.True(t, d.shows(renewed, 5+i).Roots.Equal(both.Roots))
	}
	require.NoError(t, os.WriteFile(d.f.CA, nil, 0o600))
	d.shows(renewed, 7)
	require.ErrorIs(t, d.errs[6], errNoRoots)
	d.roots(other)
	require.True(t, d.shows(renewed, 7).Roots.Equal(other.Roots))
}

// They are looked at seldom, and by one at a time.
func TestFilesAreLookedAtSeldom(t *testing.T) {
	ca := authority.New(t)
	d := newFolder(t)
	old := ca.Issue("", "a")
	d.write(old, "cert", "key")
	d.roots(ca)
	d.shows(old, 0)
	require.NoError(t, os.RemoveAll(d.dir))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1_000 {
				got, err := d.f.Credentials()
				assert.NoError(t, err)
				assert.Equal(t, old.Certificate, got.Certificate.Certificate)
			}
		})
	}
	group.Wait()
	require.Empty(t, d.errs)
	d.f.looked = time.Time{}
	for range 8 {
		group.Go(func() {
			_, err := d.f.Credentials()
			assert.NoError(t, err)
		})
	}
	group.Wait()
	require.Len(t, d.errs, 1)
}

// Files that could never be used are looked at once a second: however many ask
// meanwhile, the disk is read once and OnError told once.
func TestFilesThatAreMissingAreLookedAtSeldom(t *testing.T) {
	ca := authority.New(t)
	cert := ca.Issue("", "a")
	synctest.Test(t, func(t *testing.T) {
		d := newFolder(t)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 100 {
					_, err := d.f.Credentials()
					assert.ErrorIs(t, err, fs.ErrNotExist)
				}
			})
		}
		group.Wait()
		require.True(t, len(d.errs) == 1, "%d looks", len(d.errs))
		d.write(cert, "cert", "key")
		d.roots(ca)
		_, err := d.f.Credentials()
		require.ErrorIs(t, err, fs.ErrNotExist, "still that of before")
		time.Sleep(firstEvery)
		_, err = d.f.Credentials()
		require.NoError(t, err)
		require.Len(t, d.errs, 1)
	})
}

// Who asks while the files are read for the first time gets what comes of that.
func TestFilesAreReadForAllWhoAskFirst(t *testing.T) {
	ca := authority.New(t)
	d := newFolder(t)
	cert := ca.Issue("", "a")
	d.write(cert, "cert", "key")
	d.roots(ca)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			c, err := d.f.Credentials()
			if assert.NoError(t, err) {
				assert.Equal(t, cert.Certificate, c.Certificate.Certificate)
			}
		})
	}
	group.Wait()
	require.Empty(t, d.errs)
}

package certs

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
)

// Run is a subcommand: certs [-renew] DIR NAME... issues a certificate to each of the nodes of a cluster, from the
// authority in the folder, which is made if there is none. With -renew it replaces those that are there. It returns the
// folder.
func Run(out io.Writer, cluster string, args []string) (dir string, err error) {
	flags := flag.NewFlagSet("certs", flag.ContinueOnError)
	renew := flags.Bool("renew", false, "replace the certificates and keys of these nodes, which are there already")
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() < 2 {
		return "", errors.New("certs needs a folder and the names of nodes")
	}
	dir = flags.Arg(0)
	ids := make([]transport.NodeID, flags.NArg()-1)
	for i, name := range flags.Args()[1:] {
		ids[i] = transport.NodeID(name)
		if err := CheckName(ids[i]); err != nil {
			return "", err
		}
		if slices.Contains(ids[:i], ids[i]) {
			return "", fmt.Errorf("%q stands there twice", name)
		}
	}
	if err := issueAll(dir, cluster, ids, *renew); err != nil {
		return "", err
	}
	fmt.Fprintf(out, "A node needs ca.crt and its own .crt and .key out of %s, for -tls.\nKeep ca.key from all of them: who has it can be any node.\n", dir)
	return dir, nil
}

func issueAll(dir, cluster string, ids []transport.NodeID, renew bool) error {
	look := isNew
	if renew {
		look = isThere
	}
	for _, id := range ids {
		if err := look(dir, cluster, id); err != nil {
			return err
		}
	}
	a, err := openAuthority(dir, cluster)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := a.issue(dir, id, renew); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
	}
	return nil
}

// isNew refuses a node that has a file already.
func isNew(dir, _ string, id transport.NodeID) error {
	if err := half(dir, string(id)); err != nil {
		return err
	}
	for _, end := range []string{".crt", ".key"} {
		path := filepath.Join(dir, string(id)+end)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s is there already; -renew replaces a certificate and its key", path), err)
		}
	}
	return nil
}

// half refuses a key without a certificate: the key is written first, and nobody has been told of it yet.
func half(dir, name string) error {
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path + ".key"); err != nil {
		return nil // there is none, or what is wrong is found where it is used
	}
	if _, err := os.Lstat(path + ".crt"); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s.key is there already, without %s.crt, as if its making had been cut short: remove it", path, name)
}

// isThere refuses a node that has no certificate, or one of another node.
func isThere(dir, cluster string, id transport.NodeID) error {
	if err := half(dir, string(id)); err != nil {
		return err
	}
	path := filepath.Join(dir, string(id)+".crt")
	leaf, err := readCertificate(path)
	if err != nil {
		return fmt.Errorf("nothing to renew: %w; to have one made anew, remove what there is of %s.crt and .key", err, id)
	}
	if err := identity.Check(leaf, cluster, id); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Open returns what [Files] does, once they can be used. If they cannot, its error says so; if they cannot later on,
// onError is told.
func Open(dir string, id transport.NodeID, onError func(error)) (*identity.Files, error) {
	if _, err := Files(dir, id).Credentials(); err != nil {
		return nil, err
	}
	files := Files(dir, id)
	files.OnError = onError
	return files, nil
}

// Files are those of a node in a folder, as -tls takes it. The name must be one that [CheckName] allows.
func Files(dir string, id transport.NodeID) *identity.Files {
	name := filepath.Join(dir, string(id))
	return &identity.Files{Cert: name + ".crt", Key: name + ".key", CA: filepath.Join(dir, authorityName+".crt")}
}

package pebblestore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/eventual-go/eventual/crdt/store"
)

// placeFile is the file by which a folder is told from its copies. It is written anew at each Open, with a text that has
// not been there before, as a new file. What the file system says of it cannot be carried over by a copy: not the
// number of the file, and not the time of its last change (ctime), which no program can set. The database remembers the
// text and what was said. So it is a copy, or something older was put back, if any of them is not as it was left.
//
// A name that lies in a file alone would not do. Who restores a backup in place may leave that file as it is, because
// it looks the same, and replace those of the database.
const placeFile = "PLACE"

var placeKey = append([]byte{ownKeys}, "place"...)

// A placing is what was found, or left, in a folder.
type placing struct {
	name string // that of the place
	text string // what is in the file
	file string // what the file system says of it
}

// settle returns the name of the place, which is a new one unless everything is as it was left there.
func settle(db *pebble.DB, disk vfs.FS, dir string) (string, error) {
	left, err := remembered(db)
	if err != nil {
		return "", err
	}
	found, err := lookAt(disk, dir)
	if err != nil {
		return "", err
	}
	if found.text == "" || found.text != left.text || found.file != left.file {
		left.name = rand.Text()
	}
	left.text = rand.Text()
	if left.file, err = renew(disk, dir, left.text); errors.Is(err, errNoIdentity) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return left.name, db.Set(placeKey, []byte(left.name+"\n"+left.text+"\n"+left.file), pebble.Sync)
}

// remembered returns what was left: nothing if that cannot be read any more, which is no reason not to open the rest.
func remembered(db *pebble.DB) (p placing, err error) {
	value, closer, err := db.Get(placeKey)
	if err = damaged(err); errors.Is(err, pebble.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if parts := strings.SplitN(string(value), "\n", 3); len(parts) == 3 {
		p = placing{parts[0], parts[1], parts[2]}
	}
	return p, closer.Close()
}

// lookAt returns what is in the file and what is said of it: nothing if it is missing.
func lookAt(disk vfs.FS, dir string) (p placing, err error) {
	f, err := disk.Open(disk.PathJoin(dir, placeFile))
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return p, err
	}
	p.text = string(text)
	p.file, err = said(disk, dir)
	if errors.Is(err, errNoIdentity) {
		return placing{}, nil
	}
	return p, err
}

// renew writes the file anew, with text in it, and returns what is said of it.
func renew(disk vfs.FS, dir, text string) (string, error) {
	name := disk.PathJoin(dir, placeFile)
	if err := writeFile(disk, name+".new", text); err != nil {
		return "", err
	}
	if err := disk.Rename(name+".new", name); err != nil {
		return "", err
	}
	if err := syncFolder(disk, dir); err != nil {
		return "", err
	}
	return said(disk, dir)
}

func syncFolder(disk vfs.FS, dir string) error {
	folder, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func writeFile(disk vfs.FS, name, text string) error {
	f, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Sync(), f.Close())
}

// errNoIdentity says that files cannot be told from their copies here.
var errNoIdentity = errors.New("pebblestore: files have no identity")

// said returns what is said of the file: the numbers of the file and of the folder, and the time of the file's last
// change. The device is not in it, since its number may be another one after the next boot. Files in memory have no
// identity.
func said(disk vfs.FS, dir string) (string, error) {
	file, err := disk.Stat(disk.PathJoin(dir, placeFile))
	if err != nil {
		return "", err
	}
	folder, err := disk.Stat(dir)
	if err != nil {
		return "", err
	}
	inode, changed, ok := identity(file)
	within, _, _ := identity(folder)
	if !ok {
		return "", errNoIdentity
	}
	return fmt.Sprintf("%d %d %d%s", inode, changed, within, volume(dir)), nil
}

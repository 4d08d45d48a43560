package pebblestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

// placed opens a folder on the disk, writes to it, and returns its place.
func placed(t *testing.T, dir string) string {
	t.Helper()
	b := openWith(t, dir, Options{})
	defer shut(t, b)
	apply(t, b, true, set("k", "v"))
	require.NotEmpty(t, b.Place())
	return b.Place()
}

// copyFolder copies files with their times and rights, as cp -a, rsync -a and tar do. link makes hard links of them.
func copyFolder(t *testing.T, from, to string, link bool) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o755))
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return copyFile(path, filepath.Join(to, d.Name()), link)
	}))
}

func copyFile(from, to string, link bool) error {
	if link {
		return os.Link(from, to)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	// In place, if there is one: the file keeps its number.
	return errors.Join(os.WriteFile(to, text, info.Mode()), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

func needsIdentity(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" && runtime.GOOS != "freebsd" && runtime.GOOS != "netbsd" {
		t.Skip("files have no identity here")
	}
}

func TestAPlaceStaysTheSame(t *testing.T) {
	needsIdentity(t)
	dir := filepath.Join(t.TempDir(), "data")
	place := placed(t, dir)
	for range 3 {
		require.Equal(t, place, placed(t, dir), "opened again")
	}
	require.NoError(t, os.Rename(dir, dir+".moved"))
	require.Equal(t, place, placed(t, dir+".moved"), "a new name is not a copy: there is one folder as before")
	require.NoError(t, os.Rename(dir+".moved", dir))
	require.Equal(t, place, placed(t, dir))
	copyFolder(t, dir, dir+".copy", false)
	require.Equal(t, place, placed(t, dir), "the original of a copy")
	require.NoError(t, os.Chmod(dir, 0o700))
	require.Equal(t, place, placed(t, dir), "the folder has other rights")
}

func TestTrap14_AClonedFolderIsAnotherPlace(t *testing.T) {
	needsIdentity(t)
	dir := filepath.Join(t.TempDir(), "data")
	place := placed(t, dir)
	copyFolder(t, dir, dir+".copy", false)
	there := placed(t, dir+".copy")
	require.NotEqual(t, place, there)
	require.Equal(t, there, placed(t, dir+".copy"), "which stays the same, too")
	require.Equal(t, place, placed(t, dir))
}

func TestTrap14_AFolderOfHardLinksIsAnotherPlace(t *testing.T) {
	needsIdentity(t)
	dir := filepath.Join(t.TempDir(), "data")
	place := placed(t, dir)
	copyFolder(t, dir, dir+".links", true)
	there := placed(t, dir+".links")
	require.NotEqual(t, place, there)
	require.NotEqual(t, there, placed(t, dir), "the link has changed the file: better once too often")
}

func TestTrap13_ARestoredBackupIsAnotherPlace(t *testing.T) {
	needsIdentity(t)
	restores := map[string]func(t *testing.T, dir, backup string){
		"the folder removed and copied": func(t *testing.T, dir, backup string) {
			require.NoError(t, os.RemoveAll(dir))
			copyFolder(t, backup, dir, false)
		},
		"the folder removed and the copy renamed": func(t *testing.T, dir, backup string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.Rename(backup, dir))
		},
		"files removed and extracted": func(t *testing.T, dir, backup string) {
			empty(t, dir, "")
			copyFolder(t, backup, dir, false)
		},
		"files overwritten in place": func(t *testing.T, dir, backup string) {
			clean(t, dir, backup)
			copyFolder(t, backup, dir, false)
		},
		"all files but the one of the place": func(t *testing.T, dir, backup string) {
			require.NoError(t, os.Remove(filepath.Join(backup, placeFile)))
			empty(t, dir, placeFile)
			copyFolder(t, backup, dir, false)
		},
		"the file of the place lost": func(t *testing.T, dir, _ string) {
			require.NoError(t, os.Remove(filepath.Join(dir, placeFile)))
		},
		"the disk lost": func(t *testing.T, dir, _ string) {
			require.NoError(t, os.RemoveAll(dir))
		},
		"all but the file of the place lost": func(t *testing.T, dir, _ string) {
			empty(t, dir, placeFile)
		},
	}
	for name, restore := range restores {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			place := placed(t, dir)
			backup := dir + ".backup"
			copyFolder(t, dir, backup, false)
			require.Equal(t, place, placed(t, dir), "used on after the backup")
			restore(t, dir, backup)
			now := placed(t, dir)
			require.NotEqual(t, place, now)
			require.Equal(t, now, placed(t, dir))
		})
	}
}

// empty removes all files but one.
func empty(t *testing.T, dir, but string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != but {
			require.NoError(t, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
}

// clean removes the files that the backup does not have, as rsync --delete does.
func clean(t *testing.T, dir, backup string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(backup, e.Name())); errors.Is(err, os.ErrNotExist) {
			require.NoError(t, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
}

func TestACheckpointIsAnotherPlaceWithAllThatWasApplied(t *testing.T) {
	needsIdentity(t)
	dir := filepath.Join(t.TempDir(), "data")
	b := openWith(t, dir, Options{})
	apply(t, b, true, set("a", "1"))
	require.NoError(t, b.db.Flush())
	apply(t, b, false, set("b", "1"), join("c", element(t, "a", 1)))
	to := filepath.Join(filepath.Dir(dir), "copy")
	require.NoError(t, b.Checkpoint(to))
	require.ErrorIs(t, b.Checkpoint(to), os.ErrExist)
	apply(t, b, false, set("a", "2"), set("d", "2"))
	require.NoFileExists(t, filepath.Join(to, placeFile))

	again := openWith(t, to, Options{})
	keys, values := scan(t, again, "", "")
	require.Equal(t, []string{"a", "b", "c"}, keys)
	require.Equal(t, "1", string(values["a"]))
	require.NotEqual(t, b.Place(), again.Place())
	require.Equal(t, "2", string(get(t, b, "a")))
	shut(t, again)
	shut(t, b)
}

// Files in memory cannot be told from their copies, so there is no place: who opens a store there is somebody else.
func TestThereIsNoPlaceInMemory(t *testing.T) {
	disk := vfs.NewMem()
	for range 2 {
		b := open(t, disk)
		require.Empty(t, b.Place())
		shut(t, b)
	}
}

// A folder whose place cannot be found out is not opened: it might be a copy.
func TestAPlaceThatCannotBeRead(t *testing.T) {
	disk := vfs.NewMem()
	shut(t, open(t, disk))
	for _, kind := range []errorfs.OpKind{errorfs.OpOpen, errorfs.OpFileRead, errorfs.OpCreate, errorfs.OpFileWrite,
		errorfs.OpFileSync, errorfs.OpRename} {
		f := &fault{what: to(placeFile, kind), err: syscall.EACCES}
		f.on.Store(true)
		_, err := Open("data", Options{FS: errorfs.Wrap(disk, f)})
		require.ErrorIs(t, err, syscall.EACCES, "%d", kind)
	}
	shut(t, open(t, disk))
}

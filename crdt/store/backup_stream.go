package store

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/internal/wire"
)

// A backup is a number of frames, see Store.Backup:
//
//	[magic, version, number, id]   the head, with the two numbers of the generation
//	[key, value]                   each key, in ascending order, with its encoded value as bytes
//	[count]                        the end: how many keys there were
//
// A frame is the length of that in 4 bytes, that, and 8 bytes of a SHA-256 hash of all bytes before them, from the
// beginning of the stream. Numbers are big-endian. So what is read is known to be what was written, frame by frame, in
// this order and with nothing left out.
const (
	formBackup    = "backup"
	backupMagic   = "eventual backup"
	backupVersion = 1
	backupHead    = 64 // bytes at most in the first frame
	frameHead     = 4
	frameSum      = 8
)

// A frameWriter writes frames. The first error stays.
type frameWriter struct {
	to   io.Writer
	hash hash.Hash
	buf  []byte
	err  error
}

func newFrameWriter(to io.Writer) *frameWriter { return &frameWriter{to: to, hash: sha256.New()} }

func (f *frameWriter) write(fill func(w *wire.Writer)) {
	if f.err != nil {
		return
	}
	w := wire.NewWriter(append(f.buf[:0], make([]byte, frameHead)...))
	fill(w)
	b := w.Done()
	n := len(b) - frameHead
	if uint64(n) > 1<<32-1 {
		f.err = errors.New("a value of more than 4 GiB")
		return
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	f.hash.Write(b)
	sum := frameSumOf(f.hash)
	f.hash.Write(sum)
	f.buf = append(b, sum...)
	_, f.err = f.to.Write(f.buf)
}

func frameSumOf(h hash.Hash) []byte { return h.Sum(nil)[:frameSum] }

func (f *frameWriter) head(at stamp) {
	f.write(func(w *wire.Writer) {
		w.Array(4)
		w.String(backupMagic)
		w.Uint(backupVersion)
		w.Uint(at.number)
		w.Uint(at.id)
	})
}

func (f *frameWriter) item(key string, value []byte) {
	f.write(func(w *wire.Writer) {
		w.Array(2)
		w.String(key)
		w.Bytes(value)
	})
}

func (f *frameWriter) end(count uint64) {
	f.write(func(w *wire.Writer) {
		w.Array(1)
		w.Uint(count)
	})
}

// A frameReader reads frames. What it takes in memory is in proportion to what it has read.
type frameReader struct {
	from   *bufio.Reader
	hash   hash.Hash
	offset int
	count  uint64
	last   string // the key that was read last
}

func newFrameReader(from io.Reader) *frameReader {
	return &frameReader{from: bufio.NewReader(from), hash: sha256.New()}
}

// next returns a reader over the next frame of at most so many bytes. Its bytes stay valid.
func (f *frameReader) next(limit uint32) (*wire.Reader, error) {
	start := f.offset
	head, err := f.read(nil, frameHead)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n > limit {
		return nil, &crdt.CorruptError{Kind: formBackup, Offset: start, Reason: "not a backup"}
	}
	body, err := f.read(nil, int(n))
	if err != nil {
		return nil, err
	}
	f.hash.Write(head)
	f.hash.Write(body)
	want := frameSumOf(f.hash)
	sum, err := f.read(nil, frameSum)
	if err != nil {
		return nil, err
	}
	if string(sum) != string(want) {
		return nil, &crdt.CorruptError{Kind: formBackup, Offset: start, Reason: "the checksum does not fit"}
	}
	f.hash.Write(sum)
	r, err := wire.NewReader(body)
	return r, f.corrupt(start, err)
}

// read appends n bytes to b.
func (f *frameReader) read(b []byte, n int) ([]byte, error) {
	for n > 0 {
		part := min(n, max(len(b), 64<<10))
		b = append(b, make([]byte, part)...)
		got, err := io.ReadFull(f.from, b[len(b)-part:])
		f.offset += got
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &crdt.CorruptError{Kind: formBackup, Offset: f.offset, Reason: "ends before its end mark"}
		}
		if err != nil {
			return nil, err
		}
		n -= part
	}
	return b, nil
}

// corrupt makes what package wire says of a frame an error.
func (f *frameReader) corrupt(start int, err error) error {
	err = corrupt(formBackup, err)
	if c, ok := errors.AsType[*crdt.CorruptError](err); ok {
		c.Offset += start + frameHead
	}
	return err
}

// head reads the first frame. What does not begin like a backup is read no further.
func (f *frameReader) head() (stamp, error) {
	r, err := f.next(backupHead)
	if err != nil {
		return stamp{}, err
	}
	fields := r.Array()
	if r.String() != backupMagic {
		r.Fail("not a backup")
	}
	if v := r.Uint(); r.Err() == nil && v > backupVersion {
		return stamp{}, &crdt.VersionError{Kind: formBackup, Version: v, Supported: backupVersion}
	} else if v != backupVersion || fields != 4 {
		r.Fail("not a head")
	}
	at, ok := stamp{r.Uint(), r.Uint()}.known()
	if !ok {
		r.Fail("no such generation")
	}
	return at, f.corrupt(0, r.Close())
}

// item reads the next key, or the end.
func (f *frameReader) item() (it item, end bool, err error) {
	start := f.offset
	r, err := f.next(1<<32 - 1)
	if err != nil {
		return item{}, false, err
	}
	if r.Array() == 1 {
		if r.Uint() != f.count {
			r.Fail("another number of keys")
		}
		return item{}, true, f.corrupt(start, r.Close())
	}
	it = item{r.String(), r.Bytes()}
	switch {
	case f.count > 0 && it.key <= f.last:
		r.Fail("keys out of order")
	case len(it.value) == 0:
		r.Fail("empty value")
	}
	f.last = it.key
	f.count++
	return it, false, f.corrupt(start, r.Close())
}

// restoring says in which call an error came up.
func restoring(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: restore: %w", err)
}

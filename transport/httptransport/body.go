package httptransport

import (
	"errors"
	"io"
	"sync"
)

const chunk = 64 << 10 // what is allocated on the word of another alone

var (
	errBusy   = errors.New("too much at a time")
	errLength = errors.New("body is not as long as it says")
	errOver   = errors.New("httptransport: call is over")
)

// readExactly reads a body of so many bytes, and its end. The buffer, of which buf
// is the first, grows with what has arrived; take is asked before it does.
func readExactly(body io.Reader, size int, buf []byte, take func(n int) bool) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < size {
		step := min(size-len(buf), max(len(buf), chunk))
		if !take(step) {
			return buf, errBusy
		}
		buf = grow(buf, step)
		n, err := io.ReadFull(body, buf[len(buf):len(buf)+step])
		buf = buf[:len(buf)+n]
		if err != nil {
			return buf, short(err)
		}
	}
	return buf, atEnd(body)
}

func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, len(b)+n), b...)
}

func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errLength
	}
	return err
}

// atEnd reads the end of a body: only then will HTTP/1.1 use the connection again,
// or notice that the caller is gone.
func atEnd(body io.Reader) error {
	var more [1]byte
	switch n, err := io.ReadFull(body, more[:]); {
	case n > 0:
		return errLength
	case err == io.EOF:
		return nil
	default:
		return err
	}
}

// A payload is the request of a call, as net/http reads it: in a goroutine of its
// own, which may go on when the call is over. It gets nothing then, since the bytes
// are the caller's again.
type payload struct {
	mu   sync.Mutex
	data []byte
	over bool
}

// reader returns a reader from the beginning; net/http asks for another one when
// nothing of the first was sent.
func (p *payload) reader() (io.ReadCloser, error) { return &payloadReader{p: p}, nil }

// end takes the bytes back.
func (p *payload) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data, p.over = nil, true
}

type payloadReader struct {
	p  *payload
	at int
}

func (r *payloadReader) Read(b []byte) (int, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	switch {
	case r.p.over:
		return 0, errOver
	case r.at == len(r.p.data):
		return 0, io.EOF
	}
	n := copy(b, r.p.data[r.at:])
	r.at += n
	return n, nil
}

func (r *payloadReader) Close() error { return nil }

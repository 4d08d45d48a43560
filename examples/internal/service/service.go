// Package service has what the examples' programs need beside the library: parts that end together, listeners, and an
// HTTP server that lets requests finish.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Together runs all parts until the first of them ends, ends the others, and returns the first error that is not the
// end of ctx.
func Together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error)
	for _, part := range parts {
		go func() {
			err := part(ctx)
			cancel()
			ended <- err
		}()
	}
	var first error
	for range parts {
		if err := <-ended; first == nil && !errors.Is(err, context.Canceled) {
			first = err
		}
	}
	return first
}

// ServeHTTP serves clients until ctx ends, and then lets requests under way finish, for as long as patience says.
func ServeHTTP(ctx context.Context, ln net.Listener, h http.Handler, patience time.Duration) error {
	s := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		drained <- s.Shutdown(grace)
	})
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	if err := <-drained; err != nil {
		return s.Close()
	}
	return nil
}

// CheckAddr says what is wrong with an address that is to be dialled: nil, or that it is not host:port. Names are not
// looked up: their hosts may come later.
func CheckAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && host != "" {
		if _, err := net.LookupPort("tcp", port); err == nil && port != "" {
			return nil
		}
	}
	return fmt.Errorf("%q is not host:port", addr)
}

// ListenFrom listens on the first free port from addr upward, and moves addr behind it.
func ListenFrom(addr *string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(*addr)
	if err != nil {
		return nil, err
	}
	first, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, err
	}
	for p := first; p < first+100 && p <= 65535; p++ {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(p)))
		if err == nil {
			if p > 0 {
				*addr = net.JoinHostPort(host, fmt.Sprint(p+1))
			}
			return ln, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no free port from %s upward", *addr)
}

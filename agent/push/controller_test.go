package push

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// controller is an HTTP server that takes line protocol as the controller
// does, over connections in memory, so that tests can run in a synctest bubble.
type controller struct {
	client *http.Client
	dial   chan net.Conn

	mu       sync.Mutex
	answer   func(w http.ResponseWriter) // instead of 204; nil: 204
	lines    []string                    // taken, in order
	requests int
}

func newController(t *testing.T) *controller {
	t.Helper()
	c := &controller{dial: make(chan net.Conn)}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		if address != "controller:80" {
			return nil, errors.New("asked for " + address)
		}
		near, far := net.Pipe()
		select {
		case c.dial <- far:
			return near, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	c.client = &http.Client{Transport: transport}
	server := &http.Server{Handler: c}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(pipeListener{c.dial, make(chan struct{})}); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return c
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l pipeListener) Close() error   { close(l.closed); return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (c *controller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	unpacked, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(unpacked)
	if err != nil || r.URL.Path != "/api/v2/write" || r.URL.Query().Get("precision") != "ns" {
		http.Error(w, r.URL.String(), http.StatusNotFound)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if c.answer != nil {
		c.answer(w)
		return
	}
	c.lines = append(c.lines, strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")...)
	w.WriteHeader(http.StatusNoContent)
}

// answers makes every request from now on end so; nil: taken.
func (c *controller) answers(answer func(http.ResponseWriter)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *controller) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"code":"test","message":"as the test wants it"}`)
	}
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

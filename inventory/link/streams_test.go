package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// slowToClose is a connection that takes its time to close, as TLS does when nobody reads
// its last word.
type slowToClose struct {
	net.Conn
	closing chan struct{}
	goOn    chan struct{}
	once    sync.Once
}

func (c *slowToClose) Close() error {
	c.once.Do(func() { close(c.closing) })
	<-c.goOn
	return c.Conn.Close()
}

// Who waits for an answer over a link that is being closed hears of it at once, and does not
// turn in a loop until the connection is closed.
func TestReadingEndsBeforeTheConnectionIsClosed(t *testing.T) {
	left, right := net.Pipe()
	slow := &slowToClose{Conn: left, closing: make(chan struct{}), goOn: make(chan struct{})}
	log := slog.New(slog.DiscardHandler)
	a, err := New(slow, Dialled, http.NotFoundHandler(), nil, log)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	var once sync.Once
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(asked) })
		<-r.Context().Done()
	})
	c, err := New(right, Accepted, silent, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = c.Serve(context.Background()) }()

	answered := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://peer/x", nil)
		res, err := a.Client().Do(req)
		if err == nil {
			err = errors.Join(errors.New("there was an answer"), res.Body.Close())
		}
		answered <- err
	}()
	<-asked
	closed := make(chan struct{})
	go func() { defer close(closed); a.Close() }()
	<-slow.closing
	select {
	case err := <-answered:
		// It is a connection that broke, not a peer that is slow.
		if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
			t.Errorf("who waits hears: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("who waits hears nothing until the connection is closed")
	}
	close(slow.goOn)
	<-closed
	c.Close()
	<-served
}

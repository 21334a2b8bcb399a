package link

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

func pair(t *testing.T, agent, controller http.Handler) (a, c *Link) {
	t.Helper()
	left, right := net.Pipe()
	log := slog.New(slog.DiscardHandler)
	var err error
	if a, err = New(left, Dialled, agent, nil, log); err != nil {
		t.Fatal(err)
	}
	type key struct{}
	base := func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "mail1") }
	seen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Who", fmt.Sprint(r.Context().Value(key{})))
		controller.ServeHTTP(w, r)
	})
	if c, err = New(right, Accepted, seen, base, log); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Link{a, c} {
		done := make(chan struct{})
		go func() { defer close(done); _ = l.Serve(context.Background()) }()
		t.Cleanup(func() { l.Close(); <-done })
	}
	return a, c
}

func ask(t *testing.T, l *Link) (string, http.Header) {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://peer/x", nil)
	res, err := l.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	return string(b), res.Header
}

func say(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

func TestBothEndsAsk(t *testing.T) {
	a, c := pair(t, say("agent"), say("controller"))
	got, h := ask(t, a)
	if got != "controller" || h.Get("Who") != "mail1" {
		t.Fatalf("the agent heard %q with %q", got, h.Get("Who"))
	}
	if got, _ := ask(t, c); got != "agent" {
		t.Fatalf("the controller heard %q", got)
	}
}

func TestCloseIsSeenByTheOtherEnd(t *testing.T) {
	a, c := pair(t, say(""), say(""))
	a.Close()
	select {
	case <-c.Done():
	case <-time.After(time.Minute):
		t.Fatal("the other end did not notice")
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://peer/x", nil)
	if res, err := c.Client().Do(req); err == nil {
		_ = res.Body.Close()
		t.Fatal("a closed link answered")
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	left, right := net.Pipe()
	defer func() { _ = right.Close() }()
	l, err := New(left, Dialled, say(""), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, right) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Serve(ctx); err == nil {
		t.Fatal("no error from a cancelled Serve")
	}
}

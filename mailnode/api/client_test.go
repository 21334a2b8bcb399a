package api

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), SocketName)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: handler}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return Dial(path)
}

func TestClientReturnsTheProblemOfARefusedReload(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/reload" {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"title":"bad","status":422,"detail":"f:1:1: it is bad"}`))
	})
	_, err := c.Reload(t.Context())
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Status != 422 || err.Error() != "f:1:1: it is bad" {
		t.Errorf("got %#v", err)
	}
}

func TestClientSaysWhenNobodyAnswers(t *testing.T) {
	_, err := Dial(filepath.Join(t.TempDir(), "absent")).Status(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "the mailnode does not answer: ") {
		t.Errorf("got %v", err)
	}
}

func TestClientRefusesAnAnswerThatIsNotJSON(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	if _, err := c.Counters(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("got %v", err)
	}
}

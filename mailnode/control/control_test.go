package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/mailnode/api"
)

type node struct{ err error }

func (n *node) Status() api.Status {
	return api.Status{PID: 7, ConfigIndex: 3, Listeners: []api.Listener{{Protocol: api.SMTP, Address: "127.0.0.1:25"}},
		Connections: map[api.Protocol]int{api.POP3: 2}, Counters: n.Counters()}
}
func (n *node) Counters() api.Counters                 { return api.Counters{api.SMTPAccepted: 5} }
func (n *node) Reload(context.Context) (uint64, error) { return 4, n.err }

func serve(t *testing.T, n *node) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), api.SocketName)
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(n, slog.New(slog.DiscardHandler))
	served := make(chan struct{})
	go func() { s.Serve(l); close(served) }()
	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-served
	})
	return path
}

func TestTheClientUnderstandsTheServer(t *testing.T) {
	n := &node{}
	c := api.Dial(serve(t, n))
	status, err := c.Status(t.Context())
	if err != nil || status.PID != 7 || status.ConfigIndex != 3 || status.Listeners[0].Address != "127.0.0.1:25" ||
		status.Connections[api.POP3] != 2 || status.Counters[api.SMTPAccepted] != 5 {
		t.Errorf("got %+v, %v", status, err)
	}
	counters, err := c.Counters(t.Context())
	if err != nil || counters[api.SMTPAccepted] != 5 {
		t.Errorf("got %v, %v", counters, err)
	}
	done, err := c.Reload(t.Context())
	if err != nil || done.Index != 4 {
		t.Errorf("got %v, %v", done, err)
	}
	n.err = errors.New("f:3:4: it is bad")
	_, err = c.Reload(t.Context())
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Detail != "f:3:4: it is bad" || p.Status != 422 {
		t.Errorf("got %#v", err)
	}
}

func TestSocketIsForThisUserOnly(t *testing.T) {
	info, err := os.Stat(serve(t, &node{}))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestSocketLeftBehindIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestLongPathIsRefusedInWords(t *testing.T) {
	_, err := Listen(t.Context(), "/"+strings.Repeat("x", 107))
	if err == nil || !strings.Contains(err.Error(), "has 108 bytes and may have 107: use a shorter --dir") {
		t.Errorf("got %v", err)
	}
}

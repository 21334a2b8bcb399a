package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"mailfleet/agent/api"
	"mailfleet/inventory"
)

// handed serves the agent's answers with a mailnode at socket, and returns its client.
func handed(t *testing.T, socket string) *api.Client {
	t.Helper()
	mux := http.NewServeMux()
	mail := handOn(func() string { return socket }, slog.New(slog.DiscardHandler))
	for _, pattern := range api.MailRoutes {
		mux.Handle(pattern, mail)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	address := web.Listener.Addr().String()
	return &api.Client{HTTP: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
		DisableKeepAlives: true,
	}}}
}

func TestTheMailnodeIsAskedThroughTheAgent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	node := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.RequestURI()
		switch r.URL.Path {
		case "/v1/sessions/gone":
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"detail":"there is no session gone any more"}`))
		case "/v1/accounts/a/mailboxes":
			_, _ = w.Write([]byte(`{"mailboxes":[{"name":"INBOX"}]}`))
		case "/v1/accounts/a/sign-ins":
			_, _ = w.Write([]byte(`{"sign_ins":[{"address":"192.0.2.1","ok":true}]}`))
		default:
			_, _ = w.Write([]byte(`{"sessions":[{"id":"1","protocol":"pop3"}],"ended":2}`))
		}
	})}
	served := make(chan error, 1)
	go func() { served <- node.Serve(l) }()
	t.Cleanup(func() {
		_ = node.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	c := handed(t, socket)
	page, err := c.MailSessions(t.Context(), inventory.MailSessionQuery{Account: "a", Limit: 7})
	if err != nil || len(page.Sessions) != 1 || page.Sessions[0].Protocol != "pop3" || asked != "GET /v1/sessions?account=a&limit=7" {
		t.Errorf("got %+v, %v after %s", page, err, asked)
	}
	if n, err := c.EndMailSessions(t.Context(), inventory.MailSessionQuery{Within: []string{"a.test"}}); n != 2 || err != nil || asked != "DELETE /v1/sessions?within=a.test" {
		t.Errorf("got %d, %v after %s", n, err, asked)
	}
	if err := c.EndMailSession(t.Context(), "gone"); !inventory.Is(err, inventory.NotFound) || err.Error() != "there is no session gone any more" {
		t.Errorf("got %v", err)
	}
	if all, err := c.Mailboxes(t.Context(), "a"); err != nil || len(all.Mailboxes) != 1 || asked != "GET /v1/accounts/a/mailboxes" {
		t.Errorf("got %+v, %v after %s", all, err, asked)
	}
	if list, err := c.SignIns(t.Context(), "a"); err != nil || len(list) != 1 || !list[0].OK {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestAMailnodeThatIsDownIsUnavailable(t *testing.T) {
	_, err := handed(t, filepath.Join(t.TempDir(), "absent")).MailSessions(t.Context(), inventory.MailSessionQuery{})
	if !inventory.Is(err, inventory.Unavailable) || err.Error() != "the mailnode is not running" {
		t.Errorf("got %v", err)
	}
}

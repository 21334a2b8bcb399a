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

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

type node struct{ err error }

func (n *node) Status() api.Status {
	return api.Status{PID: 7, ConfigIndex: 3, Listeners: []api.Listener{{Protocol: api.SMTP, Address: "127.0.0.1:25"}},
		Connections: map[api.Protocol]int{api.POP3: 2}, Counters: n.Counters()}
}
func (n *node) Counters() api.Counters                 { return api.Counters{api.SMTPAccepted: 5} }
func (n *node) Reload(context.Context) (uint64, error) { return 4, n.err }

func (n *node) Sessions(q inventory.MailSessionQuery) inventory.MailSessionPage {
	return inventory.MailSessionPage{Sessions: []inventory.MailSession{{ID: "1", Account: q.Account, Protocol: q.Protocols[0]}}, Next: q.After}
}
func (n *node) EndSession(id string) bool { return id == "1" }
func (n *node) EndSessions(q inventory.MailSessionQuery) int {
	return len(q.Account) + 10*len(q.Within)
}
func (n *node) Mailboxes(_ context.Context, account inventory.ID) (inventory.Mailboxes, error) {
	return inventory.Mailboxes{Messages: 3, Mailboxes: []inventory.Mailbox{{Name: string(account), Messages: 3}}}, n.err
}
func (n *node) SignIns(account inventory.ID) []inventory.MailSignIn {
	return []inventory.MailSignIn{{Count: 3, Address: string(account)}}
}

func (n *node) List(context.Context) ([]inventory.MailHold, error) {
	return []inventory.MailHold{{Account: "a/b", Messages: 2}}, n.err
}

func (n *node) Release(_ context.Context, account inventory.ID) (int, error) { return held(account, 2) }
func (n *node) Delete(_ context.Context, account inventory.ID) (int, error)  { return held(account, 3) }

func held(account inventory.ID, entries int) (int, error) {
	if account != "a/b" {
		return 0, inventory.Errorf(inventory.NotFound, "%s is not held", account)
	}
	return entries, nil
}

func serve(t *testing.T, n *node) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), api.SocketName)
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(n, slog.New(slog.DiscardHandler))
	s.HandleHolds(n)
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

func TestSessionsAndSignIns(t *testing.T) {
	path := serve(t, &node{})
	c := api.Dial(path)
	page, err := c.Sessions(t.Context(), inventory.MailSessionQuery{Account: "a", Protocols: []string{"pop3"}, After: "x", Limit: 5})
	if err != nil || len(page.Sessions) != 1 || page.Sessions[0].Account != "a" || page.Sessions[0].Protocol != "pop3" || page.Next != "x" {
		t.Errorf("got %+v, %v", page, err)
	}
	if err := c.EndSession(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	if n, err := c.EndSessions(t.Context(), inventory.MailSessionQuery{Account: "abc", Within: []string{"a.test", "b.test"}}); n != 23 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	list, err := c.SignIns(t.Context(), "a/b")
	if err != nil || len(list) != 1 || list[0].Address != "a/b" {
		t.Errorf("got %+v, %v", list, err)
	}
	all, err := c.Mailboxes(t.Context(), "a/b")
	if err != nil || all.Messages != 3 || len(all.Mailboxes) != 1 || all.Mailboxes[0].Name != "a/b" {
		t.Errorf("got %+v, %v", all, err)
	}
	for want, ask := range map[int]func() error{
		404: func() error { return c.EndSession(t.Context(), "2") },
		422: func() error {
			_, err := c.EndSessions(t.Context(), inventory.MailSessionQuery{Protocols: []string{"pop3"}})
			return err
		},
	} {
		if p, ok := errors.AsType[*api.Problem](ask()); !ok || p.Status != want {
			t.Errorf("got %#v, want %d", p, want)
		}
	}
	_, err = c.Sessions(t.Context(), inventory.MailSessionQuery{Limit: inventory.MaxMailSessions + 1})
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != 422 {
		t.Errorf("got %v", err)
	}
}

func TestHolds(t *testing.T) {
	c := api.Dial(serve(t, &node{}))
	list, err := c.Holds(t.Context())
	if err != nil || len(list) != 1 || list[0].Account != "a/b" || list[0].Messages != 2 {
		t.Errorf("got %+v, %v", list, err)
	}
	if n, err := c.ReleaseHold(t.Context(), "a/b"); n != 2 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if n, err := c.DeleteHeld(t.Context(), "a/b"); n != 3 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	_, err = c.ReleaseHold(t.Context(), "x")
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != 404 || p.Detail != "x is not held" {
		t.Errorf("got %#v", err)
	}
}

package imapd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/gate/gatetest"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

const (
	users  = 60
	secret = "secret pass"
	// hashed is secret's, at a cost for tests.
	hashed = "$argon2id$v=19$m=64,t=1,p=1$adV0wtKA1qnLotXX0aLn9g$dxWxDlJVUvRVONUYYmRkLaKJpPlVUZJk4hBwwAo+cEY"
)

func address(n int) string { return fmt.Sprintf("user%d@example.test", n) }
func account(n int) string { return fmt.Sprintf("0198c0de-0000-7000-8000-%012d", n) }

func accounts() *directory.Directory {
	var list []directory.Account
	for n := range users {
		list = append(list, directory.Account{ID: account(n), Address: address(n), PasswordHash: hashed, Suspended: n == 0})
	}
	return directory.New(directory.NewTable([]string{"example.test"}, list, ""))
}

func digest(body *io.SectionReader) (store.Digest, error) {
	d, err := message.Parse(body)
	if err != nil {
		return store.Digest{}, err
	}
	return store.Digest{Data: d.Encode(), Thread: append([]string{d.Keys.MessageID}, d.Keys.References...)}, nil
}

// fixture is a server with a store behind it.
type fixture struct {
	*Server
	store *store.Store
	addr  string
	stop  func()
}

type config struct {
	Options
	store  store.Options
	dir    string // the store's, a new one when empty
	serve  func(*Server, *gate.Listener)
	remote bool // passwords need TLS
}

func start(t testing.TB, change func(*config)) *fixture {
	t.Helper()
	c := config{store: store.Options{Digest: digest}, serve: (*Server).Serve}
	dir := accounts()
	c.Options = Options{
		Accounts: dir, SpoolDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Settings: Settings{Hostname: "mx.example.test", MessageBytes: 20 << 20, Limits: gate.Limits{Connections: 20_000, PerAddress: 20_000}},
	}
	if change != nil {
		change(&c)
	}
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	s, err := store.Open(c.dir, c.store)
	if err != nil {
		t.Fatal(err)
	}
	c.Store = s
	if c.Auth == nil {
		c.Auth = auth.New(auth.Options{Accounts: dir, Key: make([]byte, 32)})
	}
	n := &fixture{Server: New(c.Options), store: s}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	guarded := n.Gate.Listen(l)
	guarded.Local = !c.remote
	served := make(chan struct{})
	go func() { c.serve(n.Server, guarded); close(served) }()
	n.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		n.Stop(ctx)
		<-served
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

func certificate(t testing.TB) *tls.Config { return gatetest.Certificate(t, "mx.example.test") }

// TestConformance runs the scripts, one for each capability, each with a user of its own.
func TestConformance(t *testing.T) {
	n := start(t, func(c *config) {
		c.store.Quota = func(string) store.Quota { return store.Quota{Bytes: 1 << 20, Messages: 10} }
	})
	for i, s := range scripts(t) {
		t.Run(s.name, func(t *testing.T) {
			if reason, not := s.notOn["mailfleet"]; not {
				t.Skip(reason)
			}
			s.run(t, "m", n.addr, map[string]string{
				"user": address(2*i + 1), "other": address(2*i + 2), "password": `"` + secret + `"`,
			})
		})
	}
}

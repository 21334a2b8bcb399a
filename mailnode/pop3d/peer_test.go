package pop3d

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	inventorycredential "mailfleet/inventory/credential"
	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/gate/gatetest"
	"mailfleet/mailnode/store"
)

const user1 = "0198c0de-0000-7000-8000-000000000001"

func settings() Settings {
	return Settings{Hostname: "mx.example.test", Limits: gate.Limits{Connections: 100, PerAddress: 100}}
}

// accounts are user1, whose password is "secret pass", and the suspended user2.
func accounts() *auth.Auth {
	const hash = "$argon2id$v=19$m=64,t=1,p=1$adV0wtKA1qnLotXX0aLn9g$dxWxDlJVUvRVONUYYmRkLaKJpPlVUZJk4hBwwAo+cEY"
	salted := inventorycredential.SCRAM{Iterations: 4096, Salt: []byte("salt and pepper")}
	keys, err := salted.Derive("secret pass")
	if err != nil {
		panic(err)
	}
	return auth.New(auth.Options{Key: make([]byte, 32), Tokens: tokens{}, Accounts: directory.New(directory.NewTable([]string{"example.test"}, []directory.Account{
		{ID: user1, Address: "user1@example.test", PasswordHash: hash, SCRAM: keys.String()},
		{ID: "2", Address: "user2@example.test", PasswordHash: hash, Suspended: true},
	}, ""))})
}

// tokens takes one bearer token.
type tokens struct{}

func (tokens) Verify(_ context.Context, token string) (string, error) {
	if token == "good" {
		return "user1@example.test", nil
	}
	return "", auth.ErrRefused
}

// node is a server with a store behind it.
type node struct {
	*Server
	store *store.Store
	addr  string
}

func start(t testing.TB, change func(*Options)) *node {
	t.Helper()
	return startTLS(t, change, (*Server).Serve)
}

func startTLS(t testing.TB, change func(*Options), serve func(*Server, *gate.Listener)) *node {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Auth: accounts(), Mailboxes: Stored{s}, Logger: slog.New(slog.DiscardHandler), Settings: settings()}
	if change != nil {
		change(&o)
	}
	n := &node{Server: New(o), store: s}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	guarded := n.Gate.Listen(l)
	guarded.Local = true
	served := make(chan struct{})
	go func() { serve(n.Server, guarded); close(served) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		n.Stop(ctx)
		<-served
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) deliver(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := n.store.Deliver(t.Context(), store.Delivery{Accounts: []string{user1}, Body: strings.NewReader(text), Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
	}
}

// peer is a client that says exactly what it is told to.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newPeer(t testing.TB, c net.Conn) *peer { return &peer{t, c, bufio.NewReader(c)} }

func (n *node) dial(t testing.TB) *peer {
	t.Helper()
	c, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, c)
	p.want("+OK mx.example.test")
	return p
}

// signedIn is a peer in the TRANSACTION state.
func (n *node) signedIn(t testing.TB) *peer {
	t.Helper()
	p := n.dial(t)
	p.signIn()
	return p
}

func (p *peer) signIn() {
	p.t.Helper()
	p.do("USER user1@example.test", "+OK")
	p.do("PASS secret pass", "+OK")
}

func (p *peer) send(raw string) {
	p.t.Helper()
	if _, err := io.WriteString(p, raw); err != nil {
		p.t.Fatalf("sending %.80q: %v", raw, err)
	}
}

// line reads a line without its end.
func (p *peer) line() string {
	p.t.Helper()
	line, err := p.r.ReadString('\n')
	if err != nil || !strings.HasSuffix(line, "\r\n") {
		p.t.Fatalf("a line %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (p *peer) want(prefix string) string {
	p.t.Helper()
	got := p.line()
	if !strings.HasPrefix(got, prefix) {
		p.t.Fatalf("got %q, want %q", got, prefix)
	}
	return got
}

func (p *peer) do(command, prefix string) string {
	p.t.Helper()
	p.send(command + "\r\n")
	return p.want(prefix)
}

// lines sends a command and returns the lines of its answer, raw.
func (p *peer) lines(command string) (lines []string) {
	p.t.Helper()
	p.do(command, "+OK")
	for {
		line := p.line()
		if line == "." {
			return lines
		}
		lines = append(lines, line)
	}
}

// wantClosed proves that the server says nothing more and closes, also with a reset when
// it has not read all.
func (p *peer) wantClosed() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.r); err != nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		p.t.Fatalf("the connection goes on: %q, %v", rest, err)
	}
}

func certificate(t testing.TB) *tls.Config { return gatetest.Certificate(t, "mx.example.test") }

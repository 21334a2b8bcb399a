package smtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/gate/gatetest"
	"mailfleet/mailnode/store"
)

const (
	user1 = "0198c0de-0000-7000-8000-000000000001"
	user2 = "0198c0de-0000-7000-8000-000000000002"
)

func settings() Settings {
	return Settings{
		Hostname: "mx.example.test", MessageBytes: 1 << 20, Recipients: 3,
		Limits: gate.Limits{Connections: 100, PerAddress: 100},
	}
}

func accounts() *directory.Directory {
	return directory.New(directory.NewTable([]string{"example.test"}, []directory.Account{
		{ID: user1, Address: "user1@example.test"},
		{ID: user2, Address: "user2@example.test"},
		{ID: "3", Address: "gone@example.test", Suspended: true},
	}, "user2@example.test"))
}

// boxes puts mail into the mailboxes of a store. A test may spoil it between two messages.
type boxes struct {
	*directory.Directory
	store *store.Store

	mu   sync.Mutex
	err  error  // the store's
	most int64  // what a mailbox takes; 0: all
	full string // an account whose mailbox is full
}

func (b *boxes) Judge(_ context.Context, _ directory.Sender, address string, size int64) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, err := b.Recipient(address)
	if err == nil && b.most > 0 && size > b.most {
		err = store.ErrQuota
	}
	return a.MessageBytes, err
}

// spoil changes what a test wants of them.
func (b *boxes) spoil(f func()) { b.mu.Lock(); defer b.mu.Unlock(); f() }

func (b *boxes) Room(size int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, store.ErrFull) {
		return b.err
	}
	return b.store.Room(size)
}

func (b *boxes) Accept(ctx context.Context, e envelope.Envelope, prefix []byte, body io.Reader, size int64) error {
	b.mu.Lock()
	bad, full := b.err, b.full
	b.mu.Unlock()
	if bad != nil {
		return bad
	}
	d := store.Delivery{Prefix: append([]byte("Return-Path: <"+e.From+">\r\n"), prefix...), Body: body, Size: size}
	for _, r := range e.Recipients {
		a, err := b.Recipient(r.Address)
		if err != nil {
			return err
		}
		if a.ID == full {
			return store.ErrQuota
		}
		d.Accounts = append(d.Accounts, a.ID)
	}
	_, err := b.store.Deliver(ctx, d)
	return err
}

// node is a server with a store behind it.
type node struct {
	*Server
	*boxes
	addr string
}

func start(t testing.TB, change func(*Options)) *node {
	t.Helper()
	return startKind(t, Receiving, change, nil)
}

func startKind(t testing.TB, k Kind, change func(*Options), listen func(*gate.Listener) *Policy) *node {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &boxes{Directory: accounts(), store: s}
	o := Options{
		Recipients: b, Deliverer: b, Room: b.Room, SpoolDir: t.TempDir(),
		Logger: slog.New(slog.DiscardHandler), Settings: settings(),
	}
	if change != nil {
		change(&o)
	}
	n := &node{Server: New(o), boxes: b}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	guarded := n.Gate(k).Listen(l)
	policy := &Policy{Filter: true, Judge: true, Reputation: true}
	if listen != nil {
		policy = listen(guarded)
	}
	served := make(chan struct{})
	go func() { n.Serve(guarded, k, func() Policy { return *policy }); close(served) }()
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

// mail returns an account's messages.
func (n *node) mail(t testing.TB, account string) (texts []string) {
	t.Helper()
	_, messages, err := n.store.Snapshot(t.Context(), store.Place{Account: account, Mailbox: store.Inbox})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		b, err := io.ReadAll(n.store.Body(m))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}

func loopback(ip netip.Addr) bool { return ip.IsLoopback() }

// peer is a client that says exactly what it is told to.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

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
	return newPeer(t, c)
}

func newPeer(t testing.TB, c net.Conn) *peer {
	return &peer{t, c, bufio.NewReader(c)}
}

// greeted is a peer that has said EHLO.
func (n *node) greeted(t testing.TB) *peer {
	t.Helper()
	p := n.dial(t)
	p.want("220 mx.example.test ESMTP")
	p.do("EHLO client.test", "250 ENHANCEDSTATUSCODES")
	return p
}

func (p *peer) send(raw string) {
	p.t.Helper()
	if _, err := io.WriteString(p, raw); err != nil {
		p.t.Fatalf("sending %.80q: %v", raw, err)
	}
}

// reply reads one reply and returns its lines, joined by newlines.
func (p *peer) reply() string {
	p.t.Helper()
	var lines []string
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("after %q: %v", lines, err)
		}
		if !strings.HasSuffix(line, "\r\n") || len(line) < 6 {
			p.t.Fatalf("a reply line %q", line)
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
		if line[3] == ' ' {
			return strings.Join(lines, "\n")
		}
	}
}

// want reads one reply, whose last line must begin so.
func (p *peer) want(prefix string) string {
	p.t.Helper()
	got := p.reply()
	if last := got[strings.LastIndexByte(got, '\n')+1:]; !strings.HasPrefix(last, prefix) {
		p.t.Fatalf("got %q, want %q", got, prefix)
	}
	return got
}

func (p *peer) do(command, prefix string) string {
	p.t.Helper()
	p.send(command + "\r\n")
	return p.want(prefix)
}

// wantClosed proves that the server says nothing more and closes, also with a reset when
// it has not read all.
func (p *peer) wantClosed() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.r); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		p.t.Fatalf("the connection goes on: %q, %v", rest, err)
	}
}

// data opens a transaction for user1, up to 354.
func (p *peer) data() {
	p.t.Helper()
	p.recipient()
	p.do("DATA", "354 ")
}

// recipient opens a transaction for user1.
func (p *peer) recipient() {
	p.t.Helper()
	p.do("MAIL FROM:<a@b.test>", "250 2.1.0")
	p.do("RCPT TO:<user1@example.test>", "250 2.1.5")
}

func certificate(t testing.TB) *tls.Config { return gatetest.Certificate(t, "mx.example.test") }

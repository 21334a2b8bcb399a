package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/store"
)

const (
	first  = "Subject: one\r\n\r\n.dot\r\n..dots\r\n.\r\nend\r\n"
	second = "Subject: two\r\n\r\nline 1\r\nline 2\r\nline 3\r\n"
)

func TestSession(t *testing.T) {
	n := start(t, nil)
	n.deliver(t, first, second, "")
	p := n.signedIn(t)
	total := len(first) + len(second)
	for _, step := range []struct{ command, want string }{
		{"STAT", fmt.Sprintf("+OK 3 %d", total)},
		{"LIST 2", fmt.Sprintf("+OK 2 %d", len(second))},
		{"LIST 4", "-ERR"},
		{"LIST 0", "-ERR"},
		{"LIST x", "-ERR"},
		{"LIST -1", "-ERR"},
		{"LIST 99999999999999999999", "-ERR"},
		{"UIDL 4", "-ERR"},
		{"RETR", "-ERR"},
		{"RETR 9", "-ERR"},
		{"TOP 1", "-ERR"},
		{"TOP 9 1", "-ERR"},
		{"TOP 1 -1", "-ERR"},
		{"NOOP", "+OK"},
		{"noop", "+OK"},
		{"DELE 1", "+OK"},
		{"DELE 1", "-ERR"},
		{"RETR 1", "-ERR"},
		{"LIST 1", "-ERR"},
		{"STAT", fmt.Sprintf("+OK 2 %d", len(second))},
		{"RSET", "+OK"},
		{"STAT", fmt.Sprintf("+OK 3 %d", total)},
		{"USER x", "-ERR"},
		{"FROB", "-ERR"},
		{"", "-ERR"},
	} {
		p.do(step.command, step.want)
	}
	if got, want := p.lines("LIST"), []string{fmt.Sprintf("1 %d", len(first)), fmt.Sprintf("2 %d", len(second)), "3 0"}; !slices.Equal(got, want) {
		t.Errorf("LIST: %q", got)
	}
	want := []string{"Subject: one", "", "..dot", "...dots", "..", "end"}
	if got := p.lines("RETR 1"); !slices.Equal(got, want) {
		t.Errorf("RETR: %q", got)
	}
	if got := p.lines("RETR 3"); len(got) != 0 {
		t.Errorf("RETR of an empty message: %q", got)
	}
	for lines, want := range map[int][]string{
		0: {"Subject: two", ""}, 1: {"Subject: two", "", "line 1"}, 9: {"Subject: two", "", "line 1", "line 2", "line 3"},
	} {
		if got := p.lines(fmt.Sprintf("TOP 2 %d", lines)); !slices.Equal(got, want) {
			t.Errorf("TOP 2 %d: %q", lines, got)
		}
	}
	p.do("QUIT", "+OK")
	p.wantClosed()
	if l, r := n.Counters.Logins.Load(), n.Counters.Retrieved.Load(); l != 1 || r != 2 {
		t.Errorf("counted %d sign-ins, %d retrieved", l, r)
	}
}

func TestDeletedMessagesGoAtQUITOnly(t *testing.T) {
	n := start(t, nil)
	n.deliver(t, first, second, first)
	p := n.signedIn(t)
	ids := p.lines("UIDL")
	p.do("DELE 2", "+OK")
	_ = p.Close() // no QUIT

	p = eventually(t, n)
	if got := p.lines("UIDL"); !slices.Equal(got, ids) {
		t.Errorf("UIDL was %q and is %q", ids, got)
	}
	p.do("DELE 1", "+OK")
	p.do("DELE 2", "+OK")
	p.do("QUIT", "+OK 1 messages left")
	p.wantClosed()

	p = n.signedIn(t)
	_, last, _ := strings.Cut(ids[2], " ")
	if got := p.lines("UIDL"); !slices.Equal(got, []string{"1 " + last}) {
		t.Errorf("UIDL is %q, the message was %q", got, ids[2])
	}
	if n.Counters.Deleted.Load() != 2 {
		t.Errorf("counted %d deleted", n.Counters.Deleted.Load())
	}
}

// eventually signs in as soon as the server has noticed that the last session is gone.
func eventually(t *testing.T, n *node) *peer {
	t.Helper()
	for {
		p := n.dial(t)
		p.do("USER user1@example.test", "+OK")
		p.send("PASS secret pass\r\n")
		if got := p.line(); strings.HasPrefix(got, "+OK") {
			return p
		} else if !strings.Contains(got, "[IN-USE]") {
			t.Fatal(got)
		}
		p.do("QUIT", "+OK")
	}
}

func TestMaildropIsHeldByOneSession(t *testing.T) {
	n := start(t, nil)
	p := n.signedIn(t)
	other := n.dial(t)
	other.do("USER USER1@example.test", "+OK")
	other.do("PASS secret pass", "-ERR [IN-USE]")
	p.do("QUIT", "+OK")
	other.signIn()
}

// The session sees the maildrop of its beginning, whatever comes and goes meanwhile.
func TestMaildropIsASnapshot(t *testing.T) {
	n := start(t, nil)
	n.deliver(t, first, second)
	p := n.signedIn(t)
	n.deliver(t, first)
	if _, err := n.store.Expunge(t.Context(), store.Place{Account: user1, Mailbox: store.Inbox}, []uint32{2}); err != nil {
		t.Fatal(err)
	}
	p.do("STAT", "+OK 2 ")
	p.lines("RETR 1")
	p.do("RETR 2", "+OK") // its bytes are gone: no end, no next answer
	p.wantClosed()
}

func TestSignInIsRefused(t *testing.T) {
	n := start(t, nil)
	p := n.dial(t)
	p.do("PASS secret pass", "-ERR USER comes first")
	p.do("USER", "-ERR")
	p.do("STAT", "-ERR")
	p.do("USER user2@example.test", "+OK")
	p.do("PASS secret pass", "-ERR [AUTH] the account is suspended")
	p.do("PASS secret pass", "-ERR USER comes first")
	p.signIn()
	if n.Counters.LoginFailures.Load() != 1 {
		t.Errorf("counted %d failures", n.Counters.LoginFailures.Load())
	}
}

// remote is a connection that does not come from this machine.
type remote struct{ net.Conn }

func (remote) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// serveRemote makes all connections of a server come from elsewhere.
func serveRemote(s *Server, l *gate.Listener) {
	l.Listener = remoteListener{l.Listener}
	s.Serve(l)
}

type remoteListener struct{ net.Listener }

func (l remoteListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return remote{c}, nil
}

func TestPasswordsFromElsewhereNeedTLS(t *testing.T) {
	n := startTLS(t, func(o *Options) { o.Settings.TLS = certificate(t) }, serveRemote)
	p := n.dial(t)
	if got := p.lines("CAPA"); slices.Contains(got, "USER") || !slices.Contains(got, "STLS") {
		t.Errorf("CAPA: %q", got)
	}
	p.do("USER user1@example.test", "-ERR passwords are taken only after STLS")
	p.do("PASS secret pass", "-ERR passwords are taken only after STLS")
	p.do("STLS now", "-ERR")
	p.do("STLS", "+OK")
	p = newPeer(t, tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true}))
	if got := p.lines("CAPA"); !slices.Contains(got, "USER") || slices.Contains(got, "STLS") {
		t.Errorf("CAPA in TLS: %q", got)
	}
	p.do("STLS", "-ERR")
	p.signIn()
	p.do("STLS", "-ERR")

	n = startTLS(t, func(o *Options) { o.Settings.PlainAuth = true }, serveRemote)
	p = n.dial(t)
	p.do("STLS", "-ERR there is no TLS here")
	p.signIn()
}

func TestTLSFromTheFirstByte(t *testing.T) {
	n := startTLS(t, func(o *Options) { o.Settings.TLS = certificate(t) }, (*Server).ServeTLS)
	n.deliver(t, first)
	c, err := tls.Dial("tcp", n.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	p := newPeer(t, c)
	p.want("+OK")
	p.signIn()
	p.lines("RETR 1")
	p.do("QUIT", "+OK")
}

// Commands sent in the clear behind STLS must not run inside TLS (CVE-2011-0411).
func TestCommandsBehindSTLSAreNotRun(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.TLS = certificate(t) })
	p := n.dial(t)
	p.send("STLS\r\nUSER evil\r\n")
	p.want("-ERR nothing may follow STLS")
}

func TestCapabilities(t *testing.T) {
	p := start(t, nil).dial(t)
	want := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION Mailfleet", "USER"}
	if got := p.lines("CAPA"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	p.signIn()
	if got := p.lines("CAPA"); !slices.Equal(got, want) {
		t.Errorf("signed in: %q", got)
	}
}

func TestPipelining(t *testing.T) {
	n := start(t, nil)
	n.deliver(t, first, second)
	p := n.dial(t)
	p.send("USER user1@example.test\r\nPASS secret pass\r\nSTAT\r\nRETR 2\r\nDELE 2\r\nQUIT\r\n")
	for _, want := range []string{"+OK", "+OK 2 messages", "+OK 2 ", "+OK", "Subject: two", "", "line 1", "line 2", "line 3", ".", "+OK", "+OK 1 messages left"} {
		p.want(want)
	}
	p.wantClosed()
}

func TestBadLines(t *testing.T) {
	n := start(t, nil)
	p := n.dial(t)
	p.do("US\x00ER x", "-ERR there is no such command")
	p.send("USER user1@example.test\n") // a bare LF is no harm here
	p.want("+OK")
	p.send("NOOP " + strings.Repeat("x", maxLine) + "\r\n")
	p.want("-ERR the line is longer than 512 bytes")

	p = n.dial(t)
	for range maxFaults {
		p.do("WHAT", "-ERR")
	}
	p.wantClosed()
}

func TestBodiesOfManySizesArriveWhole(t *testing.T) {
	n := start(t, nil)
	sizes := []int{0, 1, 4095, 4096, 4097, 64 << 10, 64<<10 + 1, 300_000}
	for _, size := range sizes {
		text := strings.Repeat(".123456789\r\n.\r\n", size/15+1)[:size]
		if strings.HasSuffix(text, "\r") {
			text += "\n"
		}
		n.deliver(t, text)
	}
	p := n.signedIn(t)
	_, messages, err := n.store.Snapshot(t.Context(), store.Place{Account: user1, Mailbox: store.Inbox})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range messages {
		b, err := io.ReadAll(n.store.Body(m))
		if err != nil {
			t.Fatal(err)
		}
		want := string(b)
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\r\n"
		}
		var got strings.Builder
		for _, line := range p.lines(fmt.Sprintf("RETR %d", i+1)) {
			got.WriteString(strings.TrimPrefix(line, ".") + "\r\n") // as a client does
		}
		if got.String() != want {
			t.Errorf("message of %d bytes came as %d", len(want), got.Len())
		}
	}
}

func TestFailedDeletionIsSaid(t *testing.T) {
	n := start(t, func(o *Options) { o.Mailboxes = stubborn{o.Mailboxes} })
	n.deliver(t, first)
	p := n.signedIn(t)
	p.do("DELE 1", "+OK")
	p.do("QUIT", "-ERR [SYS/TEMP] some deleted messages are not removed")
	if n.Counters.Deleted.Load() != 0 {
		t.Error("it was counted")
	}
}

// stubborn is a store that cannot delete.
type stubborn struct{ Mailboxes }

func (stubborn) Expunge(context.Context, store.Place, []uint32) (store.Expunged, error) {
	return store.Expunged{}, errors.New("no")
}

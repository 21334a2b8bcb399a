package pop3d

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
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
	p.WantClosed()
	if l, r := n.auth.Counts(protocol).OK, n.Counters.Retrieved.Load(); l != 1 || r != 2 {
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
	p.WantClosed()

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
		p.Send("PASS secret pass\r\n")
		if got := p.Line(); strings.HasPrefix(got, "+OK") {
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
	p.do("RETR 2", "-ERR the message has been removed meanwhile")
	p.do("TOP 2 1", "-ERR the message has been removed meanwhile")
	p.do("DELE 2", "+OK")
	p.do("QUIT", "+OK 1 messages left")
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
	if c := n.auth.Counts(protocol); c.Failed != 1 || c.OK != 1 {
		t.Errorf("counted %+v", c)
	}
}

// serveFar is a listener that is not marked local.
func serveFar(s *Server, l *gate.Listener) {
	l.Local = false
	s.Serve(l)
}

// secure begins TLS on a connection, as its client.
func (p *peer) secure() *peer {
	return newPeer(p.T, tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true}))
}

func TestNobodySignsInInTheClear(t *testing.T) {
	n := startTLS(t, func(o *Options) { o.Settings.TLS = certificate(t) }, serveFar)
	p := n.dial(t)
	if got := p.lines("CAPA"); slices.Contains(got, "USER") || strings.Contains(fmt.Sprint(got), "SASL") || !slices.Contains(got, "STLS") {
		t.Errorf("CAPA: %q", got)
	}
	for _, command := range []string{"USER user1@example.test", "PASS secret pass", "AUTH", "AUTH PLAIN", "AUTH PLAIN " + plain, "AUTH SCRAM-SHA-256"} {
		p.do(command, "-ERR nobody signs in here before TLS: use STLS")
	}
	p.do("STLS now", "-ERR")
	p.do("LANG zh", "+OK zh")
	p.do("STLS", "+OK")
	p = p.secure()
	if got := p.lines("CAPA"); !slices.Contains(got, "USER") || slices.Contains(got, "STLS") ||
		!slices.Contains(got, "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER PLAIN LOGIN") {
		t.Errorf("CAPA in TLS: %q", got)
	}
	p.do("STLS", "-ERR TLS is on already") // in English again: what was said before TLS does not count
	p.signIn()
	p.do("STLS", "-ERR")
	if s := n.Gate.Sessions(); len(s) != 1 || s[0].Account != user1 || s[0].TLS != "TLS 1.3" || s[0].User != "user1@example.test" {
		t.Errorf("the gate knows %+v", s)
	}

	p = startTLS(t, nil, serveFar).dial(t)
	p.do("STLS", "-ERR there is no TLS here")
}

func TestAUTH(t *testing.T) {
	n := start(t, nil)
	n.deliver(t, first)
	p := n.dial(t)
	if got := p.lines("AUTH"); !slices.Equal(got, []string{"SCRAM-SHA-256", "OAUTHBEARER", "PLAIN", "LOGIN"}) {
		t.Errorf("AUTH: %q", got)
	}
	p.do("AUTH EXTERNAL", "-ERR there is no such mechanism here")
	p.do("AUTH PLAIN *", "-ERR this is not base64")
	p.do("AUTH PLAIN =", "-ERR the response is not one of the mechanism")
	p.do("AUTH PLAIN", "+ ")
	p.do("*", "-ERR the exchange is cancelled")
	p.do("AUTH PLAIN", "+ ")
	p.do("!", "-ERR this is not base64")
	p.do("auth plain "+plain, "+OK 1 messages")
	p.do("AUTH PLAIN "+plain, "-ERR there is no such command here")
	p.do("QUIT", "+OK")

	p = n.dial(t)
	p.do("AUTH PLAIN", "+ ")
	p.do(plain, "+OK 1 messages")
	p.do("QUIT", "+OK")

	p = n.dial(t)
	p.do("AUTH LOGIN", "+ VXNlcm5hbWU6")
	p.do(encode("user1@example.test"), "+ UGFzc3dvcmQ6")
	p.do(encode("secret pass"), "+OK 1 messages")
	p.do("QUIT", "+OK")

	p = n.dial(t)
	p.do("AUTH OAUTHBEARER "+encode("n,,\x01auth=Bearer "+strings.Repeat("bad", 3000)+"\x01\x01"), "+ "+encode(`{"status":"invalid_token"`)[:20])
	p.do("AQ==", "-ERR [AUTH] wrong address or password")
	p.do("AUTH OAUTHBEARER "+encode("n,,\x01auth=Bearer good\x01\x01"), "+OK 1 messages")
	p.do("QUIT", "+OK")

	p = n.dial(t)
	p.Send("AUTH PLAIN " + strings.Repeat("A", maxSASLLine) + "\r\n")
	p.Want("-ERR the line is longer than 16384 bytes")
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

var plain = encode("\x00user1@example.test\x00secret pass")

func TestLanguages(t *testing.T) {
	p := start(t, nil).dial(t)
	if got := p.lines("LANG"); !slices.Equal(got, []string{"en English", "zh 中文"}) {
		t.Errorf("LANG: %q", got)
	}
	p.do("LANG xx", "-ERR this language is not spoken here")
	p.do("LANG zh-CN", "+OK zh 中文")
	p.do("PASS x", "-ERR 请先使用 USER 命令")
	p.do("USER user2@example.test", "+OK 请输入密码")
	p.do("PASS secret pass", "-ERR [AUTH] 账户已停用")
	p.do("LANG xx", "-ERR 不支持这种语言")
	p.signIn()
	p.do("RETR 1", "-ERR 没有这封邮件")
	p.do("LANG *", "+OK en English")
	p.do("QUIT", "+OK 0 messages left")
	for _, x := range []text{
		greeting, capabilities, mechanismsFollow, languagesFollow, utf8Done, nowPassword, beginTLS, maildropHas, octetsFollow, topFollows,
		deletedAtQuit, done, goodBye, messagesLeft, noCommand, noArgument, noMessage, topNeeds, noLanguage, lineTooLong, nothingHeard,
		userNeedsAddress, userFirst, goneMeanwhile, clear, noTLS, tlsAlready, nothingMayFollow, noMechanism, notBase64, cancelled, malformed, wrong,
		suspended, tooManyFailures, inUse, trouble, stopping, ended, notDeleted,
	} {
		if x.zh == "" || strings.Count(x.en, "%") != strings.Count(x.zh, "%") {
			t.Errorf("%q is not %q", x.en, x.zh)
		}
	}
}

// Headers of UTF-8 come as they are, said UTF8 or not, and so do names and passwords.
func TestUTF8(t *testing.T) {
	n := start(t, nil)
	const text = "Subject: 你好\r\n\r\n世界\r\n"
	n.deliver(t, text)
	p := n.dial(t)
	p.do("USER 用户@example.test", "+OK")
	p.do("PASS 密码", "-ERR [AUTH]")
	p.signIn()
	for range 2 {
		if got := strings.Join(p.lines("RETR 1"), "\r\n") + "\r\n"; got != text {
			t.Errorf("got %q", got)
		}
		p.do("UTF8", "+OK")
	}
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
	p.Want("+OK")
	p.signIn()
	p.lines("RETR 1")
	p.do("QUIT", "+OK")
}

// Commands sent in the clear behind STLS must not run inside TLS (CVE-2011-0411).
func TestCommandsBehindSTLSAreNotRun(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.TLS = certificate(t) })
	p := n.dial(t)
	p.Send("STLS\r\nUSER evil\r\n")
	p.Want("-ERR nothing may follow STLS")
}

func TestCapabilities(t *testing.T) {
	p := start(t, nil).dial(t)
	want := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER", "LANG", "IMPLEMENTATION Mailfleet",
		"USER", "SASL SCRAM-SHA-256 OAUTHBEARER PLAIN LOGIN"}
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
	p.Send("USER user1@example.test\r\nPASS secret pass\r\nSTAT\r\nRETR 2\r\nDELE 2\r\nQUIT\r\n")
	for _, want := range []string{"+OK", "+OK 2 messages", "+OK 2 ", "+OK", "Subject: two", "", "line 1", "line 2", "line 3", ".", "+OK", "+OK 1 messages left"} {
		p.Want(want)
	}
	p.WantClosed()
}

func TestBadLines(t *testing.T) {
	n := start(t, nil)
	p := n.dial(t)
	p.do("US\x00ER x", "-ERR there is no such command")
	p.Send("USER user1@example.test\n") // a bare LF is no harm here
	p.Want("+OK")
	p.Send("NOOP " + strings.Repeat("x", maxLine) + "\r\n")
	p.Want("-ERR the line is longer than 512 bytes")

	p = n.dial(t)
	for range maxFaults {
		p.do("WHAT", "-ERR")
	}
	p.WantClosed()
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

// A peer that asks for much and reads nothing holds a buffer, not what it asked for.
func TestPeerThatNeverReadsHoldsLittle(t *testing.T) {
	n := start(t, nil)
	for range 20 {
		n.deliver(t, "Subject: x\r\n\r\n"+strings.Repeat("0123456789abcdef\r\n", 50_000))
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := heap()
	p := n.signedIn(t)
	if err := p.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		p.Send(fmt.Sprintf("RETR %d\r\n", i+1))
	}
	p.Want("+OK") // it has begun to answer
	if held := heap() - before; held > 600<<10 {
		t.Errorf("it holds %d KiB", held>>10)
	}
}

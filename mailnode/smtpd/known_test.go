package smtpd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/gate/gatetest"
)

// LAB 1: "BDAT 1000 LAST", nine bytes and FIN were a whole message to go-smtp.
func TestTruncatedBDATIsNotAMessage(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("RCPT TO:<user1@example.test>", "250")
	p.send("BDAT 1000 LAST\r\nnine byte")
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.wantClosed()
	if got := n.mail(t, user1); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// LAB 4: the chunk of a BDAT with a bad argument ran as commands.
func TestChunkOfBadBDATIsNotRun(t *testing.T) {
	n := start(t, nil)
	for _, bad := range []string{"30 FOO", "", "-1", "+3 LAST", "30 LAST X", "x", "0x10", "99999999999999999999", "30LAST", " 30"} {
		p := n.greeted(t)
		p.recipient()
		p.send("BDAT " + bad + "\r\nMAIL FROM:<evil@b.test>\r\nRSET\r\n")
		p.want("501 5.5.4")
		p.wantClosed()
	}
}

// LAB 7 and the known smuggling forms: none is an end of the message, none is
// stored, and what follows never runs.
func TestBareLineEndsAreRefused(t *testing.T) {
	n := start(t, nil)
	const evil = "MAIL FROM:<evil@b.test>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
	for _, end := range []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r.\n", "\r\r\n.\r\r\n",
		"\r\n.\r\r\n", "a\r", "a\rb", "a\nb", "\n", "\r\n\n.\r\n",
	} {
		p := n.greeted(t)
		p.data()
		p.send("start" + end)
		p.send(evil)
		p.want("521 5.5.2")
		p.wantClosed()
	}
	if got := n.mail(t, user1); len(got) != 0 {
		t.Errorf("%d messages were stored", len(got))
	}
}

// LAB 7: with a CR before the end go-smtp waited for ever.
func TestMessageEndingInCRIsRefused(t *testing.T) {
	p := start(t, nil).greeted(t)
	p.data()
	p.send("text\r\r\n.\r\n")
	p.want("521 5.5.2")
	p.wantClosed()
}

func TestBareLineEndsInCommandsAreRefused(t *testing.T) {
	for _, line := range []string{"NOOP\n", "NOOP\rRSET\r\n", "NOOP\r\r\n"} {
		p := start(t, nil).greeted(t)
		p.send(line)
		p.want("521 5.5.2")
		p.wantClosed()
	}
}

func TestStrangeCommands(t *testing.T) {
	p := start(t, nil).greeted(t)
	p.do("MAIL FROM:<jürgen@b.test>", "553 5.6.7")
	p.do("MAIL FROM:<a\xff@b.test>", "553 5.6.7")
	p.do("NOOP \x00", "500 5.5.2")
	p.do("NOOP \x1b[2J", "500 5.5.2")
	p.do("STARTTLSX", "500 5.5.2")
	p.do("NOOP "+strings.Repeat("x", 3000), "250")
	p.send("NOOP " + strings.Repeat("x", maxCommand) + "\r\n")
	p.want("500 5.5.6")
}

func TestErrorsWithoutEndAreEnded(t *testing.T) {
	p := start(t, nil).greeted(t)
	for range maxFaults {
		p.do("AUTH LOGIN", "502 5.5.1")
	}
	p.do("FOOO", "421 4.7.0 Too many errors")
	p.wantClosed()
	p = start(t, nil).greeted(t)
	p.send(strings.Repeat("NOOP\r\n", maxIdle))
	for range maxIdle - 1 {
		p.want("250")
	}
	p.want("421 4.7.0 Too many commands")
	p.wantClosed()
}

func TestConnectionsAreLimited(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.Limits.PerAddress = 2 })
	one, two := n.greeted(t), n.greeted(t)
	p := n.dial(t)
	p.want("421 4.3.2 mx.example.test too many connections from your address")
	p.wantClosed()
	one.do("QUIT", "221")
	one.wantClosed()
	two.do("NOOP", "250")
	n.greeted(t)
}

// shelf keeps messages in memory.
type shelf struct {
	*directory.Directory
	mu        sync.Mutex
	mail      []string
	envelopes []envelope.Envelope
}

func newShelf() *shelf { return &shelf{Directory: accounts()} }

func (s *shelf) Judge(_ context.Context, _ directory.Sender, address string, _ int64) (int64, error) {
	_, err := s.Recipient(address)
	return 0, err
}

func (s *shelf) Accept(_ context.Context, e envelope.Envelope, prefix []byte, body io.Reader, size int64) error {
	b, err := io.ReadAll(body)
	if err == nil && int64(len(b)) != size {
		err = fmt.Errorf("the message has %d bytes, not %d", len(b), size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mail, s.envelopes = append(s.mail, string(prefix)+string(b)), append(s.envelopes, e)
	return err
}

// timed runs a session in a bubble with its own time.
func timed(t *testing.T, f func(t *testing.T, n *Server, s *shelf, p *peer)) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		n := New(Options{Recipients: s, Deliverer: s, Logger: slog.New(slog.DiscardHandler), Settings: settings()})
		l := gatetest.Listen()
		guarded := n.Gate(Receiving).Listen(l)
		served := make(chan struct{})
		go func() { n.Serve(guarded, Receiving, nil); close(served) }()
		client := l.Dial()
		p := newPeer(t, client)
		p.want("220")
		p.do("EHLO client.test", "250")
		f(t, n, s, p)
		_ = client.Close()
		n.Stop(t.Context())
		<-served
	})
}

// LAB 2: after a timeout in DATA go-smtp was back at commands and ran the rest.
func TestTimeoutInDataEndsTheConnection(t *testing.T) {
	timed(t, func(t *testing.T, _ *Server, s *shelf, p *peer) {
		p.data()
		p.send("half a message\r\n")
		start := time.Now()
		p.want("421 4.4.2 No data for 5m0s")
		if d := time.Since(start); d != dataTimeout {
			t.Errorf("after %v", d)
		}
		p.wantClosed()
		if len(s.mail) != 0 {
			t.Errorf("got %q", s.mail)
		}
	})
}

// LAB 3: go-smtp's read deadline covered the whole of DATA.
func TestSteadySlowMessageIsTaken(t *testing.T) {
	timed(t, func(t *testing.T, _ *Server, s *shelf, p *peer) {
		p.data()
		start := time.Now()
		line := strings.Repeat("x", 4*60*dataRate-2) + "\r\n"
		for range 20 {
			time.Sleep(4 * time.Minute)
			p.send(line)
		}
		p.send(".\r\n")
		p.want("250")
		if len(s.mail) != 1 || time.Since(start) < time.Hour {
			t.Errorf("%d messages after %v", len(s.mail), time.Since(start))
		}
	})
}

// A peer that sends a byte now and then does not hold a place for ever.
func TestDribbleIsCutOff(t *testing.T) {
	timed(t, func(t *testing.T, _ *Server, s *shelf, p *peer) {
		p.data()
		start := time.Now()
		told := make(chan string)
		go func() { told <- p.reply() }()
		for time.Since(start) < dataGrace-time.Minute {
			p.send("x")
			time.Sleep(2 * time.Minute)
		}
		if got := <-told; !strings.HasPrefix(got, "421 4.4.2 The message comes too slowly") {
			t.Errorf("got %q", got)
		}
		if d := time.Since(start); d != dataGrace || len(s.mail) != 0 {
			t.Errorf("after %v", d)
		}
	})
}

func TestIdlePeerIsTold(t *testing.T) {
	timed(t, func(t *testing.T, _ *Server, _ *shelf, p *peer) {
		start := time.Now()
		p.want("421 4.4.2 Nothing heard")
		if d := time.Since(start); d != commandTimeout {
			t.Errorf("after %v", d)
		}
		p.wantClosed()
	})
}

// One byte at a time does not hold a connection longer than the timeout of a command.
func TestSlowCommandIsCutOff(t *testing.T) {
	timed(t, func(t *testing.T, _ *Server, _ *shelf, p *peer) {
		told := make(chan string)
		go func() { told <- p.reply() }()
		for range 4 {
			p.send("N")
			time.Sleep(time.Minute)
		}
		if got := <-told; !strings.HasPrefix(got, "421 4.4.2") {
			t.Errorf("got %q", got)
		}
	})
}

func TestStopLetsAMessageFinish(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, s *shelf, p *peer) {
		p.data()
		p.send("half ")
		stopped := make(chan struct{})
		go func() { n.Stop(t.Context()); close(stopped) }()
		synctest.Wait()
		p.send("and half\r\n.\r\n")
		p.want("250")
		p.want("421 4.3.2")
		p.wantClosed()
		<-stopped
		if len(s.mail) != 1 || !strings.HasSuffix(s.mail[0], "half and half\r\n") {
			t.Errorf("got %q", s.mail)
		}
	})
}

func TestStopEndsIdlePeersAtOnce(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, _ *shelf, p *peer) {
		start := time.Now()
		stopped := make(chan struct{})
		go func() { n.Stop(t.Context()); close(stopped) }()
		p.want("421 4.3.2")
		p.wantClosed()
		<-stopped
		if d := time.Since(start); d != 0 {
			t.Errorf("after %v", d)
		}
	})
}

// script is the connection of a peer that says all it has to say at once, closes its
// side, and listens.
type script struct {
	io.Reader
	heard bytes.Buffer
	over  chan struct{}
}

func (c *script) Write(p []byte) (int, error)      { return c.heard.Write(p) }
func (c *script) Close() error                     { close(c.over); return nil }
func (c *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *script) SetDeadline(time.Time) error      { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// conversation is what a server answers to what a peer says, and the mail it takes.
func conversation(t *testing.T, said []byte) (answers string, s *shelf) {
	s = newShelf()
	n := New(Options{Recipients: s, Deliverer: s, SpoolDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Settings: settings()})
	l := gatetest.Listen()
	guarded := n.Gate(Receiving).Listen(l)
	var wg sync.WaitGroup
	wg.Go(func() { n.Serve(guarded, Receiving, func() Policy { return Policy{} }) })
	c := &script{Reader: bytes.NewReader(said), over: make(chan struct{})}
	l.Hand(c)
	<-c.over
	n.Stop(t.Context())
	wg.Wait()
	return c.heard.String(), s
}

// Whatever a peer sends, a session ends with it, and messages have well-formed lines.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("EHLO a\r\nMAIL FROM:<\"a b\"@b> SIZE=3\r\nRCPT TO:<postmaster>\r\nDATA\r\n..\r\n.x\r\n\r\n.\r\n"))
	f.Add([]byte("EHLO a\r\nMAIL FROM:<> BODY=8BITMIME ENVID=x RET=HDRS\r\nRCPT TO:<user1@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb\r\nBDAT 5\r\nabc\r\nBDAT 4 LAST\r\na\r\n.NOOP\r\n"))
	f.Add([]byte("EHLO a\r\nMAIL FROM:<用@例子.测试> SMTPUTF8\r\nRCPT TO:<user1@example.test>\r\nBDAT 0 LAST\r\n"))
	f.Add([]byte("HELO [\r\nRCPT TO:<\r\nSTARTTLS\r\nXCLIENT ADDR=1.2.3.4\r\nAUTH PLAIN =\r\n\x00\r\n\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		answers, s := conversation(t, said)
		for line := range strings.SplitSeq(strings.TrimSuffix(answers, "\r\n"), "\r\n") {
			if len(line) < 4 || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("a reply line %q", line)
			}
		}
		for i, m := range s.mail {
			bare := strings.NewReplacer("\r\n", "").Replace(m)
			if s.envelopes[i].Body != envelope.BodyBinary && (strings.ContainsAny(bare, "\r\n\x00") || !strings.HasSuffix(m, "\r\n")) {
				t.Fatalf("a message with bare line ends: %q", m)
			}
		}
	})
}

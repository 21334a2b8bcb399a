package imapd

import (
	"bufio"
	"compress/flate"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peer is a client that says exactly what it is told to.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newPeer(t testing.TB, c net.Conn) *peer { return &peer{t, c, bufio.NewReader(c)} }

func (n *fixture) dial(t testing.TB) *peer {
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
	p.want("* OK [CAPABILITY IMAP4rev1 ")
	return p
}

// signedIn is a peer that has signed in as a user.
func (n *fixture) signedIn(t testing.TB, user int) *peer {
	t.Helper()
	p := n.dial(t)
	p.do(fmt.Sprintf(`L LOGIN %s "%s"`, address(user), secret), "L OK")
	return p
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

// do sends a command and reads up to its tagged response.
func (p *peer) do(command, prefix string) (untagged []string) {
	p.t.Helper()
	p.send(command + "\r\n")
	for {
		line := p.line()
		if !strings.HasPrefix(line, "* ") {
			if !strings.HasPrefix(line, prefix) {
				p.t.Fatalf("got %q, want %q", line, prefix)
			}
			return untagged
		}
		untagged = append(untagged, line)
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

func (p *peer) append(mailbox, text string) {
	p.t.Helper()
	p.do(fmt.Sprintf("A APPEND %s {%d+}\r\n%s", mailbox, len(text), text), "A OK")
}

func TestSTARTTLS(t *testing.T) {
	n := start(t, func(c *config) { c.remote, c.Settings.TLS = true, certificate(t) })
	p := n.dial(t)
	if got := p.do("a CAPABILITY", "a OK")[0]; strings.Contains(got, "AUTH=") || !strings.Contains(got, "STARTTLS") || !strings.Contains(got, "LOGINDISABLED") {
		t.Error(got)
	}
	p.do(fmt.Sprintf(`a LOGIN %s "%s"`, address(1), secret), "a NO [PRIVACYREQUIRED]")
	p.do("a AUTHENTICATE PLAIN", "a NO [PRIVACYREQUIRED]")
	p.do("b STARTTLS", "b OK")
	p = newPeer(t, tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true}))
	if got := p.do("c CAPABILITY", "c OK")[0]; !strings.Contains(got, "AUTH=PLAIN") || strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH=SCRAM-SHA-256-PLUS") {
		t.Error(got)
	}
	p.do("d STARTTLS", "d BAD")
	p.do(fmt.Sprintf(`e LOGIN %s "%s"`, address(1), secret), "e OK [CAPABILITY ")
	p.do("f SELECT INBOX", "f OK")
}

// Commands sent in the clear behind STARTTLS must not run inside TLS (CVE-2011-0411).
func TestCommandsBehindSTARTTLSAreNotRun(t *testing.T) {
	n := start(t, func(c *config) { c.Settings.TLS = certificate(t) })
	p := n.dial(t)
	p.send("a STARTTLS\r\nb NOOP\r\n")
	p.want("a BAD nothing may follow")
	p.wantClosed()
}

func TestTLSFromTheFirstByte(t *testing.T) {
	n := start(t, func(c *config) { c.remote, c.Settings.TLS, c.serve = true, certificate(t), (*Server).ServeTLS })
	c, err := tls.Dial("tcp", n.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	p := newPeer(t, c)
	p.want("* OK [CAPABILITY ")
	p.do(fmt.Sprintf(`a LOGIN %s "%s"`, address(1), secret), "a OK")
	p.do("b LOGOUT", "b OK")
}

func TestAUTHENTICATE(t *testing.T) {
	n := start(t, nil)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + address(1) + "\x00" + secret))
	p := n.dial(t)
	p.do("a AUTHENTICATE PLAIN "+plain, "a OK [CAPABILITY ")
	p.do("b AUTHENTICATE PLAIN "+plain, "b BAD")

	p = n.dial(t)
	p.do("a AUTHENTICATE PLAIN", "+ ")
	p.do("*", "a BAD")
	p.do("b AUTHENTICATE PLAIN", "+ ")
	p.do("not base64", "b BAD")
	p.do("c AUTHENTICATE FOO", "c NO [CANNOT]")
	p.do("d AUTHENTICATE LOGIN", "+ VXNlcm5hbWU6")
	p.do(base64.StdEncoding.EncodeToString([]byte(address(1))), "+ UGFzc3dvcmQ6")
	p.do(base64.StdEncoding.EncodeToString([]byte(secret)), "d OK")

	p = n.dial(t)
	p.do(fmt.Sprintf(`a LOGIN %s "%s"`, address(0), secret), "a NO [CONTACTADMIN]")
}

func TestSignInsThatFailEndTheConnection(t *testing.T) {
	n := start(t, nil)
	p := n.dial(t)
	p.do("a LOGIN nobody wrong", "a NO [AUTHENTICATIONFAILED]")
	p.do("b AUTHENTICATE PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00x")), "b BAD")
	p.do("c AUTHENTICATE PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00x")), "c BAD")
	p.wantClosed()
}

// deflated is a connection with compression in both directions.
type deflated struct {
	net.Conn
	r io.Reader
	w *flate.Writer
}

func (d *deflated) Read(b []byte) (int, error) { return d.r.Read(b) }

func (d *deflated) Write(b []byte) (int, error) {
	n, err := d.w.Write(b)
	if err == nil {
		err = d.w.Flush()
	}
	return n, err
}

func compressed(t testing.TB, p *peer) *peer {
	t.Helper()
	p.do("z COMPRESS DEFLATE", "z OK")
	w, err := flate.NewWriter(p.Conn, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, &deflated{p.Conn, flate.NewReader(p.r), w})
}

// A session that waits inside TLS and a decompressor is woken all the same, and goes on.
func TestIdleOverTLSAndCompression(t *testing.T) {
	n := start(t, func(c *config) { c.Settings.TLS = certificate(t) })
	p := n.dial(t)
	p.do("a STARTTLS", "a OK")
	p = newPeer(t, tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true}))
	p.do(fmt.Sprintf(`b LOGIN %s "%s"`, address(1), secret), "b OK")
	p = compressed(t, p)
	p.do("c COMPRESS DEFLATE", "c NO [COMPRESSIONACTIVE]")
	p.do("d SELECT INBOX", "d OK")
	other := n.signedIn(t, 1)
	for i := range 5 {
		p.send("e IDLE\r\n")
		p.want("+ ")
		for j := range 3 {
			other.append("INBOX", strings.Repeat("Subject: x\r\n\r\n", 1000))
			p.want(fmt.Sprintf("* %d EXISTS", 3*i+j+1))
		}
		p.do("DONE", "e OK")
		p.do("f FETCH 1 (UID FLAGS)", "f OK")
	}
}

func TestPipelinedCommandsAreAnsweredInOrder(t *testing.T) {
	n := start(t, nil)
	p := n.signedIn(t, 1)
	p.send("a SELECT INBOX\r\nb APPEND INBOX {5+}\r\nhello\r\nc FETCH 1 UID\r\nd NOOP\r\ne LOGOUT\r\n")
	for _, want := range []string{"a OK", "b OK", "c OK", "d OK", "e OK"} {
		for {
			if line := p.line(); !strings.HasPrefix(line, "* ") {
				if !strings.HasPrefix(line, want) {
					t.Fatalf("got %q, want %q", line, want)
				}
				break
			}
		}
	}
	p.wantClosed()
}

func TestLiteralsOverTheLimit(t *testing.T) {
	n := start(t, nil)
	p := n.dial(t)
	p.do("a LOGIN {5000}", "a NO [TOOBIG]") // no leave, no bytes
	p.do("b NOOP", "b OK")
	evil := strings.Repeat("x LOGOUT\r\n", 500)
	p.do(fmt.Sprintf("c LOGIN {%d+}\r\n%s pass", len(evil), evil), "c NO [TOOBIG]")
	p.do("d NOOP", "d OK")
	p.do(fmt.Sprintf("e FROB {%d+}\r\n%s {%d+}\r\n%s", len(evil), evil, len(evil), evil), "e BAD")
	p.do("f NOOP", "f OK")
	p.send("g LOGIN {99999999999+}\r\n")
	p.want("* BYE [TOOBIG]")
	p.wantClosed()

	p = n.signedIn(t, 1)
	p.do("a APPEND INBOX {30000000}", "a NO [TOOBIG]")
	p.do("b APPEND nowhere {3}", "b NO [TRYCREATE]")
	p.do(fmt.Sprintf("c APPEND nowhere {%d+}\r\n%s", len(evil), evil), "c NO [TRYCREATE]")
	p.do("d STATUS INBOX (MESSAGES)", "d OK")
	p.do("e APPEND INBOX {0}", "+ ")
	p.do("", "e NO")
	p.send("f APPEND INBOX {60000000+}\r\n")
	p.want("* BYE [TOOBIG]")
	p.wantClosed()
}

func TestBadCommands(t *testing.T) {
	n := start(t, nil)
	p := n.signedIn(t, 1)
	p.do("a SELECT INBOX", "a OK")
	p.append("INBOX", "Subject: x\r\n\r\nx\r\n")
	for _, line := range []string{
		"", " ", "b", "b ", "b FETCH", "b FETCH 1", "b FETCH 0 UID", "b FETCH 1 (", "b STORE 1 FOO x", "b UID NOOP", "b UID", "b SEARCH", "b LIST",
		`b LIST "" "`, "b FETCH 1 BODY[", "b \x00", "b APPEND INBOX", "(", "* NOOP",
	} {
		p = n.signedIn(t, 1)
		p.do("a SELECT INBOX", "a OK")
		p.send(line + "\r\n")
		for {
			got := p.line()
			if strings.Contains(got, " BAD ") {
				break
			}
			if !strings.HasPrefix(got, "* ") {
				t.Fatalf("%q: %q", line, got)
			}
		}
		p.do("z NOOP", "z OK")
	}
	for range maxFaults {
		p.send("x\r\n")
	}
	for !strings.HasPrefix(p.line(), "* BYE") {
	}
	p.wantClosed()
}

func TestALongLineIsRefused(t *testing.T) {
	n := start(t, nil)
	p := n.signedIn(t, 1)
	p.do("a SEARCH "+strings.Repeat("ALL ", 50_000), "a BAD")
	p.do("a NOOP", "a OK")
	// What follows its leave-taking is not read, so that the peer may not get to hear it.
	_, _ = io.WriteString(p, "b "+strings.Repeat("x", 20<<20))
	if _, err := io.ReadAll(p.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection goes on")
	}
}

func TestStop(t *testing.T) {
	n := start(t, nil)
	idling, waiting := n.signedIn(t, 1), n.signedIn(t, 2)
	idling.do("a SELECT INBOX", "a OK")
	idling.do("b IDLE", "+ ")
	waiting.do("a NOOP", "a OK")
	go n.Stop(t.Context())
	idling.want("* BYE [UNAVAILABLE]")
	idling.wantClosed()
	waiting.want("* BYE [UNAVAILABLE]")
	waiting.wantClosed()
}

func TestTooManyConnections(t *testing.T) {
	n := start(t, func(c *config) { c.Settings.Limits.Connections = 1 })
	n.dial(t)
	c, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, c)
	p.want("* BYE [UNAVAILABLE] too many connections")
	p.wantClosed()
	if n.Gate.Refused() != 1 {
		t.Error("it is not counted")
	}
}

// The selected mailbox is deleted elsewhere: the session ends, as nothing it could say of
// its messages would be true.
func TestSelectedMailboxIsDeleted(t *testing.T) {
	n := start(t, nil)
	p, other := n.signedIn(t, 1), n.signedIn(t, 1)
	p.do("a CREATE x", "a OK")
	p.do("b SELECT x", "b OK")
	other.do("c DELETE x", "c OK")
	p.send("d NOOP\r\n")
	p.want("* BYE [NONEXISTENT]")

	other.do("e CREATE y", "e OK")
	other.do("f SELECT y", "f OK")
	if got := other.do("g DELETE y", "g OK"); len(got) != 1 || !strings.HasPrefix(got[0], "* OK [CLOSED]") {
		t.Error(got)
	}
}

// A large mailbox is selected before it is read; the commands that follow see it whole.
func TestALargeMailboxIsSelectedBeforeItIsRead(t *testing.T) {
	n := start(t, nil)
	const count = 40_000
	n.fill(t, 1, count, small)
	p := n.signedIn(t, 1)
	p.send("a SELECT INBOX\r\nb UID SEARCH RETURN (COUNT MAX) ALL\r\nc NOOP\r\n")
	want := []string{"* 40000 EXISTS", `* ESEARCH (TAG "b") UID MAX 40000 COUNT 40000`, "b OK", "c OK"}
	for len(want) > 0 {
		line := p.line()
		if strings.HasPrefix(line, want[0]) {
			want = want[1:]
		} else if strings.HasPrefix(line, "c ") {
			t.Fatalf("%q did not come", want)
		}
	}
	// Now it is in memory, and the first unseen message is told.
	p.send("d EXAMINE INBOX\r\n")
	unseen := false
	for line := p.line(); !strings.HasPrefix(line, "d "); line = p.line() {
		unseen = unseen || strings.HasPrefix(line, "* OK [UNSEEN 1]")
	}
	if !unseen {
		t.Error("the first unseen message is not told")
	}
}

// Of a mailbox that is shared, others are told what everybody may see, not what its
// owner keeps for himself.
func TestPrivateMetadataOfOthersIsNotTold(t *testing.T) {
	n := start(t, nil)
	owner, other := n.signedIn(t, 1), n.signedIn(t, 2)
	owner.do("a CREATE common", "a OK")
	owner.do("b SETACL common "+address(2)+" lr", "b OK")
	name := "Other Users/" + address(1) + "/common"
	other.do(`a NOTIFY SET (mailboxes "`+name+`" (MailboxMetadataChange))`, "a OK")
	owner.do(`c SETMETADATA common (/private/comment "own")`, "c OK")
	owner.do(`d SETMETADATA common (/shared/comment "for all")`, "d OK")
	if got, want := other.line(), `* METADATA "`+name+`" /shared/comment`; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	owner.do("e SETACL common "+address(2)+` ""`, "e OK")
	owner.do(`f SETMETADATA common (/shared/comment NIL)`, "f OK")
	if told := other.do("b NOOP", "b OK"); len(told) > 0 {
		t.Errorf("without rights told %q", told)
	}
}

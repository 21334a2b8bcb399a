package imapd

import (
	"compress/flate"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"mailfleet/mailnode/gate/gatetest"
)

// peer is a client that says exactly what it is told to.
type peer struct{ *gatetest.Peer }

func newPeer(t testing.TB, c net.Conn) *peer { return &peer{gatetest.NewPeer(t, c)} }

func (n *fixture) dial(t testing.TB) *peer {
	t.Helper()
	p := newPeer(t, gatetest.Dial(t, n.addr))
	p.Want("* OK [CAPABILITY IMAP4rev1 ")
	return p
}

// signedIn is a peer that has signed in as a user.
func (n *fixture) signedIn(t testing.TB, user int) *peer {
	t.Helper()
	p := n.dial(t)
	p.do(fmt.Sprintf(`L LOGIN %s "%s"`, address(user), secret), "L OK")
	return p
}

// do sends a command and reads up to its tagged response.
func (p *peer) do(command, prefix string) (untagged []string) {
	p.T.Helper()
	p.Send(command + "\r\n")
	for {
		line := p.Line()
		if !strings.HasPrefix(line, "* ") {
			if !strings.HasPrefix(line, prefix) {
				p.T.Fatalf("got %q, want %q", line, prefix)
			}
			return untagged
		}
		untagged = append(untagged, line)
	}
}

func (p *peer) append(mailbox, text string) {
	p.T.Helper()
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
	p.Send("a STARTTLS\r\nb NOOP\r\n")
	p.Want("a BAD nothing may follow")
	p.WantClosed()
}

func TestTLSFromTheFirstByte(t *testing.T) {
	n := start(t, func(c *config) { c.remote, c.Settings.TLS, c.serve = true, certificate(t), (*Server).ServeTLS })
	c, err := tls.Dial("tcp", n.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	p := newPeer(t, c)
	p.Want("* OK [CAPABILITY ")
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
	p.WantClosed()
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
	return newPeer(t, &deflated{p.Conn, flate.NewReader(p.R), w})
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
		p.Send("e IDLE\r\n")
		p.Want("+ ")
		for j := range 3 {
			other.append("INBOX", strings.Repeat("Subject: x\r\n\r\n", 1000))
			p.Want(fmt.Sprintf("* %d EXISTS", 3*i+j+1))
		}
		p.do("DONE", "e OK")
		p.do("f FETCH 1 (UID FLAGS)", "f OK")
	}
}

func TestPipelinedCommandsAreAnsweredInOrder(t *testing.T) {
	n := start(t, nil)
	p := n.signedIn(t, 1)
	p.Send("a SELECT INBOX\r\nb APPEND INBOX {5+}\r\nhello\r\nc FETCH 1 UID\r\nd NOOP\r\ne LOGOUT\r\n")
	for _, want := range []string{"a OK", "b OK", "c OK", "d OK", "e OK"} {
		for {
			if line := p.Line(); !strings.HasPrefix(line, "* ") {
				if !strings.HasPrefix(line, want) {
					t.Fatalf("got %q, want %q", line, want)
				}
				break
			}
		}
	}
	p.WantClosed()
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
	p.Send("g LOGIN {99999999999+}\r\n")
	p.Want("* BYE [TOOBIG]")
	p.WantClosed()

	p = n.signedIn(t, 1)
	p.do("a APPEND INBOX {30000000}", "a NO [TOOBIG]")
	p.do("b APPEND nowhere {3}", "b NO [TRYCREATE]")
	p.do(fmt.Sprintf("c APPEND nowhere {%d+}\r\n%s", len(evil), evil), "c NO [TRYCREATE]")
	p.do("d STATUS INBOX (MESSAGES)", "d OK")
	p.do("e APPEND INBOX {0}", "+ ")
	p.do("", "e NO")
	p.Send("f APPEND INBOX {60000000+}\r\n")
	p.Want("* BYE [TOOBIG]")
	p.WantClosed()
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
		p.Send(line + "\r\n")
		for {
			got := p.Line()
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
		p.Send("x\r\n")
	}
	for !strings.HasPrefix(p.Line(), "* BYE") {
	}
	p.WantClosed()
}

func TestALongLineIsRefused(t *testing.T) {
	n := start(t, nil)
	p := n.signedIn(t, 1)
	p.do("a SEARCH "+strings.Repeat("ALL ", 50_000), "a BAD")
	p.do("a NOOP", "a OK")
	// What follows its leave-taking is not read, so that the peer may not get to hear it.
	_, _ = io.WriteString(p, "b "+strings.Repeat("x", 20<<20))
	if _, err := io.ReadAll(p.R); errors.Is(err, os.ErrDeadlineExceeded) {
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
	idling.Want("* BYE [UNAVAILABLE]")
	idling.WantClosed()
	waiting.Want("* BYE [UNAVAILABLE]")
	waiting.WantClosed()
}

func TestTooManyConnections(t *testing.T) {
	n := start(t, func(c *config) { c.Settings.Limits.Connections = 1 })
	n.dial(t)
	c, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, c)
	p.Want("* BYE [UNAVAILABLE] too many connections")
	p.WantClosed()
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
	p.Send("d NOOP\r\n")
	p.Want("* BYE [NONEXISTENT]")

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
	p.Send("a SELECT INBOX\r\nb UID SEARCH RETURN (COUNT MAX) ALL\r\nc NOOP\r\n")
	want := []string{"* 40000 EXISTS", `* ESEARCH (TAG "b") UID MAX 40000 COUNT 40000`, "b OK", "c OK"}
	for len(want) > 0 {
		line := p.Line()
		if strings.HasPrefix(line, want[0]) {
			want = want[1:]
		} else if strings.HasPrefix(line, "c ") {
			t.Fatalf("%q did not come", want)
		}
	}
	// Now it is in memory, and the first unseen message is told.
	p.Send("d EXAMINE INBOX\r\n")
	unseen := false
	for line := p.Line(); !strings.HasPrefix(line, "d "); line = p.Line() {
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
	if got, want := other.Line(), `* METADATA "`+name+`" /shared/comment`; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	owner.do("e SETACL common "+address(2)+` ""`, "e OK")
	owner.do(`f SETMETADATA common (/shared/comment NIL)`, "f OK")
	if told := other.do("b NOOP", "b OK"); len(told) > 0 {
		t.Errorf("without rights told %q", told)
	}
}

package outbound

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/resolve/resolvetest"
)

// remote is an SMTP server that behaves as it is told to.
type remote struct {
	t          testing.TB
	addr       netip.AddrPort
	extensions []string
	tls        *tls.Config
	// answers are replies to commands, in place of good ones: by verb, by "GREETING" or by "." for
	// the message. Special ones: CLOSE, RESET, HANG, and HALF for half a line.
	answers map[string]string
	late    string // a verb whose special answer is only for connections after the first
	tired   string // the answer to MAIL after a message
	drops   bool   // what comes in one group with the end of a message is lost

	mu       sync.Mutex
	conns    int
	commands []string
	messages []string
	secure   []bool // per message
	grouped  int    // messages whose end came together with what followed
	open     map[net.Conn]bool
}

// serve starts the server on an address of this machine; with port 0 on a free one.
func serve(t testing.TB, host string, port uint16, change func(*remote)) *remote {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(host), port).String())
	if err != nil {
		t.Fatal(err)
	}
	r := &remote{t: t, addr: netip.MustParseAddrPort(l.Addr().String()), open: map[net.Conn]bool{}, answers: map[string]string{}}
	if change != nil {
		change(r)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.open[c] = true
			r.conns++
			n := r.conns
			r.mu.Unlock()
			serving.Go(func() { r.session(c, n) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for c := range r.open {
			_ = c.Close()
		}
		r.mu.Unlock()
		serving.Wait()
	})
	return r
}

func (r *remote) session(c net.Conn, n int) {
	raw := c
	defer func() { _ = raw.Close() }()
	in := bufio.NewReader(c)
	private := false
	// act answers; false ends the session.
	act := func(verb, good string) (ok bool, positive bool) {
		text := good
		r.mu.Lock()
		special, found := r.answers[verb]
		late := r.late == verb && n == 1
		r.mu.Unlock()
		if found && !late {
			text = special
		}
		switch text {
		case "CLOSE":
			return false, false
		case "RESET":
			_ = raw.(*net.TCPConn).SetLinger(0)
			return false, false
		case "HANG":
			_, _ = io.Copy(io.Discard, c) // until the client gives up
			return false, false
		case "HALF":
			_, _ = io.WriteString(c, "25")
			return false, false
		}
		_, err := io.WriteString(c, text+"\r\n")
		return err == nil && !strings.HasPrefix(text, "421"), text[0] == '2' || text[0] == '3'
	}
	if ok, _ := act("GREETING", "220 remote.test ESMTP"); !ok {
		return
	}
	accepted, before := 0, 0
	body := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		r.mu.Lock()
		r.commands = append(r.commands, line)
		r.mu.Unlock()
		verb, args, _ := strings.Cut(strings.ToUpper(line), " ")
		var ok bool
		switch verb {
		case "EHLO":
			lines := []string{"remote.test"}
			lines = append(lines, r.extensions...)
			if r.tls != nil && !private {
				lines = append(lines, "STARTTLS")
			}
			text := ""
			for i, l := range lines {
				sep := "-"
				if i == len(lines)-1 {
					sep = " "
				}
				text += "250" + sep + l + "\r\n"
			}
			ok, _ = act(verb, strings.TrimSuffix(text, "\r\n"))
		case "STARTTLS":
			var good bool
			if ok, good = act(verb, "220 2.0.0 go on"); ok && good {
				s := tls.Server(c, r.tls)
				if s.Handshake() != nil {
					return
				}
				c, private = s, true
				in = bufio.NewReader(c)
			}
		case "MAIL", "RSET":
			accepted, body = 0, ""
			good := "250 2.1.0 fine"
			if verb == "MAIL" && before > 0 && r.tired != "" {
				good = r.tired
			}
			ok, _ = act(verb, good)
		case "RCPT":
			key := verb
			r.mu.Lock()
			for k := range r.answers {
				if strings.HasPrefix(k, "RCPT ") && strings.Contains(line, k[5:]) {
					key = k
				}
			}
			r.mu.Unlock()
			var good bool
			if ok, good = act(key, "250 2.1.5 fine"); good {
				accepted++
			}
		case "DATA":
			good := "354 go on"
			if accepted == 0 {
				good = "554 5.5.1 no valid recipients"
			}
			var positive bool
			if ok, positive = act(verb, good); !ok || !positive {
				break
			}
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			r.take(text.String(), private)
			before++
			r.group(in)
			ok, _ = act(".", "250 2.0.0 taken as 1")
		case "BDAT":
			var size int
			_, _ = fmt.Sscan(args, &size)
			buf := make([]byte, size)
			if _, err := io.ReadFull(in, buf); err != nil {
				return
			}
			body += string(buf)
			if strings.HasSuffix(args, "LAST") {
				r.take(body, private)
				body = ""
				before++
				r.group(in)
			}
			ok, _ = act(".", "250 2.0.0 taken")
		case "AUTH":
			ok, _ = act(verb, "235 2.7.0 welcome")
		case "QUIT":
			_, _ = act(verb, "221 2.0.0 bye")
			return
		default:
			ok, _ = act(verb, "250 2.0.0 fine")
		}
		if !ok {
			return
		}
	}
}

// take notes a message, before it is answered, when the answer is to be a good one.
func (r *remote) take(text string, private bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if special := r.answers["."]; special != "" && special[0] != '2' {
		return
	}
	r.messages = append(r.messages, text)
	r.secure = append(r.secure, private)
}

// group notes whether something came together with the end of a message.
func (r *remote) group(in *bufio.Reader) {
	if in.Buffered() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grouped++
	if r.drops {
		_, _ = in.Discard(in.Buffered()) // it is there
	}
}

// taken returns the messages the server took.
func (r *remote) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.messages...)
}

// heard tells whether a command came that begins so.
func (r *remote) heard(prefix string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.commands {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// client is a client that looks names up at a DNS server and sends to a port.
func client(t testing.TB, d *resolvetest.Server, port uint16, change func(*Settings)) *Client {
	t.Helper()
	set := Settings{
		Hostname: "out.test", Port: int(port), Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.99")},
		Timeouts: timeouts(time.Minute),
	}
	if change != nil {
		change(&set)
	}
	c := New(set, d.Resolver(t), slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	return c
}

func timeouts(d time.Duration) Timeouts {
	return Timeouts{Connect: d, Greeting: d, Command: d, Data: d, Block: d, Final: d}
}

// impatient is for a client of a remote that says nothing.
func impatient(s *Settings) { s.Timeouts = timeouts(2 * time.Second) }

const text = "Subject: hello\r\n\r\n.a line with a dot\r\nlast\r\n"

// letter is a message for addresses.
func letter(body string, to ...string) *Message {
	m := &Message{Envelope: envelope.Envelope{ID: "t", From: "a@out.test"}, Size: int64(len(body)), Open: func() io.Reader { return strings.NewReader(body) }}
	for _, a := range to {
		m.To = append(m.To, envelope.Recipient{Address: a})
	}
	return m
}

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key = a.make(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "CA"}})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) make(t testing.TB, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// server is the TLS configuration of a server with names.
func (a *authority) server(t testing.TB, names ...string) *tls.Config {
	t.Helper()
	cert, key := a.make(t, &x509.Certificate{DNSNames: names})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}}}
}

func newReader(s string) *bufio.Reader { return bufio.NewReaderSize(strings.NewReader(s), replyLine*2) }

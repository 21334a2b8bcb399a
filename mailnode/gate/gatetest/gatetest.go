// Package gatetest is what tests of the servers behind a gate share: a client that speaks
// lines, connections in memory, for tests whose time is their own, and a certificate. Tests of the mailnode's
// rooms import it.
package gatetest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Pipes is a listener whose connections are in memory.
type Pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Listen returns a listener that nobody has connected to.
func Listen() *Pipes { return &Pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

// Dial connects to the listener, whose server must be accepting.
func (l *Pipes) Dial() net.Conn {
	client, server := net.Pipe()
	l.Hand(server)
	return client
}

// Hand has the listener accept a connection.
func (l *Pipes) Hand(c net.Conn) { l.conns <- c }

// Accept implements net.Listener.
func (l *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Pipes) Close() error { l.once.Do(func() { close(l.done) }); return nil }

// Addr implements net.Listener.
func (l *Pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Certificate makes the TLS configuration of a server with a certificate of its own.
func Certificate(t testing.TB, name string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// Peer is a client that says exactly what it is told to, line by line.
type Peer struct {
	net.Conn
	T testing.TB
	R *bufio.Reader
}

// NewPeer is a peer on a connection.
func NewPeer(t testing.TB, c net.Conn) *Peer { return &Peer{c, t, bufio.NewReader(c)} }

// Dial connects to a server, for a minute at most.
func Dial(t testing.TB, address string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// Send says something, which need not be a line.
func (p *Peer) Send(raw string) {
	p.T.Helper()
	if _, err := io.WriteString(p, raw); err != nil {
		p.T.Fatalf("sending %.80q: %v", raw, err)
	}
}

// Line reads a line without its end.
func (p *Peer) Line() string {
	p.T.Helper()
	line, err := p.R.ReadString('\n')
	if err != nil || !strings.HasSuffix(line, "\r\n") {
		p.T.Fatalf("a line %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// Want reads a line that must begin so.
func (p *Peer) Want(prefix string) string {
	p.T.Helper()
	got := p.Line()
	if !strings.HasPrefix(got, prefix) {
		p.T.Fatalf("got %q, want %q", got, prefix)
	}
	return got
}

// WantClosed proves that the server says nothing more and closes, also with a reset when
// it has not read all.
func (p *Peer) WantClosed() {
	p.T.Helper()
	if rest, err := io.ReadAll(p.R); err != nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		p.T.Fatalf("the connection goes on: %q, %v", rest, err)
	}
}

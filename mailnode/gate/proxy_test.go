package gate

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxied is a connection through a trusted proxy that says header.
func proxied(t *testing.T, l *Listener, header []byte) (*Conn, error) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if _, err := client.Write(header); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	conn := c.(*Conn)
	return conn, conn.ReadProxy(time.Minute)
}

func header(t *testing.T, version byte, source string) []byte {
	t.Helper()
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(source))
	to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:25"))
	b, err := proxyproto.HeaderProxyFromAddrs(version, from, to).Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func loopback() Networks { return Within([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}) }

func TestProxiedClientsHaveTheirOwnAddressAndCount(t *testing.T) {
	g := New(small, answer)
	l := listen(t, g)
	l.Proxies = loopback()
	for i, version := range []byte{1, 2} {
		c, err := proxied(t, l, append(header(t, version, "192.0.2.1:4000"), "EHLO x\r\n"...))
		if err != nil || c.RemoteAddr().String() != "192.0.2.1:4000" {
			t.Fatalf("version %d: %v, %v", version, c.RemoteAddr(), err)
		}
		rest := make([]byte, 8)
		if _, err := io.ReadFull(c, rest); err != nil || string(rest) != "EHLO x\r\n" {
			t.Errorf("version %d: behind the header %q, %v", version, rest, err)
		}
		if n := g.Sessions(); len(n) != i+1 || n[0].Address != "192.0.2.1" {
			t.Errorf("sessions %v", n)
		}
	}
	if _, err := proxied(t, l, header(t, 2, "192.0.2.1:4001")); err == nil || !strings.HasPrefix(err.Error(), "too many connections from your address") {
		t.Errorf("a third from one address: %v", err)
	}
	for _, c := range g.conns() {
		_ = c.Close()
	}
	if len(g.from) != 0 {
		t.Errorf("still counted: %v", g.from)
	}
}

func TestAProxysOwnCheckKeepsItsAddress(t *testing.T) {
	l := listen(t, New(small, answer))
	l.Proxies = loopback()
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range [][]byte{local, []byte("PROXY UNKNOWN\r\n")} {
		c, err := proxied(t, l, header)
		if err != nil || !strings.HasPrefix(c.RemoteAddr().String(), "127.0.0.1:") {
			t.Errorf("%q: %v, %v", header, c.RemoteAddr(), err)
		}
	}
}

func TestProxyHeadersOfNobodyInParticular(t *testing.T) {
	l := listen(t, New(small, answer))
	l.Proxies = loopback()
	for _, bad := range [][]byte{
		[]byte("EHLO x\r\n\r\n\r\n\r\n\r\n"), []byte("PROXY TCP4 nonsense\r\n"), bytes.Repeat([]byte("PROXY TCP4 "), 20),
		append(append([]byte{}, proxyproto.SIGV2...), 0x21, 0x11, 0, 1, 0),
	} {
		c, err := proxied(t, l, bad)
		if !errors.Is(err, ErrNoProxy) {
			t.Errorf("%q: %v, %v", bad, c.RemoteAddr(), err)
		}
		_ = c.Close()
	}
	l.Proxies = nil // who is not trusted is who they are
	c, err := proxied(t, l, header(t, 1, "192.0.2.1:4000"))
	if err != nil || strings.HasPrefix(c.RemoteAddr().String(), "192.0.2.1") {
		t.Errorf("%v, %v", c.RemoteAddr(), err)
	}
}

package gate

import (
	"mailfleet/inventory"

	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func small() Limits { return Limits{Connections: 3, PerAddress: 2} }

func answer(reason string) string { return "NO " + reason + "\r\n" }

func listen(t *testing.T, g *Gate) *Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	guarded := g.Listen(l)
	t.Cleanup(func() { _ = guarded.Close() })
	return guarded
}

// dial connects from the address and returns both ends; the server's is nil when
// the gate refused, and then said is what it answered.
func dial(t *testing.T, l *Listener, from string) (client net.Conn, server *Conn, said string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	refused := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(client)
		refused <- string(b)
	}()
	select {
	case c := <-accepted:
		t.Cleanup(func() { _ = c.Close() })
		return client, c.(*Conn), ""
	case said := <-refused:
		_ = l.Listener.Close() // ends the Accept that goes on
		<-accepted
		return client, nil, said
	}
}

func TestConnectionsFromOneAddressAreLimited(t *testing.T) {
	g := New(small, answer)
	_, first, _ := dial(t, listen(t, g), "127.0.0.1")
	dial(t, listen(t, g), "127.0.0.1")
	if _, c, said := dial(t, listen(t, g), "127.0.0.1"); c != nil || said != "NO too many connections from your address, try again later\r\n" {
		t.Errorf("the third was answered %q", said)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, c, said := dial(t, listen(t, g), "127.0.0.1"); c == nil {
		t.Errorf("after one left, the next was answered %q", said)
	}
	if g.Refused() != 1 || g.Open() != 2 {
		t.Errorf("%d refused, %d open", g.Refused(), g.Open())
	}
}

func TestConnectionsInAllAreLimited(t *testing.T) {
	g := New(small, answer)
	for _, from := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		if _, c, said := dial(t, listen(t, g), from); c == nil {
			t.Fatalf("%s was answered %q", from, said)
		}
	}
	if _, c, said := dial(t, listen(t, g), "127.0.0.4"); c != nil || said != "NO too many connections, try again later\r\n" {
		t.Errorf("the fourth was answered %q", said)
	}
}

func TestPeersInOneIPv6NetworkAreOne(t *testing.T) {
	l := &Listener{Trusted: Within([]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})}
	from := func(ip string) source { return l.origin(&net.TCPAddr{IP: net.ParseIP(ip), Zone: "eth0"}) }
	if a, b := from("2001:db8::1"), from("2001:db8::ffff:1"); a != b {
		t.Errorf("%v and %v", a, b)
	}
	if a, b := from("2001:db8::1"), from("2001:db8:0:1::1"); a.address == b.address || a.network != b.network {
		t.Errorf("%v and %v", a, b)
	}
	if a := from("::ffff:192.0.2.1"); a.address.String() != "192.0.2.1/32" || a.network.String() != "192.0.2.0/24" {
		t.Error(a)
	}
	if a := from("198.51.100.7"); a.address.String() != "198.51.100.7/32" || a.network.IsValid() {
		t.Error(a)
	}
}

func TestConnectionsFromOneNetworkAreLimited(t *testing.T) {
	g := New(func() Limits { return Limits{Connections: 9, PerAddress: 2, PerNetwork: 2} }, answer)
	_, first, _ := dial(t, listen(t, g), "127.0.0.1")
	dial(t, listen(t, g), "127.0.0.2")
	if _, c, said := dial(t, listen(t, g), "127.0.0.3"); c != nil || said != "NO too many connections from your network, try again later\r\n" {
		t.Errorf("the third was answered %q", said)
	}
	if _, c, said := dial(t, listen(t, g), "127.0.1.1"); c == nil {
		t.Errorf("one of another network was answered %q", said)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, c, said := dial(t, listen(t, g), "127.0.0.3"); c == nil {
		t.Errorf("after one left, the next was answered %q", said)
	}
	trusting := listen(t, g)
	trusting.Trusted = func(netip.Addr) bool { return true }
	if _, c, said := dial(t, trusting, "127.0.0.4"); c == nil {
		t.Errorf("one that is trusted was answered %q", said)
	}
}

func TestAListenerHasBoundsOfItsOwn(t *testing.T) {
	g := New(small, answer)
	l := listen(t, g)
	l.Bounds = func() Bounds { return Bounds{Connections: 1} }
	_, first, _ := dial(t, l, "127.0.0.1")
	again := func() *Listener { // dial ends a listener that refuses
		next, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Listener = next
		return l
	}
	if _, c, said := dial(t, again(), "127.0.0.2"); c != nil || said != "NO too many connections at this port, try again later\r\n" {
		t.Errorf("the second was answered %q", said)
	}
	if _, c, said := dial(t, listen(t, g), "127.0.0.1"); c == nil {
		t.Errorf("at another port it was answered %q", said)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, c, said := dial(t, again(), "127.0.0.1"); c == nil {
		t.Errorf("after one left, the next was answered %q", said)
	}
}

// pair is a session over a pipe, admitted by g.
func pair(t *testing.T, g *Gate) (net.Conn, *Conn) {
	client, server := net.Pipe()
	c, reason := g.admit(server, &Listener{})
	if c == nil {
		t.Fatal(reason)
	}
	return client, c
}

func TestStopInterruptsTheIdleAndLetsTheBusyFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(small, answer)
		_, idle := pair(t, g)
		peer, busy := pair(t, g)
		ended := make(chan string, 2)
		go func() {
			if err := idle.Await(time.Hour); err != nil {
				t.Error(err)
			}
			_, err := idle.Read(make([]byte, 1))
			if !errors.Is(err, os.ErrDeadlineExceeded) || !idle.Interrupted() {
				t.Errorf("the idle one got %v", err)
			}
			ended <- "idle"
			_ = idle.Close()
		}()
		go func() {
			if err := busy.Engage(time.Hour); err != nil {
				t.Error(err)
			}
			if _, err := busy.Read(make([]byte, 1)); err != nil {
				t.Errorf("the busy one got %v", err)
			}
			if err := busy.Await(time.Hour); !errors.Is(err, ErrStopping) {
				t.Errorf("the busy one's next command got %v", err)
			}
			ended <- "busy"
			_ = busy.Close()
		}()
		synctest.Wait()
		stopped := make(chan struct{})
		go func() { g.Stop(t.Context()); close(stopped) }()
		if who := <-ended; who != "idle" {
			t.Errorf("%s ended first", who)
		}
		synctest.Wait()
		if c, reason := g.admit(peer, &Listener{}); c != nil || reason != "the server is stopping" {
			t.Errorf("a new one got %q", reason)
		}
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		<-stopped
		if g.Open() != 0 {
			t.Errorf("%d are open", g.Open())
		}
	})
}

func TestStopClosesThoseWhoDoNotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(small, answer)
		_, stuck := pair(t, g)
		go func() {
			_ = stuck.Engage(time.Hour)
			_, _ = stuck.Read(make([]byte, 1))
			_ = stuck.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		g.Stop(ctx)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("stopped after %v", d)
		}
	})
}

func TestSessionsAreKnown(t *testing.T) {
	g := New(small, answer)
	l := listen(t, g)
	l.Local = true
	client, server, _ := dial(t, l, "127.0.0.1")
	_, other, _ := dial(t, listen(t, g), "127.0.0.2")
	server.SignedIn("a", "a@x.test")
	server.Secured(tls.VersionTLS13)
	of := func(account inventory.ID) (list []inventory.MailSession) {
		for _, s := range g.Sessions() {
			if s.Account == account {
				list = append(list, s)
			}
		}
		return list
	}
	list := of("a")
	if len(list) != 1 || len(g.Sessions()) != 2 || len(of("")) != 1 {
		t.Fatalf("of a: %+v, of all: %+v", list, g.Sessions())
	}
	s := list[0]
	if s.ID != server.ID() || s.User != "a@x.test" || s.Address != "127.0.0.1" || s.Port != client.LocalAddr().(*net.TCPAddr).Port ||
		s.Listener != l.Addr().String() || s.TLS != "TLS 1.3" || time.Since(s.Since) > time.Minute || s.Active.Before(s.Since) {
		t.Errorf("got %+v", s)
	}
	if !server.Local() || other.Local() || server.ID() == other.ID() {
		t.Error("the connections are not what they should be")
	}
	server.SignedIn("", "")
	if len(of("a")) != 0 {
		t.Error("who has signed out is still there")
	}
}

func TestOneSessionIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(func() Limits { return Limits{Connections: 9, PerAddress: 9} }, answer)
		_, idle := pair(t, g)
		_, stuck := pair(t, g)
		_, other := pair(t, g)
		idle.SignedIn("a", "")
		stuck.SignedIn("a", "")
		ended := make(chan error, 2)
		go func() {
			_ = idle.Await(time.Hour)
			_, err := idle.Read(make([]byte, 1))
			ended <- errors.Join(err, idle.Cause(), idle.Close())
		}()
		go func() {
			_, err := stuck.Write(make([]byte, 1)) // nobody reads
			ended <- errors.Join(err, stuck.Cause(), stuck.Close())
		}()
		synctest.Wait()
		start := time.Now()
		if g.End("nothing") || !g.End(idle.ID()) {
			t.Error("the wrong session was found")
		}
		if err := <-ended; !errors.Is(err, ErrEnded) || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("the idle one ended with %v", err)
		}
		if !g.End(stuck.ID()) || g.End(idle.ID()) {
			t.Error("the stuck one was not found, or the one that has ended was")
		}
		if err := <-ended; !errors.Is(err, ErrEnded) || time.Since(start) != endGrace {
			t.Errorf("the stuck one ended after %v with %v", time.Since(start), err)
		}
		if err := other.Await(time.Second); err != nil || g.Open() != 1 {
			t.Errorf("another one was ended: %v", err)
		}
		_ = other.Close()
	})
}

package gate

import (
	"context"
	"errors"
	"io"
	"net"
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
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Zone: "eth0"} }
	if a, b := origin(tcp("2001:db8::1")), origin(tcp("2001:db8::ffff:1")); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if a, b := origin(tcp("2001:db8::1")), origin(tcp("2001:db8:0:1::1")); a == b {
		t.Errorf("%s and %s", a, b)
	}
	if a := origin(tcp("::ffff:192.0.2.1")); a.String() != "192.0.2.1/32" {
		t.Error(a)
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

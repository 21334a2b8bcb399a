package handshake

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailfleet/inventory/identity"
)

// door is a listener on the loopback and what it has given.
type door struct {
	*Listener
	at     string
	given  atomic.Int32
	hellos atomic.Int32 // that were worked on
	inside atomic.Int32 // handshakes between their hello and the next word
	most   atomic.Int32 // of inside at a time
	hold   chan struct{}
}

// open opens a door; each handshake that is worked on waits for hold, when it is set.
func open(t *testing.T, o Options, hold chan struct{}) *door {
	t.Helper()
	ca, err := identity.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	self, err := ca.IssueSelf("controller", []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{hold: hold}
	o.Log = slog.New(slog.DiscardHandler)
	o.Config = identity.ServerConfig(ca.Root, func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		d.hellos.Add(1)
		if now := d.inside.Add(1); now > d.most.Load() {
			d.most.Store(now)
		}
		defer d.inside.Add(-1)
		if d.hold != nil {
			<-d.hold
		}
		return self.GetCertificate(h)
	}, func(string) bool { return false })
	inner, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	d.at = inner.Addr().String()[strings.LastIndexByte(inner.Addr().String(), ':'):]
	d.Listener = New(inner, o)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := d.Accept()
			if err != nil {
				return
			}
			d.given.Add(1)
			serving.Go(func() { _, _ = io.Copy(c, c); _ = c.Close() })
		}
	})
	t.Cleanup(func() { _ = d.Close(); serving.Wait() })
	return d
}

// dial connects from an address of the loopback.
func (d *door) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := dialer.DialContext(t.Context(), "tcp4", "127.0.0.1"+d.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// echo speaks through the door.
func echo(c net.Conn) error {
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	if _, err := io.WriteString(s, "hello"); err != nil {
		return err
	}
	_, err := io.ReadFull(s, make([]byte, 5))
	return err
}

// eventually waits for something to come true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("in vain: %s", what)
		}
	}
}

// hello is what a client says first.
func hello(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	go func() { _ = tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	b := make([]byte, 16<<10)
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	return b[:n]
}

func TestSilenceHoldsNoPlace(t *testing.T) {
	d := open(t, Options{Work: 1}, nil)
	words := hello(t)
	for range 10 {
		d.dial(t, "127.0.0.1") // says nothing
		if _, err := d.dial(t, "127.0.0.1").Write(words[:20]); err != nil {
			t.Fatal(err)
		}
		if _, err := d.dial(t, "127.0.0.1").Write(words); err != nil { // and never answers
			t.Fatal(err)
		}
	}
	eventually(t, "the silent are there", func() bool { return d.hellos.Load() == 10 })
	for range 3 {
		if err := echo(d.dial(t, "127.0.0.1")); err != nil {
			t.Fatalf("behind thirty silent ones: %v", err)
		}
	}
}

func TestTheSilentAreSentAway(t *testing.T) {
	d := open(t, Options{Patience: 100 * time.Millisecond}, nil)
	silent, slow := d.dial(t, "127.0.0.1"), d.dial(t, "127.0.0.1")
	go func() { // a word now and then gains no time
		for _, b := range hello(t)[:100] {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			<-time.After(20 * time.Millisecond)
		}
	}()
	for name, c := range map[string]net.Conn{"silent": silent, "slow": slow} {
		began := time.Now()
		_, err := io.Copy(io.Discard, c)
		if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() { // our own
			t.Errorf("the %s one is still there after %s: %v", name, time.Since(began), err)
		}
	}
	if d.given.Load() != 0 {
		t.Error("a connection without a handshake was given")
	}
}

func TestFewAreWorkedOn(t *testing.T) {
	d := open(t, Options{Work: 3}, nil)
	var clients sync.WaitGroup
	for range 60 {
		c := d.dial(t, "127.0.0.1")
		clients.Go(func() {
			if err := echo(c); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if most := d.most.Load(); most > 3 || d.given.Load() != 60 {
		t.Errorf("%d were worked on at a time, %d connections were given", most, d.given.Load())
	}
}

func TestWhoLeavesTheLineCostsNoWork(t *testing.T) {
	hold := make(chan struct{})
	d := open(t, Options{Work: 1}, hold)
	words := hello(t)
	first := make(chan error, 1)
	go func() { first <- echo(d.dial(t, "127.0.0.1")) }()
	eventually(t, "the place is taken", func() bool { return d.inside.Load() == 1 })
	for range 20 {
		c := d.dial(t, "127.0.0.1")
		if _, err := c.Write(words); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	waiting := func() (n int) {
		d.places.mu.Lock()
		defer d.places.mu.Unlock()
		for _, line := range d.places.lines {
			n += len(line)
		}
		return n
	}
	eventually(t, "they stand in line", func() bool { return waiting() == 20 })
	close(hold)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if err := echo(d.dial(t, "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	if n := d.hellos.Load(); n != 2 {
		t.Errorf("%d handshakes were worked on instead of 2", n)
	}
}

func TestTooManyAreTheirOwnLoss(t *testing.T) {
	d := open(t, Options{Most: 10}, nil)
	var crowd []net.Conn
	for range 30 {
		crowd = append(crowd, d.dial(t, "127.0.0.1"))
	}
	gone := make(chan int, len(crowd))
	for i, c := range crowd {
		go func() {
			_, _ = io.Copy(io.Discard, c)
			gone <- i
		}()
	}
	for range 20 {
		if i := <-gone; i < 10 {
			t.Errorf("number %d went, which came first", i)
		}
	}
	for range 3 { // each takes the place of one of the crowd
		if err := echo(d.dial(t, "127.0.0.2")); err != nil {
			t.Fatalf("from another address: %v", err)
		}
	}
	eventually(t, "no more than ten", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.pending <= 10 && len(d.open) == 1
	})
}

func TestPlacesGoByAddressInTurn(t *testing.T) {
	p := newPlaces(1)
	at := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	if p.join(at("10.0.0.1")) != nil {
		t.Fatal("the only place is not to be had")
	}
	names := map[*waiter]string{}
	var all []*waiter
	for _, from := range []string{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.2"} {
		w := p.join(at(from))
		names[w] = from
		all = append(all, w)
	}
	if !p.quit(at("10.0.0.3"), all[4]) || p.quit(at("10.0.0.3"), all[4]) {
		t.Error("who stands in line leaves it once")
	}
	var order []string
	for range 5 {
		p.free()
		for _, w := range all {
			select {
			case <-w.called:
				order = append(order, names[w])
				w.called = make(chan struct{})
			default:
			}
		}
	}
	if got := strings.Join(order, " "); got != "10.0.0.1 10.0.0.2 10.0.0.1 10.0.0.2 10.0.0.1" {
		t.Errorf("called in the order %s", got)
	}
	p.free()
	if p.spare != 1 || len(p.lines) != 0 || len(p.turns) != 0 {
		t.Errorf("after all: %+v", p)
	}
}

func TestWhoSpeaksHTTPIsTold(t *testing.T) {
	d := open(t, Options{}, nil)
	c := d.dial(t, "127.0.0.1")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(answer), "HTTP/1.0 400 ") || !strings.Contains(string(answer), "https://") {
		t.Errorf("answered %q", answer)
	}
}

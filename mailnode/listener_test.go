package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// freePort is a TCP port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// stranger connects to a port in the name of a client, by a PROXY header with more after it.
func stranger(t *testing.T, port int, client, more string) *talk {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "PROXY TCP4 %s 127.0.0.1 4242 25\r\n%s", client, more); err != nil {
		t.Fatal(err)
	}
	return &talk{&caller{t: t, Conn: c, r: bufio.NewReader(c)}}
}

// hello greets and reads the answer whole.
func (k *talk) hello() {
	k.t.Helper()
	k.do("EHLO client.test", "250-")
	for line := ""; !strings.HasPrefix(line, "250 "); {
		line = k.line()
	}
}

// Each listener for mail from other servers has switches of its own, which a reload turns
// without closing it.
func TestListenersHaveSwitchesOfTheirOwn(t *testing.T) {
	f := newFixture(t)
	strict, lax := freePort(t), freePort(t)
	f.config.Listeners = nil
	for _, port := range []int{strict, lax} {
		f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.SMTP, Address: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	off := inventory.Listener{
		Port: lax, Rates: inventory.Off, AddressCaps: inventory.Off, Tarpit: inventory.Off, EarlyTalkers: inventory.Off,
		ReverseNames: inventory.Off, Blocklists: inventory.Off, Greylisting: inventory.Off,
	}
	f.config.Limits.ConnectionsPerAddress = 2
	f.config.Mail = inventory.MailFlow{
		MessageSize: 4096, MailMax: 3,
		Receiving: inventory.Receiving{
			ProxyFrom: []string{"127.0.0.1"}, Greylisting: inventory.On, GreetingDelay: inventory.Duration(300 * time.Millisecond),
			Listeners: []inventory.Listener{off},
		},
		Sending: inventory.Sending{Resolvers: []string{"127.0.0.1:1"}}, // nobody answers there: nothing is known of anybody
	}
	f.write()
	f.start()
	deferred := func(port int, client, want string) {
		t.Helper()
		k := stranger(t, port, client, "")
		k.line()
		k.hello()
		k.do("MAIL FROM:<ann@elsewhere.test>", "250 ")
		k.do("RCPT TO:<user1@example.test>", want)
		k.do("QUIT", "221 ")
	}
	deferred(strict, "192.0.2.1", "451 4.7.1")
	deferred(lax, "192.0.2.1", "250 ")

	early := "EHLO early.test\r\n"
	if line := stranger(t, strict, "192.0.2.2", early).line(); !strings.HasPrefix(line, "554 5.5.1") {
		t.Errorf("an early talker got %q", line)
	}
	if line := stranger(t, lax, "192.0.2.2", early).line(); !strings.HasPrefix(line, "220 ") {
		t.Errorf("an early talker where it does not matter got %q", line)
	}

	greeting := func(port int) string {
		t.Helper()
		return stranger(t, port, "192.0.2.3", "").line()
	}
	for i, want := range []string{"220 ", "220 ", "421 4.3.2 "} {
		if line := greeting(strict); !strings.HasPrefix(line, want) {
			t.Errorf("connection %d got %q, want %q", i, line, want)
		}
	}
	if line := greeting(lax); !strings.HasPrefix(line, "220 ") {
		t.Errorf("a connection too many where they are not bounded got %q", line)
	}

	// Numbers are turned without closing it too: for an address, for its network, for the port.
	f.reload(func(c *api.Config) {
		c.Mail.Receiving.AddressConnections, c.Mail.Receiving.NetworkConnections = 1, 2
		c.Mail.Receiving.Listeners[0].Connections = 1
	})
	for _, x := range []struct{ client, want string }{
		{"198.51.100.1", "220 "}, {"198.51.100.1", "421 4.3.2 Too many connections from your address"}, {"198.51.100.2", "220 "},
		{"198.51.100.3", "421 4.3.2 Too many connections from your network"}, {"198.51.101.3", "220 "},
	} {
		if line := stranger(t, strict, x.client, "").line(); !strings.HasPrefix(line, x.want) {
			t.Errorf("%s got %q, want %q", x.client, line, x.want)
		}
	}
	if line := stranger(t, lax, "192.0.2.4", "").line(); !strings.HasPrefix(line, "421 4.3.2 mx.example.test too many connections at this port") {
		t.Errorf("where there may be one connection a further one got %q", line)
	}
	f.reload(func(c *api.Config) { c.Mail.Receiving.Listeners[0].Connections = 0 })

	k := stranger(t, lax, "192.0.2.4", "")
	k.line()
	k.do("EHLO client.test", "250-")
	announced := ""
	for line := ""; !strings.HasPrefix(line, "250 "); {
		line = k.line()
		announced += line + "\n"
	}
	if !strings.Contains(announced, "SIZE 4096\n") || !strings.Contains(announced, "MAILMAX=3\n") {
		t.Errorf("announced is %q", announced)
	}
	k.do("MAIL FROM:<ann@elsewhere.test> SIZE=5000", "552 5.3.4")

	f.reload(func(c *api.Config) { c.Mail.Receiving.Listeners[0].Greylisting = inventory.On })
	deferred(lax, "192.0.2.5", "451 4.7.1")
	f.reload(func(c *api.Config) {
		c.Mail.Receiving.Greylisting = inventory.Off
		c.Mail.Receiving.Listeners[0].Greylisting = ""
	})
	deferred(lax, "192.0.2.6", "250 ")
}

package imapd

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/gate/gatetest"
)

// timed runs f with a server and a peer who has read the greeting, and has not signed in.
func timed(t *testing.T, f func(t *testing.T, n *Server, peer net.Conn, r *bufio.Reader)) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{
			Auth: auth.New(auth.Options{Accounts: accounts(), Key: make([]byte, 32)}), Accounts: accounts(), Logger: slog.New(slog.DiscardHandler),
			Settings: Settings{Hostname: "mx.example.test", Limits: gate.Limits{Connections: 10, PerAddress: 10}},
		})
		l := gatetest.Listen()
		served := make(chan struct{})
		go func() { n.Serve(n.Gate.Listen(l)); close(served) }()
		peer := l.Dial()
		r := bufio.NewReader(peer)
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "* OK ") {
			t.Fatalf("%q, %v", line, err)
		}
		f(t, n, peer, r)
		_ = peer.Close()
		n.Stop(t.Context())
		<-served
	})
}

// A peer that says nothing, or stops in the middle of a command, is told so and given up,
// and so is a stranger that goes on, but takes too long.
func TestSlowWriters(t *testing.T) {
	for name, c := range map[string]struct {
		parts []string
		pause time.Duration // before each
		want  time.Duration // after the last
		first string        // of what it is answered
	}{
		"says nothing":          {nil, 0, loginTimeout, "* BYE nothing heard"},
		"stops in a line":       {[]string{"a NO"}, 0, readTimeout, "* BYE nothing heard"},
		"stops in a literal":    {[]string{"a LOGIN {20+}\r\nuser"}, 0, readTimeout, "* BYE nothing heard"},
		"a part a little later": {strings.SplitAfter("a NOOP\r\n", ""), 20 * time.Second, 0, "a OK"},
		"goes on for too long":  {strings.SplitAfter("a N", ""), readTimeout - time.Second, loginTimeout - 3*(readTimeout-time.Second), "* BYE nothing heard"},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, _ *Server, peer net.Conn, r *bufio.Reader) {
				for _, part := range c.parts {
					time.Sleep(c.pause)
					if _, err := io.WriteString(peer, part); err != nil {
						t.Fatal(err)
					}
				}
				start := time.Now()
				line, err := r.ReadString('\n')
				if took := time.Since(start); err != nil || !strings.HasPrefix(line, c.first) || took != c.want {
					t.Errorf("%q, %v after %v, want %q after %v", line, err, took, c.first, c.want)
				}
			})
		})
	}
}

// A peer that does not read is given up, whatever it asks for meanwhile.
func TestAPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, peer net.Conn, _ *bufio.Reader) {
		if _, err := io.WriteString(peer, "a CAPABILITY\r\nb CAPABILITY\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTimeout - time.Second)
		synctest.Wait()
		if n.Gate.Open() != 1 {
			t.Error("it is given up too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n.Gate.Open() != 0 {
			t.Error("the session goes on")
		}
	})
}

// To read a little now and then does not help.
func TestAPeerThatReadsSlowlyIsGivenUp(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, peer net.Conn, _ *bufio.Reader) {
		if _, err := io.WriteString(peer, strings.Repeat("a CAPABILITY\r\n", 6)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for n.Gate.Open() == 1 && time.Since(start) < time.Hour {
			_, _ = peer.Read(make([]byte, 1)) // the end of the connection is what is waited for
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		if took := time.Since(start); took < writeTimeout || took > writeTimeout+10*time.Second {
			t.Errorf("it is given up after %v", took)
		}
	})
}

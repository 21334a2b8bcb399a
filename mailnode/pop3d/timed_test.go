package pop3d

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/mailnode/gate/gatetest"
	"mailfleet/mailnode/store"
)

// shelf is a mailbox of one message in memory.
type shelf struct {
	mu       sync.Mutex
	expunged int
}

// oneMessage is the view of an inbox with a message, taken from a store.
var oneMessage = sync.OnceValue(func() *store.View {
	dir, err := os.MkdirTemp("", "pop3d-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Deliver(context.Background(), store.Delivery{Accounts: []string{user1}, Body: strings.NewReader(first), Size: int64(len(first))}); err != nil {
		panic(err)
	}
	view, err := Stored{s}.View(context.Background(), store.Place{Account: user1, Mailbox: store.Inbox})
	if err != nil {
		panic(err)
	}
	return view
})

func (s *shelf) View(context.Context, store.Place) (*store.View, error) { return oneMessage(), nil }

func (s *shelf) Messages(_ context.Context, _ store.Place, uids []uint32, _ bool) iter.Seq2[store.Message, error] {
	return func(yield func(store.Message, error) bool) {
		yield(store.Message{UID: uids[0], Size: int64(len(first))}, nil)
	}
}

func (s *shelf) Ahead() *store.Ahead          { return nil }
func (s *shelf) Body(store.Message) io.Reader { return strings.NewReader(first) }

func (s *shelf) Expunge(_ context.Context, _ store.Place, uids []uint32) (store.Expunged, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expunged += len(uids)
	return store.Expunged{UIDs: uids}, nil
}

// serve runs a server over a pipe and returns the peer's end and what ends it.
func serve(ctx context.Context, m Mailboxes) (*Server, net.Conn, func()) {
	n := New(Options{Auth: accounts(), Mailboxes: m, Logger: slog.New(slog.DiscardHandler), Settings: settings()})
	l := gatetest.Listen()
	guarded := n.Gate.Listen(l)
	guarded.Local = true
	served := make(chan struct{})
	go func() { n.Serve(guarded); close(served) }()
	client := l.Dial()
	return n, client, func() {
		_ = client.Close()
		n.Stop(ctx)
		<-served
	}
}

func timed(t *testing.T, f func(t *testing.T, n *Server, s *shelf, p *peer)) {
	oneMessage() // in real time
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		n, client, end := serve(t.Context(), s)
		p := newPeer(t, client)
		p.want("+OK")
		f(t, n, s, p)
		end()
	})
}

func TestIdlePeerIsTold(t *testing.T) {
	timed(t, func(t *testing.T, _ *Server, s *shelf, p *peer) {
		p.signIn()
		p.do("DELE 1", "+OK")
		time.Sleep(9*time.Minute + 59*time.Second)
		p.do("NOOP", "+OK")
		start := time.Now()
		p.want("-ERR nothing heard for 10m0s")
		if d := time.Since(start); d != 10*time.Minute {
			t.Errorf("after %v", d)
		}
		p.wantClosed()
		if s.expunged != 0 {
			t.Error("the message was deleted without QUIT")
		}
	})
}

func TestFailuresAreDelayedAndLimited(t *testing.T) {
	timed(t, func(t *testing.T, _ *Server, _ *shelf, p *peer) {
		for _, delay := range []time.Duration{1, 2, 4} {
			start := time.Now()
			p.do("USER user1@example.test", "+OK")
			p.do(fmt.Sprintf("PASS wrong %d", delay), "-ERR [AUTH] wrong address or password")
			if d := time.Since(start); d != delay*time.Second {
				t.Errorf("answered after %v, want %d s", d, delay)
			}
		}
		p.wantClosed()
	})
}

// A peer that stops reading is given up, and its maildrop with it.
func TestPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, _ *shelf, p *peer) {
		p.signIn()
		p.send("RETR 1\r\n")
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if n.Gate.Open() != 0 || !n.hold(user1) {
			t.Error("the session goes on")
		}
	})
}

// To read a little now and then does not help.
func TestPeerThatReadsSlowlyIsGivenUp(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, _ *shelf, p *peer) {
		p.signIn()
		p.send("RETR 1\r\n")
		start := time.Now()
		for n.Gate.Open() == 1 && time.Since(start) < time.Hour {
			_, _ = p.Conn.Read(make([]byte, 1)) // the end of the connection is what is waited for
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		if took := time.Since(start); took < writeTimeout || took > writeTimeout+10*time.Second {
			t.Errorf("it is given up after %v", took)
		}
	})
}

// A peer that sends a line a byte at a time has the time for a line, not for a byte.
func TestPeerThatWritesSlowlyIsGivenUp(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, _ *shelf, p *peer) {
		start := time.Now()
		for range 5 {
			time.Sleep(idleTimeout/5 - time.Second)
			p.send("N")
		}
		p.want("-ERR nothing heard for 10m0s")
		if took := time.Since(start); took != idleTimeout {
			t.Errorf("it is given up after %v", took)
		}
		p.wantClosed()
	})
}

func TestStopEndsIdlePeersAtOnce(t *testing.T) {
	timed(t, func(t *testing.T, n *Server, s *shelf, p *peer) {
		p.signIn()
		p.do("DELE 1", "+OK")
		start := time.Now()
		stopped := make(chan struct{})
		go func() { n.Stop(t.Context()); close(stopped) }()
		p.want("-ERR [SYS/TEMP] the server is stopping")
		p.wantClosed()
		<-stopped
		if d := time.Since(start); d != 0 || s.expunged != 0 {
			t.Errorf("after %v, %d deleted", d, s.expunged)
		}
	})
}

func FuzzParseCommand(f *testing.F) {
	for _, line := range []string{"USER a", "PASS  two  spaces ", "TOP 1 2", "uidl", "", " ", "QUIT\x00", "CAPA\t", "PASS \xff", "UTF8"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		verb, arg, ok := parseCommand(line)
		if !ok {
			return
		}
		if verb != strings.ToUpper(verb) || strings.ContainsAny(verb+arg, "\x00\r\n") {
			t.Fatalf("%q became %q %q", line, verb, arg)
		}
		if again := strings.TrimSuffix(verb+" "+arg, " "); !strings.EqualFold(again, strings.TrimSuffix(string(line), " ")) {
			t.Fatalf("%q became %q", line, again)
		}
		if n, ok := parseNumber(arg); ok && (n < 0 || n > 999_999_999) {
			t.Fatalf("%q became %d", arg, n)
		}
	})
}

// Whatever a peer sends, its session ends with it, and messages go only after QUIT.
func FuzzSession(f *testing.F) {
	f.Add([]byte("USER a\r\nPASS secret pass\r\nSTAT\r\nLIST\r\nUIDL\r\nTOP 1 1\r\nRETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n"))
	f.Add([]byte("USER a\r\nPASS secret pass\r\nDELE 1\r\nQUIT\r\nRETR 1\r\n"))
	f.Add([]byte("CAPA\nSTLS\nNOOP\x00\n\n\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		if strings.Contains(strings.ToUpper(string(said)), "PASS ") && !strings.Contains(string(said), "PASS secret pass\r\n") {
			return // a wrong password takes its time
		}
		s := &shelf{}
		_, client, end := serve(t.Context(), s)
		var answers strings.Builder
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(&answers, client) })
		_, _ = client.Write(said) // fails when the server has closed
		end()
		wg.Wait()
		for line := range strings.SplitSeq(strings.TrimSuffix(answers.String(), "\r\n"), "\r\n") {
			if strings.ContainsAny(line, "\r\n") {
				t.Fatalf("a line %q", line)
			}
		}
		if s.expunged > 0 && !strings.Contains(strings.ToUpper(string(said)), "QUIT") {
			t.Fatalf("%d messages were deleted after %q", s.expunged, said)
		}
	})
}

// Any message, cut into any parts, comes out stuffed so that a client gets it back.
func FuzzStuffing(f *testing.F) {
	f.Add("a\r\n.b\r\n..\r\n", uint8(1), uint8(3))
	f.Add("\r\n\r\n.", uint8(2), uint8(0))
	f.Fuzz(func(t *testing.T, text string, part, lines uint8) {
		whole, top := stuffed(t, text, part, nil), stuffed(t, text, part, new(int(lines)))
		var b strings.Builder
		for line := range strings.SplitAfterSeq(whole, "\n") {
			b.WriteString(strings.TrimPrefix(line, "."))
			if line == ".\r\n" || line == ".\n" {
				t.Fatalf("%q ends too early: %q", text, whole)
			}
		}
		want := text
		if text != "" && !strings.HasSuffix(text, "\n") {
			want += "\r\n"
		}
		if b.String() != want {
			t.Fatalf("%q came back as %q", want, b.String())
		}
		if !strings.HasPrefix(whole, top) && !strings.HasPrefix(whole, strings.TrimSuffix(top, "\r\n")) {
			t.Fatalf("the top %q is not the beginning of %q", top, whole)
		}
		_, body, _ := strings.Cut(strings.ReplaceAll("\n"+top, "\r\n", "\n"), "\n\n")
		if got := strings.Count(body, "\n"); got > int(lines) {
			t.Fatalf("%d lines of the body instead of %d: %q", got, lines, top)
		}
	})
}

package deliver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/resolve/resolvetest"
	"mailfleet/mailnode/store"
)

const (
	user1 = "0198c0de-0000-7000-8000-000000000001"
	user2 = "0198c0de-0000-7000-8000-000000000002"
	user3 = "0198c0de-0000-7000-8000-000000000003"
)

var quiet = slog.New(slog.DiscardHandler)

func table() *directory.Table {
	return directory.TableOf(directory.Content{
		Domains: []api.Domain{{Name: "example.test"}},
		Accounts: []directory.Account{
			{ID: user1, Address: "user1@example.test", Aliases: []string{"one@example.test"}},
			{ID: user2, Address: "user2@example.test"},
			{ID: user3, Address: "user3@example.test", Forward: inventory.Forward{To: []string{"me@far.test"}, Keep: true}},
		},
		Groups:     []api.Group{{Address: "team@example.test", Members: []string{"user1@example.test", "user2@example.test", "guest@far.test"}, Writers: inventory.WritersAnyone}},
		Postmaster: "user2@example.test",
	})
}

// node is a deliverer with all that is below it.
type node struct {
	*Deliverer
	store *store.Store
	queue *queue.Queue
	run   func() // lets the queue deliver

	client  *outbound.Client
	sending outbound.Settings // of the client

	mu     sync.Mutex
	events []string // kind and recipient
}

// note takes an event down.
func (n *node) note(e queue.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, string(e.Kind)+" "+e.Recipient.Address)
}

// start makes a node that sends to a port of hosts found at a DNS server.
func start(t testing.TB, dir string, opts store.Options, d *resolvetest.Server, port int, set queue.Settings) *node {
	t.Helper()
	s, err := store.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	sending := outbound.Settings{Hostname: "mx.example.test", Port: port, Timeouts: outbound.Timeouts{
		Connect: time.Minute, Greeting: time.Minute, Command: time.Minute, Data: time.Minute, Block: time.Minute, Final: time.Minute,
	}}
	client := outbound.New(sending, d.Resolver(t), quiet)
	places := &Places{
		Store: s, Directory: directory.New(table()), Logger: quiet,
		Rewrite: func(from, via string) (string, error) {
			return "srs=" + strings.ReplaceAll(from, "@", "=") + "@" + domainOf(via), nil
		},
		Reverse: func(address string) (string, bool) {
			inner, ok := strings.CutPrefix(address, "srs=")
			inner, _, _ = strings.Cut(inner, "@")
			return strings.ReplaceAll(inner, "=", "@"), ok
		},
	}
	set.Hostname = "mx.example.test"
	n := &node{store: s, client: client, sending: sending}
	q := queue.New(queue.Options{
		Store: s, Sender: client, Local: places, Logger: quiet, Language: func(string) string { return "en" }, Event: n.note, Settings: set,
	})
	n.Deliverer, n.queue = New(Options{Store: s, Queue: q, Places: places, Event: n.note, Logger: quiet}), q
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	n.run = func() { running.Go(func() { q.Run(ctx) }) }
	t.Cleanup(func() {
		cancel()
		running.Wait()
		client.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// mail returns what is in a mailbox, "" for the inbox.
func (n *node) mail(t testing.TB, account, name string) (texts []string) {
	t.Helper()
	place := store.Place{Account: account, Mailbox: store.Inbox}
	if name != "" {
		m, err := n.store.Find(t.Context(), account, name)
		if err != nil {
			t.Fatal(err)
		}
		place.Mailbox = m.ID
	}
	_, list, err := n.store.Snapshot(t.Context(), place)
	if errors.Is(err, store.ErrNoAccount) || errors.Is(err, store.ErrNoMailbox) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		b, err := io.ReadAll(n.store.Body(m))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}

func (n *node) await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			list, _, _ := n.queue.List(t.Context(), queue.Filter{}, "", 5)
			t.Fatalf("after 60 seconds still not: %s; in the queue is %+v", what, list)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// drained waits until the queue has nothing left.
func (n *node) drained(t testing.TB) {
	t.Helper()
	n.await(t, "the queue is empty", func() bool {
		total, err := n.queue.Count(t.Context(), queue.Filter{})
		// What leaves while it is counted is not counted, nor is what takes its place.
		return err == nil && total.Entries == 0 && n.queue.Depth() == 0
	})
}

// sink is an SMTP server that remembers what it took, and refuses whom it is told to.
type sink struct {
	port  int
	mu    sync.Mutex
	taken map[string][]string // by recipient: messages
	asked int                 // recipients
}

func newSink(t testing.TB, host string) *sink {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{port: int(netip.MustParseAddrPort(l.Addr().String()).Port()), taken: map[string][]string{}}
	go func() { // it ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.session(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return s
}

func (s *sink) session(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	say("220 sink.test ESMTP")
	var to []string
	from := ""
	for {
		l, err := in.ReadString('\n')
		if err != nil {
			return
		}
		l = strings.TrimSuffix(l, "\r\n")
		switch verb, arg, _ := strings.Cut(l, " "); verb {
		case "EHLO":
			say("250-sink.test\r\n250 PIPELINING")
		case "MAIL":
			from, to = arg, nil
			say("250 2.1.0 ok")
		case "RCPT":
			address, _, _ := strings.Cut(strings.TrimPrefix(arg, "TO:<"), ">")
			if strings.HasPrefix(address, "fail") {
				say("550 5.1.1 no such user")
				continue
			}
			s.mu.Lock()
			s.asked++
			n := s.asked
			s.mu.Unlock()
			if strings.HasPrefix(address, "later") && n%3 != 0 {
				say("450 4.2.0 later")
				continue
			}
			to = append(to, address)
			say("250 2.1.5 ok")
		case "DATA":
			if len(to) == 0 {
				say("554 5.5.1 nobody")
				continue
			}
			say("354 go on")
			var text strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(l, "."))
			}
			s.mu.Lock()
			for _, r := range to {
				s.taken[r] = append(s.taken[r], from+"\r\n"+text.String())
			}
			s.mu.Unlock()
			say("250 2.0.0 ok")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

func (s *sink) got(address string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken[address])
}

const text = "Subject: hello\r\n\r\nbody\r\n"

func to(addresses ...string) (list []envelope.Recipient) {
	for _, a := range addresses {
		list = append(list, envelope.Recipient{Address: a})
	}
	return list
}

func (n *node) accept(t testing.TB, e envelope.Envelope) error {
	t.Helper()
	e.ID = "T1"
	if e.From == "" {
		e.From = "sender@far.test"
	}
	return n.Accept(t.Context(), e, []byte("Received: here\r\n"), strings.NewReader(text), int64(len(text)))
}

func world(t testing.TB) (*sink, *resolvetest.Server) {
	t.Helper()
	return newSink(t, "127.0.0.2"), resolvetest.New(t, "far.test. 300 IN A 127.0.0.2")
}

func TestAccept(t *testing.T) {
	const whole = "Return-Path: <sender@far.test>\r\nReceived: here\r\n" + text
	count := func(n *node, account string) int { return len(n.mail(t, account, "")) }
	for _, x := range []struct {
		name            string
		to              []string
		one, two, three int
		far             []string // "from to" of what went out
	}{
		{"one", []string{"user1@example.test"}, 1, 0, 0, nil},
		{"an alias, and the account itself", []string{"ONE@example.test", "user1@example.test"}, 1, 0, 0, nil},
		{"a sub-address and postmaster", []string{"user1+x@example.test", "postmaster"}, 1, 1, 0, nil},
		{"a group", []string{"team@example.test"}, 1, 1, 0, []string{"srs=sender=far.test@example.test guest@far.test"}},
		{"a group and a member of it", []string{"team@example.test", "user1@example.test"}, 1, 1, 0, []string{"srs=sender=far.test@example.test guest@far.test"}},
		{"a forward that keeps", []string{"user3@example.test"}, 0, 0, 1, []string{"srs=sender=far.test@example.test me@far.test"}},
		{"here and there", []string{"user1@example.test", "x@far.test"}, 1, 0, 0, []string{"sender@far.test x@far.test"}},
		{"back through SRS", []string{"srs=who=far.test@example.test"}, 0, 0, 0, []string{"sender@far.test who@far.test"}},
		{"one who is gone among others", []string{"user1@example.test", "gone@example.test"}, 1, 0, 0, []string{" sender@far.test"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			s, d := world(t)
			n := start(t, t.TempDir(), store.Options{}, d, s.port, queue.Settings{})
			n.run()
			if err := n.accept(t, envelope.Envelope{Recipients: to(x.to...)}); err != nil {
				t.Fatal(err)
			}
			n.drained(t)
			if one, two, three := count(n, user1), count(n, user2), count(n, user3); one != x.one || two != x.two || three != x.three {
				t.Errorf("the mailboxes have %d, %d, %d messages", one, two, three)
			}
			for _, account := range []string{user1, user2, user3} {
				for _, got := range n.mail(t, account, "") {
					if got != whole {
						t.Errorf("in a mailbox is %q", got)
					}
				}
			}
			var out []string
			for address, list := range s.taken {
				for _, m := range list {
					from, _, _ := strings.Cut(strings.TrimPrefix(m, "FROM:<"), ">")
					out = append(out, from+" "+address)
				}
			}
			if !slices.Equal(out, x.far) {
				t.Errorf("sent was %q, want %q", out, x.far)
			}
		})
	}
}

func TestRefusedWhole(t *testing.T) {
	s, d := world(t)
	n := start(t, t.TempDir(), store.Options{Quota: func(account string) store.Quota {
		if account == user2 {
			return store.Quota{Bytes: 10}
		}
		return store.Quota{}
	}}, d, s.port, queue.Settings{})
	if err := n.accept(t, envelope.Envelope{Recipients: to("nobody@example.test")}); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("an unknown recipient: %v", err)
	}
	if err := n.accept(t, envelope.Envelope{Recipients: to("user2@example.test")}); !errors.Is(err, store.ErrQuota) {
		t.Errorf("a full mailbox: %v", err)
	}
	if err := n.accept(t, envelope.Envelope{}); err == nil {
		t.Error("a message for nobody is taken")
	}
	// A full mailbox among others waits in the queue.
	if err := n.accept(t, envelope.Envelope{Recipients: to("user2@example.test", "user1@example.test")}); err != nil {
		t.Error(err)
	}
	if len(n.mail(t, user1, "")) != 1 {
		t.Error("the other recipient did not get it")
	}
	n.run()
	n.await(t, "the full mailbox was tried", func() bool {
		total, err := n.queue.Count(t.Context(), queue.Filter{Last: "full"})
		return err == nil && total.Recipients == 1
	})
}

// With the disk full nothing is taken and nothing is lost; when there is room again mail
// flows without anybody's doing.
func TestFullDisk(t *testing.T) {
	s, d := world(t)
	n := start(t, t.TempDir(), store.Options{}, d, s.port, queue.Settings{Retries: []time.Duration{20 * time.Millisecond}})
	if err := n.accept(t, envelope.Envelope{From: "user1@example.test", Recipients: to("x@far.test", "fail@far.test")}); err != nil {
		t.Fatal(err)
	}
	n.store.Reserve(1 << 60)
	if err := n.accept(t, envelope.Envelope{Recipients: to("user1@example.test")}); !errors.Is(err, store.ErrFull) {
		t.Errorf("into a mailbox: %v", err)
	}
	if err := n.accept(t, envelope.Envelope{Recipients: to("y@far.test")}); !errors.Is(err, store.ErrFull) {
		t.Errorf("into the queue: %v", err)
	}
	n.run()
	n.await(t, "the failed recipient waits because no report can be written", func() bool {
		list, _, err := n.queue.List(t.Context(), queue.Filter{Recipient: "fail@"}, "", 1)
		return err == nil && len(list) == 1 && list[0].Attempts > 1
	})
	n.store.Reserve(0)
	n.drained(t)
	if len(s.got("x@far.test")) != 1 {
		t.Errorf("the good recipient got %d", len(s.got("x@far.test")))
	}
	if got := n.mail(t, user1, ""); len(got) != 1 || !strings.Contains(got[0], "Action: failed") {
		t.Errorf("the reports are %q", got)
	}
}

// With the resolver dead mail is taken and waits, and says why; when it lives again the
// mail goes.
func TestEventsTellOfEachRecipient(t *testing.T) {
	s, d := world(t)
	n := start(t, t.TempDir(), store.Options{}, d, s.port, queue.Settings{})
	n.run()
	if err := n.accept(t, envelope.Envelope{From: "a@outside.test", Recipients: to("user1@example.test", "x@far.test")}); err != nil {
		t.Fatal(err)
	}
	n.drained(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.Sort(n.events)
	want := []string{"delivered user1@example.test", "delivered x@far.test", "received user1@example.test", "received x@far.test"}
	if !slices.Equal(n.events, want) {
		t.Errorf("told of %q, want %q", n.events, want)
	}
}

func TestDeadResolver(t *testing.T) {
	s, d := world(t)
	d.Refuse("far.test", dns.RcodeServerFailure)
	n := start(t, t.TempDir(), store.Options{}, d, s.port, queue.Settings{Retries: []time.Duration{300 * time.Millisecond}})
	n.run()
	if err := n.accept(t, envelope.Envelope{Recipients: to("x@far.test")}); err != nil {
		t.Fatal(err)
	}
	var last string
	n.await(t, "it was tried", func() bool {
		list, _, err := n.queue.List(t.Context(), queue.Filter{}, "", 1)
		if err == nil && len(list) == 1 {
			last = list[0].Last
		}
		return last != ""
	})
	if want := "the mail hosts of far.test are not known now: looking up MX of far.test failed for now: the DNS server " + d.Addr + " answered SERVFAIL"; last != want {
		t.Errorf("got %q, want %q", last, want)
	}
	d.Refuse("far.test", 0)
	n.await(t, "it is sent once the resolver answers", func() bool {
		if _, err := n.queue.RetryNow(t.Context(), queue.Filter{}); err != nil {
			t.Error(err)
		}
		return len(s.got("x@far.test")) == 1
	})
	n.drained(t)
	if len(s.got("x@far.test")) != 1 {
		t.Error("it was sent more than once")
	}
}

func TestQuarantineAndLater(t *testing.T) {
	s, d := world(t)
	n := start(t, t.TempDir(), store.Options{Mailboxes: map[string]string{"Junk": "\\Junk"}}, d, s.port, queue.Settings{})
	n.run()
	if err := n.accept(t, envelope.Envelope{Recipients: to("user1@example.test")}); err != nil {
		t.Fatal(err)
	}
	if err := n.accept(t, envelope.Envelope{Recipients: to("user1@example.test"), Quarantine: "spam"}); err != nil {
		t.Fatal(err)
	}
	if a, b := len(n.mail(t, user1, "")), len(n.mail(t, user1, "Junk")); a != 1 || b != 1 {
		t.Errorf("the inbox has %d, the junk mailbox %d", a, b)
	}
	until := time.Now().Add(300 * time.Millisecond)
	if err := n.accept(t, envelope.Envelope{Recipients: to("user2@example.test"), HoldUntil: until}); err != nil {
		t.Fatal(err)
	}
	if got := n.mail(t, user2, ""); len(got) != 0 && time.Now().Before(until) {
		t.Error("a message for later is there at once")
	}
	n.drained(t)
	if len(n.mail(t, user2, "")) != 1 || time.Now().Before(until) {
		t.Error("a message for later did not come in its time")
	}
}

func BenchmarkAccept(b *testing.B) {
	const size = 10 << 10
	body := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", size/64)
	for name, address := range map[string]string{"mailboxes": "user%d@example.test", "queue": "x%d@far.test"} {
		b.Run(name, func(b *testing.B) {
			s, d := world(b)
			n := start(b, b.TempDir(), store.Options{}, d, s.port, queue.Settings{})
			b.SetParallelism(32) // 64 writers on two cores
			b.ReportAllocs()
			var seq sync.Mutex
			i := 0
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					seq.Lock()
					i++
					k := i
					seq.Unlock()
					text := fmt.Sprintf("X-Number: %d\r\n%s", k, body)
					e := envelope.Envelope{ID: "B", From: "a@far.test", Recipients: to(fmt.Sprintf(address, k%2+1))}
					if err := n.Accept(b.Context(), e, []byte("Received: bench\r\n"), strings.NewReader(text), int64(len(text))); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

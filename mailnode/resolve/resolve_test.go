package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/mailnode/resolve"
	"mailfleet/mailnode/resolve/resolvetest"
)

var quiet = slog.New(slog.DiscardHandler)

func TestLookups(t *testing.T) {
	s := resolvetest.New(t,
		"example.test. 300 IN MX 10 MX1.example.test.",
		"example.test. 300 IN MX 20 mx2.example.test.",
		"none.test. 300 IN MX 0 .",
		"mx1.example.test. 300 IN A 127.0.0.9",
		"mx1.example.test. 300 IN AAAA ::9",
		"four.test. 300 IN A 127.0.0.4",
		`example.test. 300 IN TXT "v=spf1 " "a \"b\" \\ \200 -all"`,
		"_25._tcp.mx1.example.test. 300 IN TLSA 3 1 1 00ff",
		"9.0.0.127.in-addr.arpa. 300 IN PTR Mail.example.test.",
		"www.example.test. 300 IN CNAME alias.example.test.",
		"alias.example.test. 200 IN CNAME mx1.example.test.",
		"2.0.0.127.bl.test. 300 IN A 127.0.0.2",
		"3.0.0.127.bl.test. 300 IN A 10.1.1.1",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.test. 300 IN A 127.0.0.3",
		"xn--fiqs8s.test. 300 IN MX 5 mx1.example.test.",
	)
	r := s.Resolver(t)
	ctx := t.Context()
	show := func(v any, err error) string { return fmt.Sprintf("%v %v", v, err) }
	for _, c := range []struct{ what, got, want string }{
		{"MX", show(records(r.MX(ctx, "Example.TEST"))), "[{mx1.example.test 10} {mx2.example.test 20}] <nil>"},
		{"null MX", show(records(r.MX(ctx, "none.test"))), "[{ 0}] <nil>"},
		{"MX of a Chinese name", show(records(r.MX(ctx, "中国.test"))), "[{mx1.example.test 5}] <nil>"},
		{"addresses", show(records(r.Addresses(ctx, "mx1.example.test."))), "[::9 127.0.0.9] <nil>"},
		{"addresses of IPv4", show(records(r.Addresses(ctx, "four.test"))), "[127.0.0.4] <nil>"},
		{"TXT", show(records(r.TXT(ctx, "example.test"))), "[v=spf1 a \"b\" \\ \xc8 -all] <nil>"},
		{"TLSA", show(records(r.TLSA(ctx, 25, "mx1.example.test"))), "[{3 1 1 [0 255]}] <nil>"},
		{"PTR", show(records(r.PTR(ctx, netip.MustParseAddr("::ffff:127.0.0.9")))), "[mail.example.test] <nil>"},
		{"alias", show(records(r.A(ctx, "www.example.test"))), "[127.0.0.9] <nil>"},
		{"listed", show(records(r.Listed(ctx, netip.MustParseAddr("127.0.0.2"), "bl.test."))), "[127.0.0.2] <nil>"},
		{"listed IPv6", show(records(r.Listed(ctx, netip.MustParseAddr("::1"), "bl.test"))), "[127.0.0.3] <nil>"},
		{"not listed", show(records(r.Listed(ctx, netip.MustParseAddr("127.0.0.7"), "bl.test"))), "[] the DNS knows no name 7.0.0.127.bl.test"},
		{"no name", show(records(r.MX(ctx, "nowhere.test"))), "[] the DNS knows no name nowhere.test"},
		{"no data", show(records(r.MX(ctx, "four.test"))), "[] the DNS has no MX record of four.test"},
		{"not a name", show(records(r.A(ctx, "a..b"))), "[] the DNS knows no name a..b"},
		{"a name with a line end", show(records(r.A(ctx, "a\r\n.b"))), "[] the DNS knows no name a??.b"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
	a, err := r.A(ctx, "www.example.test")
	if err != nil || a.Name != "mx1.example.test" {
		t.Errorf("the alias leads to %q, %v", a.Name, err)
	}
	if left := time.Until(a.Expires); left > 200*time.Second || left < 190*time.Second {
		t.Errorf("the answer is good for %s: the shortest TTL on the way is 200 s", left)
	}
	if _, err := r.Listed(ctx, netip.MustParseAddr("127.0.0.3"), "bl.test"); !errors.Is(err, resolve.ErrTemporary) {
		t.Errorf("a list that answers 10.1.1.1: %v", err)
	}
	if _, err := r.MX(ctx, "nowhere.test"); !errors.Is(err, resolve.ErrNoName) || !resolve.NotFound(err) {
		t.Errorf("no name: %v", err)
	}
	if _, err := r.MX(ctx, "four.test"); !errors.Is(err, resolve.ErrNoData) {
		t.Errorf("no data: %v", err)
	}
}

func records[T any](a resolve.Answer[T], err error) ([]T, error) { return a.Records, err }

func TestAnswersAreKept(t *testing.T) {
	s := resolvetest.New(t, "example.test. 300 IN MX 10 mx.example.test.", "short.test. 0 IN A 127.0.0.1")
	r := s.Resolver(t)
	ask := func(want int64, what func() error) {
		t.Helper()
		before := s.Queries.Load()
		for range 3 {
			_ = what()
		}
		if got := s.Queries.Load() - before; got != want {
			t.Errorf("asking 3 times took %d questions, want %d", got, want)
		}
	}
	ask(1, func() error { _, err := r.MX(t.Context(), "example.test"); return err })
	ask(1, func() error { _, err := r.MX(t.Context(), "none.test"); return err })
	ask(1, func() error { _, err := r.A(t.Context(), "example.test"); return err })
	ask(3, func() error { _, err := r.A(t.Context(), "short.test"); return err })
	if err := r.Configure(resolve.Settings{Servers: []string{s.Addr}, CacheBytes: 4000}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		_, _ = r.A(t.Context(), fmt.Sprintf("%d.test", i))
	}
	ask(0, func() error { _, err := r.A(t.Context(), "99.test"); return err })
	ask(1, func() error { _, err := r.A(t.Context(), "1.test"); return err })
}

func TestOneQuestionForAllWhoAsk(t *testing.T) {
	s := resolvetest.New(t)
	asked, release := make(chan struct{}, 100), make(chan struct{})
	s.Handle("slow.test", func(w dns.ResponseWriter, m *dns.Msg) {
		asked <- struct{}{}
		<-release
		answer := new(dns.Msg).SetReply(m)
		rr, _ := dns.NewRR("slow.test. 300 IN A 127.0.0.1")
		answer.Answer = []dns.RR{rr}
		_ = w.WriteMsg(answer)
	})
	r := s.Resolver(t)
	first, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.A(first, "slow.test")
		gone <- err
	}()
	<-asked
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := r.A(t.Context(), "slow.test"); err != nil {
				t.Error(err)
			}
		})
	}
	cancel() // the one who asked first goes away; the others get their answer
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who went away got %v", err)
	}
	close(release)
	all.Wait()
	if n := s.Queries.Load(); n != 1 {
		t.Errorf("%d questions were asked, want 1", n)
	}
}

func TestSecure(t *testing.T) {
	s := resolvetest.New(t, "example.test. 300 IN A 127.0.0.1", "two.test. 300 IN A 127.0.0.1", "two.test. 300 IN AAAA ::1")
	r := s.Resolver(t)
	a, err := r.A(t.Context(), "example.test")
	if err != nil || a.Secure {
		t.Errorf("an answer without AD is secure: %v, %v", a, err)
	}
	s.Secure(true)
	configure := func(set resolve.Settings) {
		t.Helper()
		if err := r.Configure(set); err != nil {
			t.Fatal(err)
		}
	}
	configure(resolve.Settings{Servers: []string{s.Addr}})
	if a, err = r.A(t.Context(), "example.test"); err != nil || !a.Secure {
		t.Errorf("an answer with AD of a server on this machine is not secure: %v, %v", a, err)
	}
	if a, err = r.Addresses(t.Context(), "two.test"); err != nil || !a.Secure {
		t.Errorf("two secure answers are not secure: %v, %v", a, err)
	}
	_, err = r.MX(t.Context(), "example.test")
	if e, ok := errors.AsType[*resolve.Error](err); !ok || !e.Secure {
		t.Errorf("the proof that there is nothing is lost: %v", err)
	}
	// With a server that is elsewhere among them, AD proves nothing unless it is trusted.
	configure(resolve.Settings{Servers: []string{s.Addr, "192.0.2.1"}})
	if a, err = r.A(t.Context(), "example.test"); err != nil || a.Secure {
		t.Errorf("AD of a server elsewhere is believed: %v, %v", a, err)
	}
	configure(resolve.Settings{Servers: []string{s.Addr, "192.0.2.1"}, TrustAD: true})
	if a, err = r.A(t.Context(), "example.test"); err != nil || !a.Secure {
		t.Errorf("AD of a trusted server is not believed: %v, %v", a, err)
	}
}

func TestFaults(t *testing.T) {
	s := resolvetest.New(t,
		"loop.test. 300 IN CNAME loop2.test.", "loop2.test. 300 IN CNAME loop.test.",
		"fine.test. 300 IN A 127.0.0.1", "dangling.test. 300 IN CNAME gone.test.")
	for i := range 200 {
		s.Add(t, fmt.Sprintf(`big.test. 300 IN TXT "%03d %s"`, i, strings.Repeat("x", 200)))
	}
	s.Refuse("broken.test", dns.RcodeServerFailure)
	s.Refuse("refused.test", dns.RcodeRefused)
	s.Silence("silent.test")
	s.Handle("garbage.test", func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte("220 not DNS at all\r\n")) })
	s.Handle("other.test", func(w dns.ResponseWriter, m *dns.Msg) { // answers what nobody asked
		answer := new(dns.Msg).SetReply(m)
		answer.Question[0].Name = "evil.test."
		_ = w.WriteMsg(answer)
	})
	s.Handle("spoofed.test", func(w dns.ResponseWriter, m *dns.Msg) {
		answer := new(dns.Msg).SetReply(m)
		rr, _ := dns.NewRR("spoofed.test. 300 IN A 127.6.6.6")
		answer.Answer = []dns.RR{rr}
		answer.Id ^= 1
		_ = w.WriteMsg(answer) // a forged answer, then the true one
		rr, _ = dns.NewRR("spoofed.test. 300 IN A 127.0.0.1")
		answer.Answer = []dns.RR{rr}
		answer.Id ^= 1
		_ = w.WriteMsg(answer)
	})
	s.Handle("old.test", func(w dns.ResponseWriter, m *dns.Msg) { // knows no EDNS
		if m.IsEdns0() != nil {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(m, dns.RcodeFormatError))
			return
		}
		answer := new(dns.Msg).SetReply(m)
		rr, _ := dns.NewRR("old.test. 300 IN A 127.0.0.1")
		answer.Answer = []dns.RR{rr}
		_ = w.WriteMsg(answer)
	})
	s.Handle("unchased.test", func(w dns.ResponseWriter, m *dns.Msg) { // does not go where the alias leads
		answer := new(dns.Msg).SetReply(m)
		rr, _ := dns.NewRR("unchased.test. 300 IN CNAME fine.test.")
		answer.Answer = []dns.RR{rr}
		_ = w.WriteMsg(answer)
	})
	r := s.Resolver(t)
	if err := r.Configure(resolve.Settings{Servers: []string{s.Addr}, Timeout: 100 * time.Millisecond, Deadline: time.Second}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"fine.test": "", "old.test": "", "spoofed.test": "", "unchased.test": "",
		"loop.test":     "looking up A of loop.test failed for now: its aliases go in a circle",
		"broken.test":   "looking up A of broken.test failed for now: the DNS server " + s.Addr + " answered SERVFAIL",
		"refused.test":  "looking up A of refused.test failed for now: the DNS server " + s.Addr + " answered REFUSED",
		"silent.test":   "looking up A of silent.test failed for now: the DNS server " + s.Addr + " did not answer: the time is over",
		"garbage.test":  "looking up A of garbage.test failed for now: the DNS server " + s.Addr + " answered something else than was asked",
		"other.test":    "looking up A of other.test failed for now: the DNS server " + s.Addr + " answered something else than was asked",
		"dangling.test": "the DNS knows no name dangling.test",
	} {
		a, err := r.A(t.Context(), name)
		got := ""
		if err != nil {
			got = err.Error()
		} else if len(a.Records) != 1 || a.Records[0] != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%s has %v", name, a.Records)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	// An answer too long for UDP comes by TCP.
	if a, err := r.TXT(t.Context(), "big.test"); err != nil || len(a.Records) != 200 {
		t.Errorf("the long answer has %d texts, %v", len(a.Records), err)
	}
}

func TestDeadServer(t *testing.T) {
	// A port nobody listens on, then one that answers: the second is asked.
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := dead.LocalAddr().String()
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	s := resolvetest.New(t, "example.test. 300 IN A 127.0.0.1", "other.test. 300 IN A 127.0.0.1")
	r, err := resolve.New(resolve.Settings{Servers: []string{gone, s.Addr}, Timeout: time.Second}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.A(t.Context(), "example.test"); err != nil {
		t.Error(err)
	}
	if err := r.Configure(resolve.Settings{Servers: []string{gone}, Timeout: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	_, err = r.A(t.Context(), "example.test")
	if !errors.Is(err, resolve.ErrTemporary) || !strings.Contains(err.Error(), gone) {
		t.Errorf("with only a dead server: %v", err)
	}
	if err := r.Configure(resolve.Settings{Servers: []string{"dns.example.test"}}); err == nil {
		t.Error("a name is taken for the address of a DNS server")
	}
}

func TestListOfServersIsReadAgain(t *testing.T) {
	one := resolvetest.New(t, "a.test. 300 IN A 127.0.0.1")
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	// The file has no room for a port: what is proven is that it is read, and which
	// servers are asked.
	if err := os.WriteFile(conf, []byte("search example.test\nnameserver 127.0.0.1\nnameserver ::1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := resolve.New(resolve.Settings{ResolvConf: conf, Timeout: 50 * time.Millisecond, Deadline: 300 * time.Millisecond}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.A(t.Context(), "a.test")
	if err == nil || !strings.Contains(err.Error(), ":53") {
		t.Errorf("the servers of the file are not asked: %v", err)
	}
	if n := one.Queries.Load(); n != 0 {
		t.Errorf("a server that is not in the file was asked %d times", n)
	}
}

// A resolver that is closed leaves nothing running and answers nobody.
func TestClose(t *testing.T) {
	s := resolvetest.New(t)
	s.Silence("silent.test")
	r, err := resolve.New(resolve.Settings{Servers: []string{s.Addr}, Timeout: time.Minute, Deadline: time.Minute}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := r.A(t.Context(), "silent.test")
		done <- err
	}()
	for deadline := time.Now().Add(time.Minute); s.Queries.Load() == 0 && time.Now().Before(deadline); {
		select {
		case err := <-done:
			t.Fatalf("it ended before it was closed: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	r.Close()
	if err := <-done; !errors.Is(err, resolve.ErrTemporary) {
		t.Errorf("a lookup that was cut off: %v", err)
	}
}

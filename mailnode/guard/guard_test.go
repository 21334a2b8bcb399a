package guard

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/miekg/dns"

	"mailfleet/mailnode/resolve"
	"mailfleet/mailnode/resolve/resolvetest"
	"mailfleet/mailnode/store"
)

var (
	quiet  = slog.New(slog.DiscardHandler)
	stays  = netip.MustParseAddr("192.0.2.1")
	listed = netip.MustParseAddr("192.0.2.66")
)

func open(t testing.TB, fs vfs.FS) *store.Store {
	t.Helper()
	s, err := store.Open("/store", store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s := open(t, vfs.NewMem())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var records = []string{
	"66.2.0.192.bl.test. 300 IN A 127.0.0.2",
	"67.2.0.192.bl.test. 300 IN A 127.0.0.9",
	"68.2.0.192.bl.test. 300 IN A 127.255.255.254",
	"66.2.0.192.more.test. 300 IN A 127.0.0.2",
	"66.2.0.192.welcome.test. 300 IN A 127.0.5.2",
	"69.2.0.192.welcome.test. 300 IN A 127.0.5.2",
	"1.2.0.192.in-addr.arpa. 300 IN PTR mail.good.test.", "mail.good.test. 300 IN A 192.0.2.1",
	"66.2.0.192.in-addr.arpa. 300 IN PTR mail.bad.test.", "mail.bad.test. 300 IN A 192.0.2.66",
	"2.2.0.192.in-addr.arpa. 300 IN PTR mail.good.test.",
	"3.2.0.192.in-addr.arpa. 300 IN PTR 192-0-2-3.dyn.provider.test.", "192-0-2-3.dyn.provider.test. 300 IN A 192.0.2.3",
}

func guarding(t testing.TB, s Settings) (*Guard, *resolvetest.Server) {
	t.Helper()
	server := resolvetest.New(t, records...)
	g, err := New(s, server.Resolver(t), newStore(t), quiet)
	if err != nil {
		t.Fatal(err)
	}
	return g, server
}

func at(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

func (g *Guard) attempt(t testing.TB, a netip.Addr, to string) Opinion {
	t.Helper()
	o := g.Recipient(t.Context(), Attempt{Address: a, From: "ann@example.org", To: to})
	if o.Refusal != nil && !o.Refusal.Valid() {
		t.Errorf("the refusal %v is none", o.Refusal)
	}
	return o
}

func TestAllowAndDenyLists(t *testing.T) {
	g, _ := guarding(t, Settings{
		Deny:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
	})
	for address, refused := range map[string]bool{"192.0.2.1": false, "192.0.2.2": true, "::ffff:192.0.2.2": true, "2001:db8::1": true, "198.51.100.1": false} {
		if o := g.Connect(t.Context(), netip.MustParseAddr(address), Without{}); (o.Refusal != nil) != refused || refused && !o.Refusal.Valid() {
			t.Errorf("%s: %+v", address, o)
		}
	}
	if o := g.Connect(t.Context(), netip.Addr{}, Without{}); o.Refusal != nil {
		t.Errorf("a local socket: %+v", o)
	}
}

func TestBlocklists(t *testing.T) {
	set := Settings{
		Lists: []List{
			{Zone: "bl.test", Codes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/30")}},
			{Zone: "more.test", Weight: 0.5}, {Zone: "welcome.test", Weight: -1}, {Zone: "down.test", Weight: 100},
		},
		Without: func(domain string) Without { return Without{Lists: domain == "open.test"} },
	}
	g, server := guarding(t, set)
	server.Refuse("66.2.0.192.down.test", dns.RcodeServerFailure)
	o := g.attempt(t, listed, "bob@example.test")
	if o.Refusal != nil { // 1 + 0.5 - 1
		t.Errorf("welcome lists do not count: %+v", o)
	}
	if len(o.Marks) != 2 || o.Name != "mail.bad.test" {
		t.Errorf("%+v", o)
	}
	if o := g.attempt(t, listed, "bob@open.test"); len(o.Marks) != 0 {
		t.Errorf("a domain that does without lists has its mail marked: %+v", o)
	}
	set.Lists[2].Weight = -0.1
	if err := g.Configure(set); err != nil {
		t.Fatal(err)
	}
	o = g.attempt(t, listed, "bob@example.test")
	if o.Refusal == nil || o.Refusal.Temporary() || !strings.Contains(o.Refusal.Text, "192.0.2.66 is on the blocklist bl.test and more.test") {
		t.Errorf("%+v", o.Refusal)
	}
	for _, to := range []string{"postmaster@example.test", "Abuse@example.test", "postmaster", "bob@open.test"} {
		if o := g.attempt(t, listed, to); o.Refusal != nil {
			t.Errorf("%s cannot be asked: %v", to, o.Refusal)
		}
	}
	for _, n := range []int{67, 68, 69, 1} { // another code, an error, a welcome, nothing
		if o := g.attempt(t, at(n), "bob@example.test"); o.Refusal != nil {
			t.Errorf("192.0.2.%d: %v", n, o.Refusal)
		}
	}
	set.Lists[0].Codes = nil
	if err := g.Configure(set); err != nil {
		t.Fatal(err)
	}
	if o := g.attempt(t, at(67), "bob@example.test"); o.Refusal == nil {
		t.Error("all codes do not count")
	}
	if o := g.attempt(t, at(68), "bob@example.test"); o.Refusal != nil {
		t.Errorf("the code of an error counts: %v", o.Refusal)
	}
}

// A list that does not answer holds nobody up for long, and is asked once.
func TestListsThatSayNothing(t *testing.T) {
	g, server := guarding(t, Settings{Lists: []List{{Zone: "silent.test"}}})
	server.Silence("1.2.0.192.silent.test")
	begun := time.Now()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if o := g.attempt(t, stays, "bob@example.test"); o.Refusal != nil {
				t.Error(o.Refusal)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); took > 3*dnsTime {
		t.Errorf("it took %s", took)
	}
	before := server.Queries.Load()
	g.attempt(t, stays, "bob@example.test")
	if after := server.Queries.Load(); after != before {
		t.Errorf("it was asked %d times again", after-before)
	}
}

func TestReverseNames(t *testing.T) {
	g, server := guarding(t, Settings{
		Reverse: Reverse{Missing: Refuse, Unconfirmed: Defer, Generic: Mark},
		Without: func(domain string) Without { return Without{Reverse: domain == "open.test"} },
	})
	server.Refuse("5.2.0.192.in-addr.arpa", dns.RcodeServerFailure)
	for _, c := range []struct {
		n       int
		name    string
		refusal string
		marks   int
	}{
		{1, "mail.good.test", "", 0},
		{2, "", "450 4.7.25", 0},
		{3, "192-0-2-3.dyn.provider.test", "", 1},
		{4, "", "550 5.7.25", 0},
		{5, "", "", 0}, // nobody knows
	} {
		connected := g.Connect(t.Context(), at(c.n), Without{})
		o := g.attempt(t, at(c.n), "bob@example.test")
		if connected.Refusal != nil || connected.Name != c.name || o.Name != c.name || len(o.Marks) != c.marks {
			t.Errorf("%d: %+v, %+v", c.n, connected, o)
		}
		if (o.Refusal == nil) != (c.refusal == "") || o.Refusal != nil && !strings.HasPrefix(o.Refusal.Error(), c.refusal) {
			t.Errorf("%d: %v, want %s", c.n, o.Refusal, c.refusal)
		}
	}
	if o := g.attempt(t, at(4), "bob@open.test"); o.Refusal != nil {
		t.Error(o.Refusal)
	}
}

func TestGenericNames(t *testing.T) {
	for name, want := range map[string]bool{
		"mail.example.test": false, "192-0-2-3.provider.test": true, "3.2.0.192.provider.test": true,
		"host192.0.2.3.provider.test": false, "c0000203.provider.test": true, "192000002003.x.test": true,
		"dsl-17.provider.test": true, "pool7.provider.test": true, "192-0-2-3.static.provider.test": false,
		"smtp.dynamic.test": false, "a.dynamic.provider.test": true, "clienthouse.test": false,
	} {
		if got := generic(name, at(3)); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if generic("3.2.0.192.provider.test", netip.MustParseAddr("2001:db8::1")) {
		t.Error("the name of an IPv6 address")
	}
}

func TestRates(t *testing.T) {
	st := newStore(t)
	synctest.Test(t, func(t *testing.T) {
		g, err := New(Settings{Rates: Rates{
			Connections: Rate{5, time.Minute}, Messages: Rate{3, time.Minute}, Recipients: Rate{4, time.Minute}, Errors: Rate{10, time.Hour},
		}, Tarpit: Tarpit{Step: time.Second, Most: 3 * time.Second}}, nothing{}, st, quiet)
		if err != nil {
			t.Fatal(err)
		}
		many := func(n int, f func(i int) bool) (refused int) {
			for i := range n {
				if f(i) {
					refused++
				}
			}
			return refused
		}
		connect := func(int) bool { return g.Connect(t.Context(), stays, Without{}).Refusal != nil }
		message := func(int) bool { return g.Message(stays, Without{}) != nil }
		recipient := func(int) bool { return g.attempt(t, stays, "bob@example.test").Refusal != nil }
		if a, b, c := many(7, connect), many(7, message), many(7, recipient); a != 2 || b != 4 || c != 3 {
			t.Errorf("%d connections, %d messages and %d recipients of 7 were refused", a, b, c)
		}
		time.Sleep(time.Minute)
		if a := many(5, connect); a != 0 {
			t.Errorf("%d were refused a minute later", a)
		}
		// A neighbourhood has ten times as much as one address.
		if a := many(250, func(i int) bool {
			return g.Connect(t.Context(), netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), Without{}).Refusal != nil
		}); a != 200 {
			t.Errorf("%d of 250 neighbours were refused", a)
		}
		time.Sleep(time.Hour)
		g.Erred(stays)
		g.Erred(stays)
		if o := g.Connect(t.Context(), stays, Without{}); o.Delay != 2*time.Second {
			t.Errorf("after 2 errors: %+v", o)
		}
		time.Sleep(forgetting)
		if o := g.attempt(t, stays, "bob@example.test"); o.Delay != time.Second {
			t.Errorf("a while later: %+v", o)
		}
		for range 10 {
			g.Erred(stays)
		}
		if o := g.attempt(t, stays, "bob@example.test"); o.Delay != 3*time.Second {
			t.Errorf("after many errors: %+v", o)
		}
		if o := g.Connect(t.Context(), stays, Without{}); o.Refusal == nil || o.Refusal.Code != 421 || !o.Refusal.Valid() {
			t.Errorf("after many errors: %+v", o)
		}
		for i := range 3 * remembered { // nobody fills memory
			g.Erred(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		if n := g.errs.Len(); n > remembered {
			t.Errorf("%d are remembered", n)
		}
	})
}

func TestWrongSettingsAreRefused(t *testing.T) {
	g, _ := guarding(t, DefaultSettings)
	for name, s := range map[string]Settings{
		"zone": {Lists: []List{{}}}, "action": {Reverse: Reverse{Missing: "kick"}},
		"rate": {Rates: Rates{Errors: Rate{N: 5}}}, "delay": {Greylist: Greylist{Delay: 25 * time.Hour}},
	} {
		if err := g.Configure(s); err == nil {
			t.Errorf("a wrong %s was taken", name)
		}
	}
	if o := g.Connect(t.Context(), stays, Without{}); o.Refusal != nil || o.Name != "mail.good.test" {
		t.Errorf("the settings of before are gone: %+v", o)
	}
}

// visitor tries the greylist at a time.
func (g *Guard) visit(t testing.TB, address, from, to string, spf bool) bool {
	t.Helper()
	o := g.Recipient(t.Context(), Attempt{
		Address: netip.MustParseAddr(address), From: from, To: to, SPF: func(context.Context) bool { return spf },
	})
	if o.Refusal != nil && (!o.Refusal.Temporary() || !o.Refusal.Valid()) {
		t.Errorf("%v", o.Refusal)
	}
	return o.Refusal == nil
}

func TestGreylist(t *testing.T) {
	g, _ := guarding(t, Settings{
		Greylist: Greylist{On: true, Delay: time.Minute},
		Lists:    []List{{Zone: "welcome.test", Weight: -1}},
		Without:  func(domain string) Without { return Without{Greylist: domain == "open.test"} },
	})
	now := time.Unix(1_800_000_000, 0)
	g.memo.now = func() time.Time { return now }
	const ann, bob = "ann@example.org", "bob@example.test"
	for _, step := range []struct {
		after             time.Duration
		what              string
		address, from, to string
		spf, want         bool
	}{
		{0, "a stranger", "198.51.100.1", ann, bob, false, false},
		{30 * time.Second, "too early", "198.51.100.1", ann, bob, false, false},
		{30 * time.Second, "again, from a neighbour", "198.51.100.2", ann, bob, false, true},
		{time.Second, "known", "198.51.100.1", ann, bob, false, true},
		{0, "for a colleague", "198.51.100.1", ann, "eve@example.test", false, true},
		{0, "for another domain", "198.51.100.1", ann, "eve@other.test", false, false},
		{0, "from another", "198.51.100.1", "joe@example.org", bob, false, false},
		{0, "a bounce", "198.51.100.1", "", bob, false, false},
		{0, "SPF passes", "203.0.113.1", ann, bob, true, true},
		{0, "on a welcome list", "192.0.2.69", ann, bob, false, true},
		{0, "a domain without", "203.0.113.1", ann, "x@open.test", false, true},
		{0, "for postmaster", "203.0.113.1", ann, "postmaster@example.test", false, true},
		{0, "a number for each message", "203.0.113.9", "list-123@example.org", bob, false, false},
		{2 * time.Minute, "another number", "203.0.113.9", "list-4711@example.org", bob, false, true},
		{0, "IPv6", "2001:db8:1:2::3", ann, bob, false, false},
		{2 * time.Minute, "IPv6 in the same network", "2001:db8:1:2::4", ann, bob, false, true},
		{0, "joe again", "198.51.100.1", "joe@example.org", bob, false, true},
		{0, "other.test again", "198.51.100.1", ann, "eve@other.test", false, true},
		{0, "a new one of a network that is trusted by now", "198.51.100.7", "new@example.org", bob, false, true},
		{36 * 24 * time.Hour, "forgotten", "203.0.113.9", "list-1@example.org", bob, false, false},
		{49 * time.Hour, "too late", "203.0.113.9", "list-2@example.org", bob, false, false},
	} {
		now = now.Add(step.after)
		if got := g.visit(t, step.address, step.from, step.to, step.spf); got != step.want {
			t.Errorf("%s: passed %v", step.what, got)
		}
	}
}

// What is known outlives a restart, what is too old is swept away, and a full table
// makes nobody wait.
func TestTheGreylistIsKeptAndSwept(t *testing.T) {
	fs := vfs.NewMem()
	st := open(t, fs)
	set := Settings{Greylist: Greylist{On: true, Delay: time.Minute, Entries: 50}}
	now := time.Unix(1_800_000_000, 0)
	begin := func() *Guard {
		g, err := New(set, nothing{}, st, quiet)
		if err != nil {
			t.Fatal(err)
		}
		g.memo.now = func() time.Time { return now }
		return g
	}
	g := begin()
	visit := func(n int) bool {
		return g.visit(t, fmt.Sprintf("198.51.%d.1", n), "ann@example.org", "bob@example.test", false)
	}
	for n := range 50 {
		if visit(n) {
			t.Fatalf("stranger %d passed", n)
		}
	}
	if !visit(51) {
		t.Error("a stranger had to wait though nobody can remember him")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx); err != nil { // writes at its end
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	st = open(t, fs)
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	g = begin()
	now = now.Add(2 * time.Minute)
	if !visit(7) {
		t.Error("who had waited has to wait again")
	}
	now = now.Add(72 * time.Hour)
	old := func(now time.Time, _, value []byte) bool {
		return greyEntry(value).expired(g.set.Greylist, now)
	}
	if err := g.memo.sweep(t.Context(), now, old); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, err := range g.memo.table.Scan(t.Context(), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
	}
	if rows != 2 || g.memo.rows != 1 { // the sender and its network, of which the sweep saw the first
		t.Errorf("%d rows are left, %d counted", rows, g.memo.rows)
	}
	if visit(8) {
		t.Error("who did not come again passed")
	}
}

// nothing is a resolver that finds nothing, at once.
type nothing struct{}

func (nothing) PTR(context.Context, netip.Addr) (a resolve.Answer[string], err error) {
	return a, resolve.ErrNoName
}

func (nothing) Addresses(context.Context, string) (a resolve.Answer[netip.Addr], err error) {
	return a, resolve.ErrNoName
}

func (nothing) Listed(context.Context, netip.Addr, string) (a resolve.Answer[netip.Addr], err error) {
	return a, resolve.ErrNoName
}

// What is off where a peer has connected is not held against it there, and only there.
func TestListenersDoWithoutRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := guarding(t, Settings{
			Rates:  Rates{Connections: Rate{1, time.Hour}, Messages: Rate{1, time.Hour}, Recipients: Rate{1, time.Hour}, Errors: Rate{2, time.Hour}},
			Tarpit: Tarpit{Step: time.Second}, Greylist: Greylist{On: true},
		})
		off := Without{Rates: true, Tarpit: true, Greylist: true}
		peer := at(99)
		attempt := func(without Without) Opinion {
			return g.Recipient(t.Context(), Attempt{Address: peer, From: "ann@example.org", To: "bob@example.test", Without: func(string) Without { return without }})
		}
		for range 3 {
			g.Erred(peer)
			if o := g.Connect(t.Context(), peer, off); o.Refusal != nil || o.Delay != 0 {
				t.Errorf("connected where rules are off: %+v", o)
			}
			if r := g.Message(peer, off); r != nil {
				t.Errorf("a message where rules are off: %v", r)
			}
			if o := attempt(off); o.Refusal != nil || o.Delay != 0 {
				t.Errorf("a recipient where rules are off: %+v", o)
			}
		}
		if o := g.Connect(t.Context(), peer, Without{}); o.Refusal == nil {
			t.Errorf("connected where they are on: %+v", o)
		}
		if o := attempt(Without{Greylist: true}); o.Refusal != nil || o.Delay != 3*time.Second {
			t.Errorf("a first recipient where they are on: %+v", o)
		}
		if o := attempt(Without{Greylist: true}); o.Refusal == nil || o.Refusal.Enhanced != "4.7.1" {
			t.Errorf("a recipient too many: %+v", o)
		}
		if g.Message(peer, Without{}) != nil || g.Message(peer, Without{}) == nil {
			t.Error("of two messages the second is not refused")
		}
	})
}

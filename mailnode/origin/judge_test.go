package origin

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailfleet/mailnode/resolve"
)

var peer = netip.MustParseAddr("192.0.2.1")

// spfZone is what the SPF cases are about, in the manner of RFC 7208 appendix A.
func spfZone(z *zone) {
	for name, records := range map[string][]string{
		"example.com":                    {txt("v=spf1 +mx a:colo.example.com/28 -all"), "MX 10 mail-a.example.com.", "A 192.0.2.10"},
		"mail-a.example.com":             {"A 192.0.2.129"},
		"colo.example.com":               {"A 203.0.113.35"},
		"ip.test":                        {txt("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all")},
		"neutral.test":                   {txt("v=spf1 ?all")},
		"nothing.test":                   {"A 192.0.2.1"},
		"other.test":                     {txt("v=spf10 -all"), txt("hello")},
		"two.test":                       {txt("v=spf1 -all"), txt("v=spf1 +all")},
		"include.test":                   {txt("v=spf1 include:ip.test -all")},
		"includenone.test":               {txt("v=spf1 include:nothing.test -all")},
		"redirect.test":                  {txt("v=spf1 redirect=ip.test")},
		"loop.test":                      {txt("v=spf1 include:loop.test -all")},
		"void.test":                      {txt("v=spf1 a:a.void.test a:b.void.test a:c.void.test +all")},
		"syntax.test":                    {txt("v=spf1 ip4:192.0.2.1.5 +all")},
		"unknown.test":                   {txt("v=spf1 fetch:x +all")},
		"modifier.test":                  {txt("v=spf1 moo=cow ip4:192.0.2.1 -all")},
		"temp.test":                      {"SERVFAIL"},
		"includetemp.test":               {txt("v=spf1 include:temp.test -all")},
		"macro.test":                     {txt("v=spf1 exists:%{l}.%{ir}.users.macro.test -all")},
		"null.test":                      {txt("v=spf1 a -all"), "A 192.0.2.1"},
		"ptr.test":                       {txt("v=spf1 ptr -all")},
		"host.ptr.test":                  {"A 192.0.2.1"},
		"xn--fsqu00a.test":               {txt("v=spf1 ip4:192.0.2.1 -all")},
		"1.2.0.192.in-addr.arpa":         {"PTR host.ptr.test."},
		"ann.1.2.0.192.users.macro.test": {"A 127.0.0.2"},
	} {
		z.set(name, records...)
	}
}

var spfCases = []struct {
	name, ip, helo, from string
	want                 Result
	apart                bool // mailauth differs, and why
}{
	{"a host of MX", "192.0.2.129", "h.test", "a@example.com", Pass, false},
	{"a network of A", "203.0.113.33", "h.test", "a@example.com", Pass, false},
	{"another address", "192.0.2.1", "h.test", "a@example.com", Fail, false},
	{"IPv4", "192.0.2.77", "h.test", "a@ip.test", Pass, false},
	{"IPv6", "2001:db8:1::5", "h.test", "a@ip.test", Pass, false},
	{"softfail", "198.51.100.1", "h.test", "a@ip.test", SoftFail, false},
	{"neutral", "198.51.100.1", "h.test", "a@neutral.test", Neutral, false},
	{"no record", "192.0.2.1", "h.test", "a@nothing.test", None, false},
	{"no domain", "192.0.2.1", "h.test", "a@nosuch.test", None, false},
	{"other records", "192.0.2.1", "h.test", "a@other.test", None, false},
	{"two records", "192.0.2.1", "h.test", "a@two.test", PermError, false},
	{"include", "192.0.2.1", "h.test", "a@include.test", Pass, false},
	{"include that does not match", "198.51.100.1", "h.test", "a@include.test", Fail, false},
	{"include of nothing", "192.0.2.1", "h.test", "a@includenone.test", PermError, false},
	{"redirect", "198.51.100.1", "h.test", "a@redirect.test", SoftFail, false},
	{"loop", "192.0.2.1", "h.test", "a@loop.test", PermError, false},
	{"void lookups", "192.0.2.1", "h.test", "a@void.test", PermError, false},
	{"syntax", "192.0.2.1", "h.test", "a@syntax.test", PermError, false},
	{"an unknown mechanism", "192.0.2.1", "h.test", "a@unknown.test", PermError, false},
	{"an unknown modifier", "192.0.2.1", "h.test", "a@modifier.test", Pass, false},
	{"DNS fails", "192.0.2.1", "h.test", "a@temp.test", TempError, false},
	{"DNS fails within", "192.0.2.1", "h.test", "a@includetemp.test", TempError, true}, // mailauth goes on after the include
	{"a macro", "192.0.2.1", "h.test", "ann@macro.test", Pass, false},
	{"a macro of another user", "192.0.2.1", "h.test", "bob@macro.test", Fail, false},
	{"null sender, HELO", "192.0.2.1", "null.test", "", Pass, false},
	{"null sender, HELO of others", "192.0.2.2", "null.test", "", Fail, false},
	{"ptr", "192.0.2.1", "h.test", "a@ptr.test", Pass, false},
	{"a domain in Chinese", "192.0.2.1", "h.test", "a@例子.test", Pass, true}, // mailauth asks for the name as it is
	{"a quoted @", "192.0.2.2", "h.test", `"a@ip.test"@null.test`, Fail, false},
	{"HELO is an address", "192.0.2.1", "[192.0.2.1]", "", None, false},
}

func TestSPF(t *testing.T) {
	j, z, _ := judging(t)
	spfZone(z)
	for _, c := range spfCases {
		s := j.SPF(t.Context(), netip.MustParseAddr(c.ip), c.helo, c.from)
		if s.Result != c.want || (s.Reason == "") != (c.want == Pass) {
			t.Errorf("%s: %+v, want %s", c.name, s, c.want)
		}
	}
	if s := j.SPF(t.Context(), netip.Addr{}, "null.test", ""); s.Result != None {
		t.Errorf("without an address: %+v", s)
	}
	if s := j.SPF(t.Context(), netip.MustParseAddr("::ffff:192.0.2.1"), "null.test", ""); s.Result != Pass {
		t.Errorf("a mapped address: %+v", s)
	}
}

var dmarcRecords = map[string]string{
	"_dmarc.reject.test":      "v=DMARC1; p=reject; sp=quarantine",
	"_dmarc.quarantine.test":  "v=DMARC1;p=QUARANTINE;rua=mailto:x@quarantine.test",
	"_dmarc.watch.test":       "v=DMARC1; p=none",
	"_dmarc.strict.test":      "v=DMARC1; p=reject; aspf=s; adkim=s",
	"_dmarc.nopolicy.test":    "v=DMARC1; rua=mailto:x@nopolicy.test",
	"_dmarc.broken.test":      "v=DMARC1; pp=reject",
	"_dmarc.notfirst.test":    "p=reject; v=DMARC1",
	"_dmarc.own.reject.test":  "v=DMARC1; p=none",
	"_dmarc.pct.test":         "v=DMARC1; p=reject; pct=30",
	"_dmarc.someco.uk":        "v=DMARC1; p=reject",
	"_dmarc.example.co.uk":    "v=DMARC1; p=reject",
	"_dmarc.other.reject.tst": "v=DMARC1; p=reject",
}

// dmarcZone lets peer send for every domain of *.test below and nobody for the rest.
func dmarcZone(t testing.TB, z *zone) {
	for name, record := range dmarcRecords {
		z.set(name, txt(record))
	}
	z.set("_dmarc.double.test", txt("v=DMARC1; p=reject"), txt("v=DMARC1; p=none"))
	z.set("_dmarc.down.test", "SERVFAIL")
	for _, d := range []string{"reject.test", "sub.reject.test", "strict.test", "sub.strict.test", "watch.test", "elsewhere.test", "a.example.co.uk", "down.test"} {
		z.set(d, txt("v=spf1 ip4:192.0.2.1 -all"))
	}
	z.set("unasked.reject.test", "SERVFAIL")
	for _, d := range []string{"reject.test", "mail.reject.test", "mail.strict.test", "strict.test", "elsewhere.test"} {
		publish(t, z, d, keys(t))
	}
}

var dmarcCases = []struct {
	name, from, sender, signer string
	want                       Result
	policy                     string
	refuse                     Action // under the setting refuse
	apart                      bool   // mailauth differs, and why
}{
	{"SPF", "a@reject.test", "b@reject.test", "", Pass, "reject", Accept, false},
	{"SPF of a subdomain", "a@reject.test", "b@sub.reject.test", "", Pass, "reject", Accept, false},
	{"SPF of another", "a@reject.test", "b@elsewhere.test", "", Fail, "reject", Refuse, false},
	{"DKIM", "a@reject.test", "b@elsewhere.test", "reject.test", Pass, "reject", Accept, false},
	{"DKIM of a subdomain", "a@reject.test", "b@elsewhere.test", "mail.reject.test", Pass, "reject", Accept, false},
	{"DKIM of another", "a@reject.test", "b@elsewhere.test", "elsewhere.test", Fail, "reject", Refuse, false},
	{"strict SPF", "a@strict.test", "b@strict.test", "", Pass, "reject", Accept, false},
	{"strict, SPF of a subdomain", "a@strict.test", "b@sub.strict.test", "", Fail, "reject", Refuse, true},                 // mailauth is not strict
	{"strict, DKIM of a subdomain", "a@strict.test", "b@elsewhere.test", "mail.strict.test", Fail, "reject", Refuse, true}, // mailauth is not strict
	{"strict DKIM", "a@strict.test", "b@elsewhere.test", "strict.test", Pass, "reject", Accept, false},
	{"a subdomain's policy", "a@deep.reject.test", "b@elsewhere.test", "", Fail, "quarantine", Quarantine, false},
	{"a subdomain's own record", "a@own.reject.test", "b@elsewhere.test", "", Fail, "none", Accept, false},
	{"quarantine", "a@quarantine.test", "b@elsewhere.test", "", Fail, "quarantine", Quarantine, false},
	{"none", "a@watch.test", "b@elsewhere.test", "", Fail, "none", Accept, false},
	{"no record", "a@elsewhere.test", "b@elsewhere.test", "", None, "", Accept, false},
	{"a record without policy", "a@nopolicy.test", "b@elsewhere.test", "", Fail, "none", Accept, true}, // mailauth wants p=
	{"a broken record", "a@broken.test", "b@elsewhere.test", "", None, "", Accept, true},               // mailauth reports it as fail
	{"another order", "a@notfirst.test", "b@elsewhere.test", "", None, "", Accept, false},
	{"two records", "a@double.test", "b@elsewhere.test", "", None, "", Accept, false},
	{"a public suffix of two labels", "a@example.co.uk", "b@a.example.co.uk", "", Pass, "reject", Accept, false},
	{"a neighbour under a public suffix", "a@example.co.uk", "b@someco.uk", "", Fail, "reject", Refuse, false},
	{"no DNS", "a@down.test", "b@elsewhere.test", "", TempError, "", Accept, false},
	{"upper case", "A@REJECT.Test", "b@elsewhere.test", "reject.test", Pass, "reject", Accept, false},
	{"a name in quotes", `"x@elsewhere.test" <a@reject.test>`, "b@elsewhere.test", "elsewhere.test", Fail, "reject", Refuse, false},
}

func dmarcMessage(t testing.TB, from, signer string) string {
	m := "From: " + from + "\r\nSubject: x\r\n\r\nx\r\n"
	if signer != "" {
		m = sign(t, signer, keys(t), m)
	}
	return m
}

func TestDMARC(t *testing.T) {
	j, z, _ := judging(t)
	j.percent = func() int { return 0 }
	dmarcZone(t, z)
	for _, c := range dmarcCases {
		v := j.test(t, Message{Peer: peer, Helo: "h.test", From: c.sender}, dmarcMessage(t, c.from, c.signer))
		if v.DMARC.Result != c.want || v.DMARC.Policy != c.policy || v.Disposition(Refuse) != c.refuse || c.refuse == Refuse && !v.Refusal().Valid() {
			t.Errorf("%s: %+v, %s; SPF %+v, DKIM %+v", c.name, v.DMARC, v.Disposition(Refuse), v.SPF, v.DKIM)
		}
	}
}

func TestFromFieldsThatAreNoneAreInvalid(t *testing.T) {
	j, z, _ := judging(t)
	dmarcZone(t, z)
	for name, header := range map[string]string{
		"none":         "Subject: x\r\n",
		"two":          "From: a@reject.test\r\nfrom : b@elsewhere.test\r\n",
		"empty":        "From: \r\n",
		"no domain":    "From: ann\r\n",
		"a bad domain": "From: a@b..c\r\n",
		"many domains": "From: a@a.test, b@b.test, c@c.test, d@d.test, e@e.test, f@f.test\r\n",
	} {
		v := j.test(t, Message{Peer: peer, From: "b@elsewhere.test"}, header+"\r\nx\r\n")
		if v.DMARC.Result != PermError || v.Disposition(Refuse) != Refuse || v.Temporary() {
			t.Errorf("%s: %+v", name, v.DMARC)
		}
		if r := v.Refusal(); r.Temporary() || r.Enhanced != "5.7.1" || !r.Valid() {
			t.Errorf("%s: %v", name, r)
		}
	}
	// Of several authors the one counts who is shown the least to be one.
	v := j.test(t, Message{Peer: peer, From: "b@elsewhere.test"}, "From: b@elsewhere.test, a@watch.test, c@reject.test\r\n\r\nx\r\n")
	if v.DMARC.Domain != "reject.test" || v.DMARC.Result != Fail {
		t.Errorf("%+v", v.DMARC)
	}
}

func TestPartOfMessages(t *testing.T) {
	j, z, _ := judging(t)
	dmarcZone(t, z)
	for drawn, want := range map[int]Action{0: Refuse, 29: Refuse, 30: Quarantine, 99: Quarantine} {
		j.percent = func() int { return drawn }
		v := j.test(t, Message{Peer: peer, From: "b@elsewhere.test"}, dmarcMessage(t, "a@pct.test", ""))
		if got := v.Disposition(Refuse); got != want {
			t.Errorf("drawn %d: %s", drawn, got)
		}
	}
}

// nobody is a resolver that is never answered.
func nobody(t *testing.T) *resolve.Resolver {
	t.Helper()
	r, err := resolve.New(resolve.Settings{Servers: []string{"127.0.0.1:1"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// What the DNS cannot tell is no reason to refuse for ever.
func TestFailuresOfDNSAreTemporary(t *testing.T) {
	j, z, _ := judging(t)
	dmarcZone(t, z)
	v := j.test(t, Message{Peer: peer, From: "b@unasked.reject.test"}, dmarcMessage(t, "a@reject.test", ""))
	if r := v.Refusal(); v.DMARC.Result != TempError || v.Disposition(Refuse) != Refuse || !r.Temporary() || !r.Valid() {
		t.Errorf("SPF: %+v, %v", v, r)
	}
	if got := v.Disposition(Quarantine); got != Mark {
		t.Errorf("under quarantine: %s", got)
	}
	for _, k := range keys(t) {
		z.set(k.Selector+"._domainkey.reject.test", "SERVFAIL")
	}
	v = j.test(t, Message{Peer: peer, From: "b@elsewhere.test"}, dmarcMessage(t, "a@reject.test", "reject.test"))
	if v.DMARC.Result != TempError || !v.Temporary() {
		t.Errorf("DKIM: %+v", v)
	}
	j.resolver = nobody(t)
	v = j.test(t, Message{Peer: peer, From: "b@elsewhere.test"}, dmarcMessage(t, "a@reject.test", "reject.test"))
	if v.SPF.Result != TempError || v.DMARC.Result != TempError || v.Disposition(Refuse) != Accept {
		t.Errorf("no DNS: %+v", v)
	}
}

func TestDispositionIsNeverMoreThanTheSetting(t *testing.T) {
	failed := Verdict{DMARC: DMARC{Result: Fail, Policy: "reject", Applied: "reject"}}
	for _, setting := range actions {
		if got := failed.Disposition(setting); got != setting || setting.Check() != nil {
			t.Errorf("%s under %s", got, setting)
		}
	}
	if got := failed.Disposition("nonsense"); got != Accept || Action("nonsense").Check() == nil {
		t.Errorf("%s under nonsense", got)
	}
	forwarded := Verdict{SPF: SPF{Result: Fail}, DMARC: DMARC{Result: None}}
	if got := forwarded.Disposition(Refuse); got != Mark {
		t.Errorf("SPF alone: %s", got)
	}
}

func TestAuthenticationResults(t *testing.T) {
	j, z, _ := judging(t)
	dmarcZone(t, z)
	v := j.test(t, Message{Peer: peer, From: "b@elsewhere.test"}, dmarcMessage(t, "a@reject.test", "reject.test"))
	k := keys(t)
	want := "Authentication-Results: mx.example.test;\r\n\tspf=pass smtp.mailfrom=b@elsewhere.test;\r\n" +
		"\tdkim=pass header.d=reject.test header.s=" + k[0].Selector + " header.a=rsa-sha256 header.b=" + value(v.DKIM[0].Start) + ";\r\n" +
		"\tdkim=pass header.d=reject.test header.s=" + k[1].Selector + " header.a=ed25519-sha256 header.b=" + value(v.DKIM[1].Start) + ";\r\n" +
		"\tdmarc=pass (p=reject) header.from=reject.test\r\n"
	if v.Header != want {
		t.Errorf("%s\nwant\n%s", v.Header, want)
	}
	hostile := j.test(t, Message{Peer: peer, Helo: "x;\r\nEvil: yes \"\\" + strings.Repeat("y", 5000)}, "Subject: x\r\n\r\n")
	lines := strings.Split(strings.TrimSuffix(hostile.Header, "\r\n"), "\r\n")
	for i, line := range lines {
		if len(line) > 998 || i > 0 && line[0] != '\t' || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("the line %q", line)
		}
	}
	if len(lines) != 4 || Forged("Authentication-Results", []byte(strings.TrimPrefix(hostile.Header, "Authentication-Results:")), "other.test") {
		t.Errorf("%q", hostile.Header)
	}
}

func TestForgedResultsAreKnown(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"Authentication-Results", " mx.example.test; spf=pass", true},
		{"authentication-results ", "MX.Example.Test.; spf=pass", true},
		{"Authentication-Results", " (a (nested\\)) comment)\r\n\tmx.example.test 1; none", true},
		{"Authentication-Results", ` "mx.example.test"; none`, true},
		{"Authentication-Results", ` "mx.\example.test"; none`, true},
		{"Authentication-Results", "mx.example.test(x); none", true},
		{"Authentication-Results", " mx2.example.test", true},
		{"Authentication-Results", " other.test; mx.example.test", false},
		{"Authentication-Results", " notmx.example.test; none", false},
		{"Authentication-Results", " (unended", true},
		{"Authentication-Results", ` "unended`, true},
		{"Authentication-Results", " ", true},
		{"Authentication-Results", ";", true},
		{"ARC-Authentication-Results", "i=1; mx.example.test", false},
		{"Subject", "mx.example.test", false},
	} {
		if got := Forged(c.name, []byte(c.value), self, "mx2.example.test"); got != c.want {
			t.Errorf("%s:%s %v", c.name, c.value, got)
		}
	}
}

// An SPF result that is known already is not asked for again.
func TestSPFMayBeKnown(t *testing.T) {
	j, z, _ := judging(t)
	dmarcZone(t, z)
	before := int(z.Queries.Load())
	v := j.test(t, Message{Peer: peer, From: "a@reject.test", SPF: &SPF{Result: Pass, Domain: "reject.test", Sender: "a@reject.test"}}, dmarcMessage(t, "a@reject.test", ""))
	if v.DMARC.Result != Pass || int(z.Queries.Load())-before != 1 {
		t.Errorf("%+v, asked %d times", v, int(z.Queries.Load())-before)
	}
	if !slices.Equal(results(v), nil) {
		t.Error(v.DKIM)
	}
}

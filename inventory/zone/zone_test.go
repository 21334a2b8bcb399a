package zone

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"mailfleet/inventory/domainkey"
)

// server answers with the records of a zone in presentation form.
type server struct {
	mu      sync.Mutex
	records []dns.RR
	broken  string // a name that fails
}

func (s *server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := new(dns.Msg)
	reply.SetReply(q)
	reply.Rcode = dns.RcodeNameError
	name, kind := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	if name == s.broken {
		reply.Rcode = dns.RcodeServerFailure
	}
	for _, rr := range s.records {
		if rr.Header().Name != name {
			continue
		}
		reply.Rcode = dns.RcodeSuccess
		if t := rr.Header().Rrtype; t == kind || t == dns.TypeCNAME {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	_ = w.WriteMsg(reply)
}

func (s *server) set(t *testing.T, records ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = nil
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		s.records = append(s.records, rr)
	}
}

// start serves a zone on loopback and returns a resolver that asks it.
func start(t *testing.T) (*server, *net.Resolver) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{}
	ready := make(chan struct{})
	d := &dns.Server{Listener: l, Handler: s, NotifyStartedFunc: func() { close(ready) }}
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.ActivateAndServe() })
	<-ready
	t.Cleanup(func() { _ = d.Shutdown(); wg.Wait() })
	return s, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}}
}

func plan(t *testing.T) Plan {
	t.Helper()
	p := Plan{
		Domain:   "example.test",
		Hosts:    []Host{{"mx1.example.test", []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}, {"mx2.example.test", nil}},
		Senders:  []netip.Addr{netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.1")},
		Includes: []string{"lists.example.net"},
		Policy:   "quarantine", ReportTo: "postmaster@example.test",
		PolicyID: "20261127", PolicyHost: "mx1.example.test",
		Submission: "mail.example.test", IMAP: "mail.example.test", JMAP: "mail.example.test",
	}
	for _, a := range domainkey.Algorithms {
		signer, err := domainkey.Generate(a)
		if err != nil {
			t.Fatal(err)
		}
		p.Keys = append(p.Keys, domainkey.Key{Selector: "k" + string(a[:1]), Algorithm: a, State: domainkey.Active, Signer: signer})
	}
	return p
}

func TestWhatIsPlannedIsRightWhenPublished(t *testing.T) {
	s, r := start(t)
	records, err := plan(t).Records()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, rec := range records {
		lines = append(lines, rec.String())
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"example.test. IN MX 10 mx1.example.test.", "example.test. IN MX 20 mx2.example.test.",
		`example.test. IN TXT "v=spf1 ip4:192.0.2.9 ip4:192.0.2.1 ip6:2001:db8::1 mx include:lists.example.net ~all"`,
		`_dmarc.example.test. IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.test"`,
		`_mta-sts.example.test. IN TXT "v=STSv1; id=20261127;"`, "mta-sts.example.test. IN CNAME mx1.example.test.",
		`_smtp._tls.example.test. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@example.test"`,
		"_submissions._tcp.example.test. IN SRV 0 1 465 mail.example.test.", "_imaps._tcp.example.test. IN SRV 0 1 993 mail.example.test.",
		`kr._domainkey.example.test. IN TXT "v=DKIM1; k=rsa; p=`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no\n%s\nin\n%s", want, text)
		}
	}
	if strings.Contains(text, "pop3s") {
		t.Error("a service that is not offered is published")
	}
	s.set(t, append(lines, `example.test. IN TXT "unrelated"`, "mx1.example.test. IN A 192.0.2.1")...)
	for _, f := range Check(t.Context(), r, records) {
		if f.State != Right || f.Note.Template != "" {
			t.Errorf("%s: %s, %s, found %q", f.Record, f.State, f.Note, f.Found)
		}
	}
	s.set(t)
	for _, f := range Check(t.Context(), r, records) {
		if f.State != Missing || f.Note.Template == "" {
			t.Errorf("%s: %s", f.Record, f.State)
		}
	}
}

func TestWhatIsPublishedOtherwiseIsTold(t *testing.T) {
	s, r := start(t)
	records, err := plan(t).Records()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		job       Job
		published []string
		want      State
	}{
		{Receiving, []string{"example.test. MX 10 elsewhere.test.", "example.test. MX 7 mx2.example.test."}, Different},
		{Senders, []string{`example.test. TXT "v=spf1 -all"`}, Different},
		{Senders, []string{`example.test. TXT "v=spf1 a ip4:192.0.2.9 ip4:192.0.2.1 ip6:2001:db8::1 MX include:lists.example.net -all"`}, Right},
		{Senders, []string{`example.test. TXT "v=spf1 -all"`, `example.test. TXT "v=spf1 ~all"`}, Different},
		{Senders, []string{`example.test. TXT "v=spf10 -all"`}, Missing},
		{Signature, []string{`kr._domainkey.example.test. TXT "v=DKIM1; p=AAAA"`}, Different},
		{Policy, []string{`_dmarc.example.test. TXT "v=DMARC1; p=reject"`}, Different},
		{Policy, []string{`_dmarc.example.test. TXT "v=DMARC1;p=quarantine;sp=none"`}, Right},
		{Transport, []string{`_mta-sts.example.test. TXT "v=STSv1; id=1"`}, Different},
		{Reports, []string{`_smtp._tls.example.test. TXT "v=TLSRPTv1;rua=https://r.test/"`}, Right},
		{Discovery, []string{"_submissions._tcp.example.test. SRV 0 1 466 mail.example.test."}, Different},
		{Discovery, []string{"_submissions._tcp.example.test. SRV 5 1 465 mail.example.test."}, Right},
	} {
		s.set(t, c.published...)
		for _, f := range Check(t.Context(), r, records) {
			if f.Job == c.job {
				if f.State != c.want || (f.Note.Template == "") != (c.want == Right) {
					t.Errorf("%q: %s, %q", c.published, f.State, f.Note)
				}
				break
			}
		}
	}
	s.broken = "_dmarc.example.test."
	for _, f := range Check(t.Context(), r, records) {
		if f.Job == Policy && f.State != Unknown {
			t.Errorf("a name that fails is %s", f.State)
		}
	}
	if _, err := (Plan{Domain: "example.test"}).Records(); err == nil {
		t.Error("a domain without servers has records")
	}
}

package origin

import (
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/inventory/domainkey"
	"mailfleet/mailnode/resolve"
)

// zone is what the tests' DNS server says: records in presentation form by name. A
// name with the one record "SERVFAIL" fails.
type zone struct {
	mu      sync.Mutex
	records map[string][]string
	asked   int
}

func (z *zone) set(name string, records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[strings.ToLower(dns.Fqdn(name))] = records
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	reply := new(dns.Msg)
	reply.SetReply(q)
	if o := q.IsEdns0(); o != nil {
		reply.SetEdns0(1232, o.Do())
	}
	// Nothing is remembered: the records change in the middle of a test.
	soa, err := dns.NewRR(". 0 IN SOA . . 1 1 1 1 0")
	if err != nil {
		panic(err)
	}
	records, ok := z.records[strings.ToLower(q.Question[0].Name)]
	switch {
	case !ok:
		reply.Rcode = dns.RcodeNameError
	case slices.Equal(records, []string{"SERVFAIL"}):
		reply.Rcode = dns.RcodeServerFailure
	}
	for _, r := range records {
		rr, err := dns.NewRR(q.Question[0].Name + " 0 IN " + r)
		if err == nil && rr != nil && rr.Header().Rrtype == q.Question[0].Qtype {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = append(reply.Ns, soa)
	}
	if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
		reply.Truncate(1232)
	}
	_ = w.WriteMsg(reply)
}

// txt is a TXT record of strings of at most 255 bytes.
func txt(s string) string {
	var parts []string
	for len(s) > 255 {
		parts, s = append(parts, `"`+s[:255]+`"`), s[255:]
	}
	return "TXT " + strings.Join(append(parts, `"`+s+`"`), " ")
}

// serveDNS starts a server on loopback and returns its address.
func serveDNS(t testing.TB) (*zone, string) {
	t.Helper()
	z := &zone{records: map[string][]string{}}
	pc, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait) // after the servers are shut down
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: z}, {Listener: l, Handler: z}} {
		ready := make(chan struct{})
		s.NotifyStartedFunc = func() { close(ready) }
		wg.Go(func() { _ = s.ActivateAndServe() })
		<-ready
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return z, pc.LocalAddr().String()
}

// asking is a resolver that asks one server.
func asking(t testing.TB, server string) *resolve.Resolver {
	t.Helper()
	r, err := resolve.New(resolve.Settings{Servers: []string{server}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

const self = "mx.example.test"

// judging is a judge and the DNS it asks.
func judging(t testing.TB) (*Judge, *zone, string) {
	t.Helper()
	z, server := serveDNS(t)
	return New(Settings{ID: self}, asking(t, server)), z, server
}

var keysOnce = sync.OnceValues(func() (list []domainkey.Key, err error) {
	for _, a := range domainkey.Algorithms {
		signer, err := domainkey.Generate(a)
		if err != nil {
			return nil, err
		}
		list = append(list, domainkey.Key{Selector: domainkey.Selector(a, time.Now(), nil), Algorithm: a, State: domainkey.Active, Signer: signer})
	}
	return list, nil
})

// keys are an RSA and an Ed25519 key, made once.
func keys(t testing.TB) []domainkey.Key {
	t.Helper()
	list, err := keysOnce()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// publish puts the keys' records into the zone.
func publish(t testing.TB, z *zone, domain string, list []domainkey.Key) {
	t.Helper()
	for _, k := range list {
		record, err := domainkey.TXT(k.Signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		z.set(domainkey.Name(k.Selector, domain), txt(record))
	}
}

// sign returns the message with its signatures before it.
func sign(t testing.TB, domain string, list []domainkey.Key, message string) string {
	t.Helper()
	s, err := NewSigner(domain, list, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for rest := message; rest != ""; { // in pieces that end anywhere
		n := min(len(rest), 7)
		_, _ = s.Write([]byte(rest[:n]))
		rest = rest[n:]
	}
	fields, err := s.Fields()
	if err != nil {
		t.Fatal(err)
	}
	return fields + message
}

// judge judges a message that comes in pieces.
func (j *Judge) test(t testing.TB, m Message, message string) Verdict {
	t.Helper()
	c := j.Begin(m)
	for n := 1; message != ""; n = n%13 + 1 {
		n = min(n, len(message))
		_, _ = c.Write([]byte(message[:n]))
		message = message[n:]
	}
	return c.Finish(t.Context())
}

func results(v Verdict) (list []Result) {
	for _, k := range v.DKIM {
		list = append(list, k.Result)
	}
	return list
}

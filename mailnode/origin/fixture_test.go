package origin

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/inventory/domainkey"
	"mailfleet/mailnode/resolve/resolvetest"
)

// zone is what the tests' DNS server says.
type zone struct {
	*resolvetest.Server
	t testing.TB
}

// set makes records, in presentation form without the name, those of a name. Nothing of
// them is remembered. A name with the one record "SERVFAIL" fails.
func (z *zone) set(name string, records ...string) {
	z.Remove(name)
	if slices.Equal(records, []string{"SERVFAIL"}) {
		z.Refuse(name, dns.RcodeServerFailure)
		return
	}
	z.Refuse(name, 0)
	for _, r := range records {
		z.Add(z.t, dns.Fqdn(name)+" 0 IN "+r)
	}
}

// txt is a TXT record of strings of at most 255 bytes.
func txt(s string) string {
	var parts []string
	for len(s) > 255 {
		parts, s = append(parts, `"`+s[:255]+`"`), s[255:]
	}
	return "TXT " + strings.Join(append(parts, `"`+s+`"`), " ")
}

const self = "mx.example.test"

// judging is a judge and the DNS it asks.
func judging(t testing.TB) (*Judge, *zone, string) {
	t.Helper()
	z := &zone{resolvetest.New(t), t}
	return New(Settings{ID: self}, z.Resolver(t)), z, z.Addr
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

// Package zone says what a mail domain publishes in the DNS so that mail reaches it,
// is believed to be its own and finds its way when something is wrong, and compares
// that with what the DNS has. Every program may use it: the controller shows it, a
// script prints it. It looks up and never changes anything.
package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"mailfleet/inventory/domainkey"
)

// Plan is what the records of a domain are made of.
type Plan struct {
	Domain string // in ASCII
	Hosts  []Host // that take its mail, the best first
	// Senders are further addresses its mail leaves from; those of Hosts count
	// already.
	Senders  []netip.Addr
	Includes []string // domains that send for it, such as a mailing service
	Keys     []domainkey.Key

	Policy   string // of DMARC: none, quarantine or reject; "" is none
	ReportTo string // address that DMARC and TLS reports go to; "" for none

	// PolicyID names the MTA-STS policy that PolicyHost serves by HTTPS (RFC 8461); ""
	// for no policy.
	PolicyID, PolicyHost string

	// The hosts that mail programs talk to; "" where the service is not offered.
	Submission, IMAP, POP3, JMAP string
}

// Host takes mail.
type Host struct {
	Name      string
	Addresses []netip.Addr // mail leaves from them, too
}

// Record is a record of the zone.
type Record struct {
	Name  string // complete, without the last dot
	Type  string // MX, TXT, SRV or CNAME
	Value string // as in a zone file; of TXT the text as it is
	Job   Job
	// Needed records are those without which mail is lost or not believed.
	Needed bool
}

// Job is what a record is for.
type Job string

// The jobs.
const (
	Receiving Job = "mx"
	Senders   Job = "spf"
	Signature Job = "dkim"
	Policy    Job = "dmarc"
	Transport Job = "mta-sts"
	Reports   Job = "tls-rpt"
	Discovery Job = "discovery" // RFC 6186, RFC 8314 §5.1, RFC 8620 §2.2
)

// String is the record as in a zone file.
func (r Record) String() string {
	value := r.Value
	if r.Type == "TXT" {
		value = quoteTXT(value)
	}
	return r.Name + ". IN " + r.Type + " " + value
}

// quoteTXT divides a text into strings of at most 255 bytes (RFC 1035 §3.3.14).
func quoteTXT(s string) string {
	var b strings.Builder
	for first := true; first || s != ""; first = false {
		n := min(len(s), 255)
		if !first {
			b.WriteByte(' ')
		}
		b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s[:n]) + `"`)
		s = s[n:]
	}
	return b.String()
}

// Records are the records of the domain.
func (p Plan) Records() ([]Record, error) {
	if p.Domain == "" || len(p.Hosts) == 0 {
		return nil, errors.New("a domain without servers has no records")
	}
	var list []Record
	add := func(job Job, needed bool, name, kind, value string) {
		list = append(list, Record{Name: strings.ToLower(name), Type: kind, Value: value, Job: job, Needed: needed})
	}
	for i, h := range p.Hosts {
		add(Receiving, true, p.Domain, "MX", fmt.Sprintf("%d %s", 10*(i+1), dot(h.Name)))
	}
	add(Senders, true, p.Domain, "TXT", p.spf())
	for _, k := range p.Keys {
		text, err := domainkey.TXT(k.Signer.Public())
		if err != nil {
			return nil, fmt.Errorf("the key %s: %w", k.Selector, err)
		}
		add(Signature, k.State == domainkey.Active, domainkey.Name(k.Selector, p.Domain), "TXT", text)
	}
	add(Policy, false, "_dmarc."+p.Domain, "TXT", p.dmarc())
	if p.PolicyID != "" {
		add(Transport, false, "_mta-sts."+p.Domain, "TXT", "v=STSv1; id="+p.PolicyID+";")
		add(Transport, false, "mta-sts."+p.Domain, "CNAME", dot(p.PolicyHost))
	}
	if p.ReportTo != "" {
		add(Reports, false, "_smtp._tls."+p.Domain, "TXT", "v=TLSRPTv1; rua=mailto:"+p.ReportTo)
	}
	for _, s := range []struct {
		service, host string
		port          int
	}{
		{"submissions", p.Submission, 465}, {"submission", p.Submission, 587},
		{"imaps", p.IMAP, 993}, {"pop3s", p.POP3, 995}, {"jmap", p.JMAP, 443},
	} {
		if s.host != "" {
			add(Discovery, false, "_"+s.service+"._tcp."+p.Domain, "SRV", fmt.Sprintf("0 1 %d %s", s.port, dot(s.host)))
		}
	}
	return list, nil
}

// spf names addresses rather than hosts: a receiver needs no further questions, of
// which it asks only ten (RFC 7208 §4.6.4).
func (p Plan) spf() string {
	terms := []string{"v=spf1"}
	seen := map[netip.Addr]bool{}
	list := p.Senders
	unknown := false
	for _, h := range p.Hosts {
		list = append(list[:len(list):len(list)], h.Addresses...)
		unknown = unknown || len(h.Addresses) == 0
	}
	for _, a := range list {
		if a = a.Unmap(); seen[a] || !a.IsValid() {
			continue
		}
		seen[a] = true
		if a.Is4() {
			terms = append(terms, "ip4:"+a.String())
		} else {
			terms = append(terms, "ip6:"+a.WithZone("").String())
		}
	}
	if unknown {
		terms = append(terms, "mx")
	}
	for _, d := range p.Includes {
		terms = append(terms, "include:"+d)
	}
	return strings.Join(append(terms, "~all"), " ")
}

func (p Plan) dmarc() string {
	policy := p.Policy
	if policy == "" {
		policy = "none"
	}
	text := "v=DMARC1; p=" + policy
	if p.ReportTo != "" {
		text += "; rua=mailto:" + p.ReportTo
	}
	return text
}

func dot(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) + "." }

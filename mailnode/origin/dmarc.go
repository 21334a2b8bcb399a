package origin

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"mailfleet/mailnode/message"
	"mailfleet/mailnode/resolve"
)

// DMARC is what the domain in From wants done, and whether the message is its own.
type DMARC struct {
	Result Result
	Reason string // a sentence without a full stop; "" for pass and none
	Domain string // in From, in ASCII; "" when From is not valid
	Policy string // of the domain: none, quarantine or reject; "" when it has none
	// Applied is the policy that counts for this message: less than Policy when the
	// domain wants only some messages treated so (pct, RFC 7489 §6.6.4).
	Applied string
}

// dmarcRecord is a DMARC record (RFC 7489 §6.3).
type dmarcRecord struct {
	policy, sub            string
	percent                int
	strictDKIM, strictSPF  bool
	ofOrganization, absent bool
}

var policies = []string{"none", "quarantine", "reject"} // in the order of strictness

// parseDMARC reads a record. ok is false when it is none.
func parseDMARC(txt string) (r dmarcRecord, ok bool) {
	first, _, _ := strings.Cut(txt, ";")
	name, version, _ := strings.Cut(first, "=")
	if trim(name) != "v" || trim(version) != "DMARC1" {
		return r, false
	}
	tags, err := parseTags(txt)
	if err != nil {
		return r, false
	}
	r.percent = 100
	if n, err := strconv.Atoi(tags["pct"]); err == nil && n >= 0 && n <= 100 {
		r.percent = n
	}
	r.strictDKIM = strings.EqualFold(tags["adkim"], "s")
	r.strictSPF = strings.EqualFold(tags["aspf"], "s")
	r.policy = strings.ToLower(tags["p"])
	r.sub = strings.ToLower(tags["sp"])
	subBad := r.sub != "" && !slices.Contains(policies, r.sub)
	if !slices.Contains(policies, r.policy) || subBad { // RFC 7489 §6.6.3 item 6
		if !strings.Contains(strings.ToLower(tags["rua"]), "mailto:") {
			return r, false
		}
		r.policy, r.sub = "none", ""
	}
	return r, true
}

// policyFor is what the record says of a domain it was found for.
func (r dmarcRecord) policyFor() string {
	if r.ofOrganization && r.sub != "" {
		return r.sub
	}
	return r.policy
}

// lookupDMARC finds the record of a domain (RFC 7489 §6.6.3).
func (j *Judge) lookupDMARC(ctx context.Context, domain string) (dmarcRecord, error) {
	names := []string{domain}
	if org := organization(domain); org != domain {
		names = append(names, org)
	}
	for i, name := range names {
		txts, err := j.query(ctx, "_dmarc."+name)
		if err != nil && !resolve.NotFound(err) {
			return dmarcRecord{}, err
		}
		var found []dmarcRecord
		for _, txt := range txts {
			if r, ok := parseDMARC(txt); ok {
				r.ofOrganization = i > 0
				found = append(found, r)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return dmarcRecord{absent: true}, nil
		}
	}
	return dmarcRecord{absent: true}, nil
}

// fromDomains are the domains of the authors, in ASCII. An invalid From has none.
func fromDomains(fields []field) ([]string, error) {
	var from *field
	for i, f := range fields {
		if f.name != "from" {
			continue
		}
		if from != nil {
			return nil, errors.New("the message has more than one From field")
		}
		from = &fields[i]
	}
	if from == nil {
		return nil, errors.New("the message has no From field")
	}
	var domains []string
	for _, a := range message.ParseAddresses(from.value()) {
		if a.Host == nil && a.Mailbox == nil || a.Host == nil {
			continue // the begin or end of a group
		}
		name, err := domainName(string(a.Host))
		if err != nil {
			return nil, errors.New("an address in From has no valid domain")
		}
		if !slices.Contains(domains, name) {
			domains = append(domains, name)
		}
	}
	switch {
	case len(domains) == 0:
		return nil, errors.New("the From field has no address")
	case len(domains) > maxFrom:
		return nil, errors.New("the From field has addresses of too many domains")
	}
	return domains, nil
}

// aligned tells whether an authenticated domain speaks for the one in From (RFC 7489
// §3.1).
func aligned(authenticated, from string, strict bool) bool {
	return authenticated == from || !strict && organization(authenticated) == organization(from)
}

// evaluate decides for one domain of From.
func (r dmarcRecord) evaluate(from string, s SPF, signatures []DKIM) DMARC {
	d := DMARC{Result: None, Domain: from}
	if r.absent {
		return d
	}
	d.Policy, d.Applied, d.Result = r.policyFor(), r.policyFor(), Fail
	spfTemp := s.Result == TempError && aligned(s.Domain, from, r.strictSPF)
	if s.Result == Pass && aligned(s.Domain, from, r.strictSPF) {
		d.Result = Pass
		return d
	}
	for _, k := range signatures {
		if !aligned(k.Domain, from, r.strictDKIM) {
			continue
		}
		if k.Result == Pass {
			d.Result = Pass
			return d
		}
		spfTemp = spfTemp || k.Result == TempError
	}
	if spfTemp {
		d.Result, d.Reason = TempError, "the DNS could not be asked whether "+from+" sent this message"
		return d
	}
	d.Reason = "neither SPF nor DKIM shows that " + from + " sent this message"
	return d
}

// sample takes the message out of the policy when the domain wants only a part of its
// messages treated so.
func (d *DMARC) sample(percent, drawn int) {
	if d.Result == Pass || drawn < percent {
		return
	}
	if i := slices.Index(policies, d.Applied); i > 0 {
		d.Applied = policies[i-1]
	}
}

// worse tells whether d stands for the message rather than other: of several domains
// in From the one that fails under the strictest policy does (RFC 7489 §6.6.1).
func (d DMARC) worse(other DMARC) bool {
	rank := func(d DMARC) int {
		switch d.Result {
		case Pass, None:
			return slices.Index([]Result{Pass, None}, d.Result)
		}
		return 2 + slices.Index(policies, d.Applied)*2 + slices.Index([]Result{TempError, Fail}, d.Result)
	}
	return rank(d) > rank(other)
}

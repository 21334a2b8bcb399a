package outbound

import (
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"time"

	"mailfleet/mailnode/store"
)

// The types of policies and results of RFC 8460 §4.3.
const (
	policySTS  = "sts"
	policyTLSA = "tlsa"
	policyNone = "no-policy-found"

	resultNoTLS      = "starttls-not-supported"
	resultMismatch   = "certificate-host-mismatch"
	resultExpired    = "certificate-expired"
	resultUntrusted  = "certificate-not-trusted"
	resultValidation = "validation-failure"
	resultTLSA       = "tlsa-invalid"
	resultFetch      = "sts-policy-fetch-error"
)

// Result counts how TLS went with hosts of a domain on a day (RFC 8460).
type Result struct {
	Day        string // 2026-01-31, UTC
	Domain     string
	PolicyType string   // sts, tlsa or no-policy-found
	Policy     []string // its lines
	MX         []string // patterns of an MTA-STS policy
	Success    int64
	Failures   []Failure
}

// Failure counts one way in which it went wrong.
type Failure struct {
	Type     string // of result, RFC 8460 §4.3
	Host     string
	Address  string
	Text     string
	Sessions int64
}

// results counts; it is bounded.
type results struct {
	mu      sync.Mutex
	counts  map[[3]string]*Result // day, domain, type of policy
	changed func(key string)      // has a row written
}

const (
	resultsMost  = 20000
	failuresMost = 50
)

func (r *results) count(p *policy, domain string, f *Failure) {
	day := time.Now().UTC().Format(time.DateOnly)
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [3]string{day, domain, p.kind}
	got := r.counts[key]
	if got == nil {
		if len(r.counts) >= resultsMost {
			return
		}
		if r.counts == nil {
			r.counts = map[[3]string]*Result{}
		}
		got = &Result{Day: day, Domain: domain, PolicyType: p.kind, Policy: p.lines, MX: p.patterns}
		r.counts[key] = got
	}
	r.changed(resultKey(key))
	if f == nil {
		got.Success++
		return
	}
	for i := range got.Failures {
		if old := &got.Failures[i]; old.Type == f.Type && old.Host == f.Host && old.Address == f.Address {
			old.Sessions++
			return
		}
	}
	if len(got.Failures) < failuresMost {
		f.Sessions = 1
		got.Failures = append(got.Failures, *f)
	}
}

// Results returns what was counted on days before the given one (in the form of Result.Day)
// and is not forgotten, in the order of day, domain and type of policy.
func (c *Client) Results(before string) (list []Result) {
	r := &c.results
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, got := range r.counts {
		if key[0] < before {
			list = append(list, *got)
			list[len(list)-1].Failures = slices.Clone(got.Failures)
		}
	}
	slices.SortFunc(list, func(a, b Result) int { return slices.Compare(a.key(), b.key()) })
	return list
}

// Forget forgets results of days that are over, in one change of the store with what they
// were for: change makes it, and calls forget within. When it fails they stay.
func (c *Client) Forget(results []Result, change func(forget func(tx *store.Tx) error) error) error {
	m := &c.memory
	m.writing.Lock() // or a row could be written once more from what is about to be forgotten
	defer m.writing.Unlock()
	err := change(func(tx *store.Tx) error {
		for i := range results {
			if err := tx.Delete(m.table, []byte(resultKey([3]string(results[i].key())))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.results.mu.Lock()
	defer c.results.mu.Unlock()
	for i := range results {
		delete(c.results.counts, [3]string(results[i].key()))
	}
	return nil
}

func (r *Result) key() []string { return []string{r.Day, r.Domain, r.PolicyType} }

// resultType sorts a failure of TLS.
func resultType(err error) string {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, errDANE):
		return resultTLSA
	case errors.As(err, &host):
		return resultMismatch
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return resultExpired
	case errors.As(err, &authority):
		return resultUntrusted
	}
	return resultValidation
}

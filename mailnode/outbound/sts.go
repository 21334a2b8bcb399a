package outbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailfleet/mailnode/resolve"
)

// Bounds of MTA-STS (RFC 8461).
const (
	stsBytes   = 64 << 10
	stsTimeout = 20 * time.Second
	stsLongest = 31557600 * time.Second
	stsRetry   = 5 * time.Minute // after a policy could not be fetched (§3.3)
	stsMost    = 10000           // domains remembered
)

// stsPolicy is what a domain wants of those who send mail to it.
type stsPolicy struct {
	Mode   string // enforce, testing or none
	MX     []string
	MaxAge time.Duration
	Lines  []string // as they were written, for reports
}

// allows tells whether a host is one of the domain's.
func (p *stsPolicy) allows(host string) bool {
	for _, pattern := range p.MX {
		if rest, wild := strings.CutPrefix(pattern, "*."); wild {
			if _, parent, ok := strings.Cut(host, "."); ok && strings.EqualFold(parent, rest) {
				return true
			}
		} else if strings.EqualFold(host, pattern) {
			return true
		}
	}
	return false
}

// parseSTS reads a policy file (§3.2).
func parseSTS(b []byte) (*stsPolicy, error) {
	p := &stsPolicy{}
	seen := map[string]bool{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("its line %.80q is none of a policy", line)
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key != "mx" && seen[key] { // the first counts
			continue
		}
		seen[key] = true
		p.Lines = append(p.Lines, clean(line))
		switch key {
		case "version":
			if value != "STSv1" {
				return nil, fmt.Errorf("its version %.20q is not known", value)
			}
		case "mode":
			p.Mode = value
		case "mx":
			p.MX = append(p.MX, strings.TrimSuffix(value, "."))
		case "max_age":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("its max_age %.20q is no number", value)
			}
			p.MaxAge = min(time.Duration(n)*time.Second, stsLongest)
		}
	}
	switch {
	case !seen["version"] || !seen["max_age"]:
		return nil, errors.New("it has no version or no max_age")
	case p.Mode != "enforce" && p.Mode != "testing" && p.Mode != "none":
		return nil, fmt.Errorf("its mode %.20q is not known", p.Mode)
	case p.Mode != "none" && len(p.MX) == 0:
		return nil, errors.New("it names no host")
	}
	return p, nil
}

// stsID is the id in the TXT records of _mta-sts (§3.1), "" when there is no policy.
func stsID(texts []string) string {
	id, found := "", 0
	for _, text := range texts {
		fields := strings.Split(text, ";")
		if strings.TrimSpace(fields[0]) != "v=STSv1" {
			continue
		}
		found++
		for _, f := range fields[1:] {
			if v, ok := strings.CutPrefix(strings.TrimSpace(f), "id="); ok {
				id = strings.TrimSpace(v)
			}
		}
	}
	if found != 1 {
		return ""
	}
	return id
}

// policies remembers policies of domains.
type policies struct {
	mu      sync.Mutex
	known   map[string]*stsEntry
	changed func(key string) // has a row written
}

type stsEntry struct {
	mu     sync.Mutex // held while the policy is asked for
	policy *stsPolicy // nil: none is known
	id     string
	until  time.Time // the policy is good for; when there is none: not asked for again before
	failed string    // why it could not be fetched

	kept atomic.Pointer[keptPolicy] // the policy as it is written down; nil for none
}

// keep has a policy written down. e.mu is held.
func (e *stsEntry) keep(p *stsPolicy, id string, until time.Time) {
	e.policy, e.id, e.until, e.failed = p, id, until, ""
	e.kept.Store(&keptPolicy{p, id, until})
}

// entry returns the memory of a domain. When it is full some domain is forgotten.
func (p *policies) entry(domain string, now time.Time) *stsEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.known[domain]; e != nil {
		return e
	}
	if p.known == nil {
		p.known = map[string]*stsEntry{}
	}
	if len(p.known) >= stsMost {
		for name, e := range p.known { // those that are over, and if there are none, any one
			if e.mu.TryLock() {
				over := now.After(e.until)
				e.mu.Unlock()
				if over || len(p.known) >= stsMost {
					p.drop(name)
				}
			}
		}
	}
	e := &stsEntry{}
	p.known[domain] = e
	return e
}

// sts returns the policy of a domain, nil for none. failed says why a policy that should
// be there could not be fetched.
func (c *Client) sts(ctx context.Context, set *Settings, domain string) (policy *stsPolicy, failed string) {
	now := time.Now()
	e := c.policies.entry(domain, now)
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.policy
	if now.After(e.until) {
		kept = nil
	}
	a, err := c.resolver.TXT(ctx, "_mta-sts."+domain)
	if err != nil && !resolve.NotFound(err) {
		return kept, ""
	}
	id := stsID(a.Records)
	switch {
	case id == "": // a policy that is known stays in force (§3.3)
		return kept, ""
	case kept != nil && id == e.id:
		return kept, ""
	case kept == nil && id == e.id && now.Before(e.until):
		return nil, e.failed
	}
	fetched, err := c.fetchSTS(ctx, set, domain)
	if err != nil {
		if kept != nil {
			return kept, ""
		}
		e.policy, e.id, e.until, e.failed = nil, id, now.Add(stsRetry), err.Error()
		if e.kept.Swap(nil) != nil {
			c.memory.note(policyKey(domain))
		}
		c.log.Info("the MTA-STS policy of a domain cannot be had", "domain", domain, "error", err)
		return nil, e.failed
	}
	e.keep(fetched, id, now.Add(fetched.MaxAge))
	c.memory.note(policyKey(domain))
	return fetched, ""
}

// fetchSTS fetches a policy (§3.3): no redirects, the certificate must be good.
func (c *Client) fetchSTS(ctx context.Context, set *Settings, domain string) (*stsPolicy, error) {
	ctx, cancel := context.WithTimeout(ctx, stsTimeout)
	defer cancel()
	host := "mta-sts." + domain
	transport := &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: set.Roots, ServerName: host, MinVersion: tls.VersionTLS12},
		DialContext:            c.dialHTTPS(host),
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: stsBytes,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	address := "https://" + host
	if set.HTTPSPort != httpsPort {
		address += ":" + strconv.Itoa(set.HTTPSPort)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return nil, err
	}
	got, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching it failed: %w", plain(err))
	}
	defer func() { _ = got.Body.Close() }() // nothing more is wanted of it
	if got.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching it was answered %d", got.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(got.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, errors.New("it is no plain text")
	}
	b, err := io.ReadAll(io.LimitReader(got.Body, stsBytes+1))
	if err != nil {
		return nil, fmt.Errorf("fetching it broke off: %w", plain(err))
	}
	if len(b) > stsBytes {
		return nil, fmt.Errorf("it has more than %d bytes", stsBytes)
	}
	return parseSTS(b)
}

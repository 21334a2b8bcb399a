// Package origin says where a message is from: it verifies SPF (RFC 7208), DKIM (RFC
// 6376, 8301, 8463), DMARC (RFC 7489) and ARC (RFC 8617), writes the result as Authentication-Results
// (RFC 8601), signs what leaves, and rewrites the sender of what is forwarded (SRS).
// The mailnode's faces and app use it; what they do with a verdict is their matter.
//
// A message goes through it once, as a stream, in memory that does not grow with it:
// only the header is kept, within a limit. The DNS is asked when the message has come,
// all questions at once. What cannot be found out for now is a temporary error and
// never a reason to refuse a message for ever.
//
// The DKIM engine is its own. The library go-msgauth, which the tests use as a second
// opinion, keeps a run of empty lines in memory and goes over it again with each
// write, reads headers of any length, and hashes a body once for each signature.
package origin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"mailfleet/mailnode/resolve"
)

// Resolver asks the DNS. resolve's is one.
type Resolver interface {
	TXT(ctx context.Context, name string) (resolve.Answer[string], error)
	MX(ctx context.Context, domain string) (resolve.Answer[resolve.MX], error)
	Addresses(ctx context.Context, name string) (resolve.Answer[netip.Addr], error)
	PTR(ctx context.Context, address netip.Addr) (resolve.Answer[string], error)
}

// Result is the outcome of a method by its name in Authentication-Results (RFC 8601
// §2.7).
type Result string

// The results.
const (
	None      Result = "none"
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail" // SPF only
	Policy    Result = "policy"   // DKIM only: not acceptable here
	Neutral   Result = "neutral"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Limits of what is looked at.
const (
	maxHeader     = 1 << 20 // bytes
	maxFields     = 2000
	maxSignatures = 8
	maxSigned     = 300 // names in h=
	maxTags       = 40
	maxTXT        = 4096 // bytes of a record
	maxRecords    = 20   // records of one name
	maxFrom       = 5    // domains in From
	maxSeals      = 50   // RFC 8617 §5.1.1.1.2
	maxRSA        = 4096 // bits
)

// Settings of a Judge.
type Settings struct {
	// ID names this server in Authentication-Results (authserv-id, RFC 8601 §2.2).
	// All servers of a fleet may share one.
	ID string
	// Timeout bounds the questions to the DNS about one message; 0 is 20 s (RFC 7208
	// §4.6.4 asks for no less).
	Timeout time.Duration
	// Sealers are domains whose ARC seals are believed: a message that passed DMARC when
	// it came to one of them is not held to fail because a list has changed it since.
	Sealers []string
	// Signatures is how many signatures of a message are verified; 0 is 8.
	Signatures int
}

// Judge verifies messages. It is safe for concurrent use.
type Judge struct {
	settings Settings
	resolver Resolver
	now      func() time.Time
	percent  func() int // 0 to 99, for pct
}

// query asks for the TXT records of a name, within bounds.
func (j *Judge) query(ctx context.Context, name string) ([]string, error) {
	if _, err := domainName(name); err != nil {
		return nil, resolve.ErrNoName
	}
	found, err := j.resolver.TXT(ctx, name)
	if err != nil {
		return nil, err
	}
	var txts []string // the answer is shared with others
	for _, txt := range found.Records[:min(len(found.Records), maxRecords)] {
		txts = append(txts, txt[:min(len(txt), maxTXT)])
	}
	return txts, nil
}

// domainName makes a name the one the DNS knows: in lower case, without its last dot,
// labels of other scripts in their ASCII form (RFC 5890).
func domainName(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 1000 {
		return "", errors.New("the domain name is too long")
	}
	ascii, err := idna.ToASCII(s)
	if err != nil {
		return "", errors.New("the domain name is malformed")
	}
	ascii = strings.ToLower(ascii)
	if len(ascii) > 253 {
		return "", errors.New("the domain name is too long")
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 {
			return "", errors.New("the domain name is malformed")
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return "", fmt.Errorf("the domain name has %q in it", c)
			}
		}
	}
	return ascii, nil
}

// organization is the domain that its owner registered (RFC 7489 §3.2).
func organization(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain // is a public suffix itself
	}
	return org
}

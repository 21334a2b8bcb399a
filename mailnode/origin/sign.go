package origin

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailfleet/inventory/domainkey"
)

// signedFields are the names that signatures cover (RFC 6376 §5.4.1). Those that are
// closed are named once more than they are there, so that nobody can add one.
var signedFields = []struct {
	name   string
	closed bool
}{
	{"From", true}, {"Sender", true}, {"Reply-To", true}, {"Subject", true}, {"Date", true},
	{"To", true}, {"Cc", true}, {"Message-ID", true}, {"In-Reply-To", true}, {"References", true},
	{"MIME-Version", true}, {"Content-Type", true}, {"Content-Transfer-Encoding", true},
	{"List-Unsubscribe", false}, {"List-Unsubscribe-Post", false}, // RFC 8058 §4
}

// maxSame is how many fields of one name are covered.
const maxSame = 10

// Signer signs a message that is written to it, with each key of a domain, relaxed in
// header and body. The body is hashed once.
type Signer struct {
	domain string
	keys   []domainkey.Key
	now    time.Time
	header header
	body   *bodyHash
}

// NewSigner begins to sign a message for a domain with the keys that sign now.
func NewSigner(domain string, keys []domainkey.Key, now time.Time) (*Signer, error) {
	name, err := domainName(domain)
	if err != nil {
		return nil, err
	}
	keys = domainkey.Signing(keys)
	if len(keys) == 0 {
		return nil, fmt.Errorf("the domain %s has no key to sign with", name)
	}
	return &Signer{domain: name, keys: keys, now: now, body: newBodyHash(true)}, nil
}

// Write takes a part of the message. It never fails.
func (s *Signer) Write(p []byte) (int, error) {
	n := len(p)
	if !s.header.done {
		p = s.header.add(p)
	}
	if s.header.done {
		_, _ = s.body.Write(p) // never fails
	}
	return n, nil
}

// Fields are the DKIM-Signature fields to be put before the message, which has been
// written whole.
func (s *Signer) Fields() (string, error) {
	s.header.end()
	if s.header.broken != nil {
		return "", fmt.Errorf("the message cannot be signed: %w", s.header.broken)
	}
	index := named(s.header.fields)
	if len(index["from"]) == 0 {
		return "", errors.New("the message cannot be signed: it has no From field")
	}
	var names []string
	for _, f := range signedFields {
		n := min(len(index[strings.ToLower(f.name)]), maxSame)
		if f.closed {
			n++
		}
		for range n {
			names = append(names, f.name)
		}
	}
	lower := strings.Split(strings.ToLower(strings.Join(names, ":")), ":")
	bodySum := s.body.finish()
	var out strings.Builder
	for _, k := range s.keys {
		raw := s.unsigned(k, names, bodySum)
		sum := sha256.New()
		hashFields(sum, s.header.fields, index, lower, true)
		sum.Write(bytes.TrimSuffix(relaxedField(nil, []byte(raw+"\r\n")), []byte("\r\n")))
		var hash crypto.Hash // RFC 8463 §3: Ed25519 signs the hash as a message
		if k.Algorithm == domainkey.RSA {
			hash = crypto.SHA256
		}
		sign, err := k.Signer.Sign(rand.Reader, sum.Sum(nil), hash)
		if err != nil {
			return "", fmt.Errorf("signing with the key %s failed: %w", k.Selector, err)
		}
		out.WriteString(raw + fold(encode64(sign), "\r\n\t ", 70, 0) + "\r\n")
	}
	return out.String(), nil
}

// Signed tells whether a field of a header, its name in lower case, is a signature in the
// name of a domain.
func Signed(domain, name string, value []byte) bool {
	if name != "dkim-signature" {
		return false
	}
	tags, err := parseTags(string(value))
	if err != nil {
		return false
	}
	d, err := domainName(unfold(tags["d"]))
	if err != nil {
		return false
	}
	own, err := domainName(domain)
	return err == nil && d == own
}

// unsigned is the field up to the value of b=, which is the last of its tags.
func (s *Signer) unsigned(k domainkey.Key, names []string, bodySum []byte) string {
	return fmt.Sprintf("DKIM-Signature: v=1; a=%s; c=relaxed/relaxed;\r\n\td=%s; s=%s; t=%d;\r\n\th=%s;\r\n\tbh=%s;\r\n\tb=",
		k.Algorithm, s.domain, k.Selector, s.now.Unix(), fold(strings.Join(names, ":"), "\r\n\t ", 70, ':'), encode64(bodySum))
}

// fold breaks a value into lines of about width bytes; after is the byte that a break
// must follow, 0 for any.
func fold(s, end string, width int, after byte) string {
	var b strings.Builder
	for len(s) > width {
		n := width
		if after != 0 {
			n = strings.LastIndexByte(s[:width], after) + 1
			if n == 0 {
				break
			}
		}
		b.WriteString(s[:n] + end)
		s = s[n:]
	}
	b.WriteString(s)
	return b.String()
}

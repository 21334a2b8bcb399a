package origin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"
)

// SRS rewrites the senders of forwarded mail, so that SPF of the forwarding domain
// holds and reports find their way back (Sender Rewriting Scheme). What stands in an
// address survives a change of case on its way.
type SRS struct {
	Domain string // that the rewritten addresses are of
	// Keys are secrets: the first one makes addresses, all of them are believed.
	Keys   [][]byte
	MaxAge time.Duration // how long a report is taken back; 0 is 21 days
}

// Why an address is not taken back.
var (
	ErrNotSRS     = errors.New("the address is not a rewritten one")
	ErrSRSForged  = errors.New("the rewritten address was not made here")
	ErrSRSExpired = errors.New("the rewritten address is too old")
	ErrSRSLong    = errors.New("the sender's address is too long to be rewritten")
)

const (
	srsHash   = 8    // characters: 40 bits
	srsPeriod = 1024 // days after which time stamps begin anew: two characters
	maxPath   = 254  // RFC 5321 §4.5.3.1.3, without the brackets
)

var srsText = base32.StdEncoding.WithPadding(base32.NoPadding)

// Forward is the reverse-path with which a message is passed on. The null one stays.
func (s SRS) Forward(from string, now time.Time) (string, error) {
	if from == "" {
		return "", nil
	}
	local, domain, ok := cutLast(from, "@")
	if _, err := domainName(domain); !ok || local == "" || err != nil || len(s.Keys) == 0 {
		return "", errors.New("the sender's address cannot be rewritten")
	}
	local = unquote(local)
	var out string
	switch tag, rest := srsTag(local); tag {
	case "SRS0":
		// What follows the tag stays as it is, its separator too.
		out = s.guard(domain, local[len("SRS0"):])
	case "SRS1":
		_, rest, ok = strings.Cut(rest, "=") // of the hash of whom it came from
		first, inner, ok2 := strings.Cut(rest, "=")
		if _, err := domainName(first); !ok || !ok2 || err != nil || inner == "" {
			return "", errors.New("the sender's address cannot be rewritten")
		}
		out = s.guard(first, inner)
	default:
		stamp := srsStamp(now)
		out = "SRS0=" + s.hash(s.Keys[0], stamp, domain, local) + "=" + stamp + "=" + domain + "=" + local
	}
	out = requote(out) + "@" + s.Domain
	if len(out) > maxPath {
		return "", ErrSRSLong
	}
	return out, nil
}

// guard wraps an address that somebody else has rewritten. inner begins with its
// separator.
func (s SRS) guard(domain, inner string) string {
	return "SRS1=" + s.hash(s.Keys[0], domain, inner) + "=" + domain + "=" + inner
}

// Reverse is the address that a report to a rewritten address is for.
func (s SRS) Reverse(address string, now time.Time) (string, error) {
	local, domain, ok := cutLast(address, "@")
	if !ok || !strings.EqualFold(domain, s.Domain) || len(address) > 2*maxPath {
		return "", ErrNotSRS
	}
	local = unquote(local)
	tag, rest := srsTag(local)
	if tag == "" {
		return "", ErrNotSRS
	}
	hash, rest, ok := strings.Cut(rest, "=")
	if !ok {
		return "", ErrSRSForged
	}
	if tag == "SRS1" {
		first, inner, ok := strings.Cut(rest, "=")
		if !ok || first == "" || inner == "" || !s.made(hash, first, inner) {
			return "", ErrSRSForged
		}
		return requote("SRS0"+inner) + "@" + first, nil
	}
	stamp, rest, ok := strings.Cut(rest, "=")
	first, user, ok2 := strings.Cut(rest, "=")
	if !ok || !ok2 || first == "" || user == "" || !s.made(hash, stamp, first, user) {
		return "", ErrSRSForged
	}
	if !s.fresh(stamp, now) {
		return "", ErrSRSExpired
	}
	return requote(user) + "@" + first, nil
}

// srsTag splits off SRS0 or SRS1 with its separator.
func srsTag(local string) (tag, rest string) {
	if len(local) < 5 || strings.IndexByte("=+-", local[4]) < 0 {
		return "", ""
	}
	switch tag = strings.ToUpper(local[:4]); tag {
	case "SRS0", "SRS1":
		return tag, local[5:]
	}
	return "", ""
}

func (s SRS) hash(key []byte, parts ...string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.ToLower(strings.Join(parts, "="))))
	return srsText.EncodeToString(mac.Sum(nil))[:srsHash]
}

func (s SRS) made(hash string, parts ...string) bool {
	for _, key := range s.Keys {
		if hmac.Equal([]byte(strings.ToUpper(hash)), []byte(s.hash(key, parts...))) {
			return true
		}
	}
	return false
}

const srsDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func srsStamp(now time.Time) string {
	day := now.Unix() / 86400 % srsPeriod
	return string([]byte{srsDigits[day>>5], srsDigits[day&31]})
}

func (s SRS) fresh(stamp string, now time.Time) bool {
	if len(stamp) != 2 {
		return false
	}
	stamp = strings.ToUpper(stamp)
	high, low := strings.IndexByte(srsDigits, stamp[0]), strings.IndexByte(srsDigits, stamp[1])
	if high < 0 || low < 0 {
		return false
	}
	maxAge := s.MaxAge
	if maxAge <= 0 {
		maxAge = 21 * 24 * time.Hour
	}
	today := now.Unix() / 86400
	age := ((today-int64(high<<5|low))%srsPeriod + srsPeriod) % srsPeriod
	if age == srsPeriod-1 { // made a day ahead, by a clock that is not ours
		age = 0
	}
	return age <= int64(maxAge/(24*time.Hour))
}

// unquote takes the quotes from a local part (RFC 5321 §4.1.2).
func unquote(local string) string {
	if len(local) < 2 || local[0] != '"' || local[len(local)-1] != '"' {
		return local
	}
	var b strings.Builder
	inner := local[1 : len(local)-1]
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}

// requote puts a local part in quotes when it needs them.
func requote(local string) string {
	plain := local != "" && local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
	for _, c := range []byte(local) {
		if c <= ' ' || c == 0x7f || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0 {
			plain = false
		}
	}
	if plain {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}

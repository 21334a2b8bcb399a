package origin

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailfleet/inventory/domainkey"
)

// DKIM is what became of one signature.
type DKIM struct {
	Result    Result
	Reason    string // a sentence without a full stop; "" for pass
	Domain    string // d=, in ASCII
	Selector  string // s=
	Algorithm string // a=
	Identity  string // i=
	Start     string // the first characters of b=, which tell signatures of one domain apart
}

// signature is a DKIM-Signature field being verified.
type signature struct {
	DKIM
	field         field
	strict        bool // i= is of another domain than d=
	names         []string
	relaxed       bool // header
	relaxedBody   bool
	bodySum, sign []byte
}

// verdictError is a result that ends the verification.
type verdictError struct {
	result Result
	reason string
}

func (e verdictError) Error() string { return e.reason }

func perm(format string, args ...any) error {
	return verdictError{PermError, fmt.Sprintf(format, args...)}
}

// parseSignature reads a DKIM-Signature (RFC 6376 §3.5, §6.1.1). A signature that
// cannot be verified has its result already.
func parseSignature(f field, now time.Time) *signature {
	s := &signature{field: f}
	tags, err := parseTags(string(f.value()))
	if err != nil {
		s.Result, s.Reason = PermError, err.Error()
		return s
	}
	s.Selector, s.Algorithm = strings.ToLower(unfold(tags["s"])), strings.ToLower(unfold(tags["a"]))
	if err := s.read(tags); err != nil {
		s.settle(err)
		return s
	}
	s.settle(s.acceptable(tags, now))
	return s
}

// settle notes why the signature is not good; nil leaves it open.
func (s *signature) settle(err error) {
	if err == nil {
		return
	}
	s.Result, s.Reason = PermError, err.Error()
	if v, ok := err.(verdictError); ok { //nolint:errorlint // never wrapped
		s.Result = v.result
	}
}

func (s *signature) read(tags map[string]string) (err error) {
	if tags["v"] != "1" {
		return perm("the signature has another version than 1")
	}
	for _, name := range []string{"a", "b", "bh", "d", "h", "s"} {
		if tags[name] == "" {
			return perm("the signature has no %s=", name)
		}
	}
	if s.Domain, err = domainName(unfold(tags["d"])); err != nil {
		return perm("d=: %v", err)
	}
	if _, err := domainName(s.Selector + "._domainkey." + s.Domain); err != nil {
		return perm("s=: %v", err)
	}
	if s.bodySum, err = base64Value(tags["bh"]); err != nil {
		return perm("bh=: %v", err)
	}
	if s.sign, err = base64Value(tags["b"]); err != nil {
		return perm("b=: %v", err)
	}
	start := unfold(tags["b"])
	s.Start = start[:min(len(start), 8)]
	s.names = list(tags["h"])
	if len(s.names) > maxSigned {
		return perm("the signature covers too many fields")
	}
	return s.readForm(tags)
}

// readForm reads the canonicalization and the identity.
func (s *signature) readForm(tags map[string]string) (err error) {
	form := strings.ToLower(unfold(tags["c"]))
	header, body, _ := strings.Cut(form, "/")
	if s.relaxed, err = relaxedForm(header); err != nil {
		return err
	}
	if s.relaxedBody, err = relaxedForm(body); err != nil {
		return err
	}
	s.Identity = "@" + s.Domain
	i, ok := tags["i"]
	if !ok {
		return nil
	}
	s.Identity = unfold(i)
	_, domain, at := cutLast(s.Identity, "@")
	domain, err = domainName(domain)
	if !at || err != nil || domain != s.Domain && !strings.HasSuffix(domain, "."+s.Domain) {
		return perm("i= is not of the domain in d=")
	}
	s.strict = domain != s.Domain
	return nil
}

func relaxedForm(name string) (bool, error) {
	switch name {
	case "", "simple":
		return false, nil
	case "relaxed":
		return true, nil
	}
	return false, perm("the canonicalization is not known")
}

// acceptable refuses what may be well signed and says too little.
func (s *signature) acceptable(tags map[string]string, now time.Time) error {
	switch s.Algorithm {
	case string(domainkey.RSA), string(domainkey.Ed25519):
	case "rsa-sha1": // RFC 8301 §3.1
		return perm("rsa-sha1 is not accepted any more")
	default:
		return perm("the algorithm is not known")
	}
	if !slices.Contains(s.names, "from") {
		return perm("the signature does not cover From")
	}
	if q := tags["q"]; q != "" && !slices.Contains(list(q), "dns/txt") {
		return perm("the key is not in the DNS")
	}
	var made, ends int64
	for _, t := range []struct {
		tag string
		to  *int64
	}{{"t", &made}, {"x", &ends}} {
		v, ok := tags[t.tag]
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(unfold(v), 10, 64)
		if err != nil || n < 0 {
			return perm("%s= is no time", t.tag)
		}
		*t.to = n
	}
	_, expires := tags["x"]
	_, partial := tags["l"]
	switch {
	case expires && ends < made:
		return perm("the signature expires before it was made")
	case expires && now.Unix() > ends:
		return verdictError{Policy, "the signature has expired"}
	case partial: // anyone may append to what it covers (RFC 6376 §8.2)
		return verdictError{Policy, "the signature covers only a part of the body"}
	}
	return nil
}

// key is a public key as the DNS has it.
type key struct {
	public  crypto.PublicKey
	strict  bool // i= must be of d= itself
	forMail bool
	sha256  bool
}

// parseKey reads a key record (RFC 6376 §3.6.1).
func parseKey(txt string) (key, error) {
	tags, err := parseTags(txt)
	if err != nil {
		return key{}, perm("the key record is malformed: %v", err)
	}
	if v, ok := tags["v"]; ok && v != "DKIM1" {
		return key{}, perm("the key record has another version than DKIM1")
	}
	p, ok := tags["p"]
	if !ok {
		return key{}, perm("the key record has no key")
	}
	if p == "" {
		return key{}, perm("the key was revoked")
	}
	b, err := base64Value(p)
	if err != nil {
		return key{}, perm("the key is not base64")
	}
	k := key{forMail: true, sha256: true}
	if s, ok := tags["s"]; ok {
		services := list(s)
		k.forMail = slices.Contains(services, "*") || slices.Contains(services, "email")
	}
	if h, ok := tags["h"]; ok {
		k.sha256 = slices.Contains(list(h), "sha256")
	}
	k.strict = slices.Contains(list(tags["t"]), "s")
	k.public, err = publicKey(strings.ToLower(tags["k"]), b)
	return k, err
}

func publicKey(kind string, b []byte) (crypto.PublicKey, error) {
	switch kind {
	case "ed25519":
		if len(b) != ed25519.PublicKeySize {
			return nil, perm("the Ed25519 key has not 32 bytes")
		}
		return ed25519.PublicKey(b), nil
	case "", "rsa":
		public, err := x509.ParsePKIXPublicKey(b)
		if err != nil {
			public, err = x509.ParsePKCS1PublicKey(b) // erratum 3017 of RFC 6376
		}
		k, ok := public.(*rsa.PublicKey)
		if err != nil || !ok {
			return nil, perm("the RSA key cannot be read")
		}
		if n := k.N.BitLen(); n < 1024 || n > maxRSA { // RFC 8301 §3.2
			return nil, perm("the RSA key has %d bits: 1024 to %d are accepted", n, maxRSA)
		}
		return k, nil
	}
	return nil, perm("the kind of the key is not known")
}

// verify decides, with the key records of the selector and the hash of the body. Of
// several keys one is enough (RFC 6376 §6.1.2 leaves it open).
func (s *signature) verify(txts []string, fields []field, index map[string][]int, bodySum []byte) {
	last := perm("there is no key record")
	for _, txt := range txts[:min(len(txts), 3)] {
		if last = s.verifyWith(txt, fields, index, bodySum); last == nil {
			s.Result = Pass
			return
		}
	}
	s.settle(last)
}

func (s *signature) verifyWith(txt string, fields []field, index map[string][]int, bodySum []byte) error {
	k, err := parseKey(txt)
	switch {
	case err != nil:
		return err
	case k.strict && s.strict:
		return perm("the key is not for subdomains, and i= names one")
	case subtle.ConstantTimeCompare(bodySum, s.bodySum) != 1:
		return verdictError{Fail, "the body was changed"}
	}
	sum := sha256.New()
	hashFields(sum, fields, index, s.names, s.relaxed)
	own := withoutSignature(s.field.raw)
	if s.relaxed {
		own = relaxedField(nil, own)
	}
	sum.Write(bytes.TrimSuffix(own, []byte("\r\n")))
	return k.verify(s.Algorithm, sum.Sum(nil), s.sign)
}

// verify checks a signature of a hash.
func (k key) verify(algorithm string, digest, sign []byte) error {
	switch {
	case !k.forMail:
		return perm("the key is not for mail")
	case !k.sha256:
		return perm("the key is not for SHA-256")
	}
	good := false
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		if algorithm != string(domainkey.RSA) {
			return perm("the key is RSA and the signature is not")
		}
		good = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, sign) == nil
	case ed25519.PublicKey: // RFC 8463 §3: the hash is what is signed
		if algorithm != string(domainkey.Ed25519) {
			return perm("the key is Ed25519 and the signature is not")
		}
		good = ed25519.Verify(public, digest, sign)
	}
	if !good {
		return verdictError{Fail, "the header was changed, or it was signed with another key"}
	}
	return nil
}

// withoutSignature is a DKIM-Signature field with nothing in b=, all else as it was.
func withoutSignature(raw []byte) []byte {
	at := bytes.IndexByte(raw, ':') + 1
	for at < len(raw) {
		end := bytes.IndexByte(raw[at:], ';')
		if end < 0 {
			end = len(raw)
		} else {
			end += at
		}
		name, _, ok := bytes.Cut(raw[at:end], []byte("="))
		if ok && trim(string(name)) == "b" {
			from := at + len(name) + 1
			if end == len(raw) {
				return append(slices.Clone(raw[:from]), '\r', '\n')
			}
			return append(slices.Clone(raw[:from]), raw[end:]...)
		}
		at = end + 1
	}
	return raw
}

// cutLast cuts around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

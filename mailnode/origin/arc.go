package origin

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailfleet/inventory/domainkey"
)

// ARC is what those say through whose hands a message went before (RFC 8617).
type ARC struct {
	Result  Result // none, pass, fail or temperror
	Reason  string // a sentence without a full stop; "" for pass and none
	Sets    int    // how many have sealed it
	Domain  string // of the last of them, in ASCII
	Passed  bool   // it says that the message passed DMARC when it came there
	Trusted bool   // it is one of Settings.Sealers
}

// seal is an ARC-Seal field.
type seal struct {
	field                       field
	domain, selector, algorithm string
	valid                       string // cv=: what the chain was before
	sign                        []byte
}

func (s seal) keyName() string { return s.selector + "._domainkey." + s.domain }

// arcSet is what one sealer has added.
type arcSet struct {
	results, message *field
	seal             *seal
}

// seals is the chain of a message.
type seals struct {
	broken  error
	sets    []arcSet
	message *signature // the ARC-Message-Signature of the last set
}

// keyed are parts that need a key.
type keyed interface{ keyName() string }

func (c seals) all() (list []keyed) {
	if c.broken != nil || c.message == nil {
		return nil
	}
	list = append(list, c.message)
	for _, s := range c.sets {
		list = append(list, s.seal)
	}
	return list
}

// findSeals collects the sets and checks that they are a chain (RFC 8617 §5.2).
func findSeals(fields []field, now time.Time) (c seals) {
	for i := range fields {
		f := &fields[i]
		if f.name != "arc-seal" && f.name != "arc-message-signature" && f.name != "arc-authentication-results" {
			continue
		}
		if err := c.add(f); err != nil {
			return seals{broken: err}
		}
	}
	for i, s := range c.sets {
		before := "pass"
		if i == 0 {
			before = "none"
		}
		switch {
		case s.results == nil || s.message == nil || s.seal == nil:
			return seals{broken: fmt.Errorf("the ARC set %d is not complete", i+1)}
		case s.seal.valid != before:
			return seals{broken: fmt.Errorf("the ARC set %d says of those before it: %s", i+1, s.seal.valid), sets: c.sets}
		}
	}
	if n := len(c.sets); n > 0 {
		c.message = parseMessageSignature(*c.sets[n-1].message, now)
	}
	return c
}

// add takes a field into its set.
func (c *seals) add(f *field) error {
	value := string(f.value())
	if f.name == "arc-authentication-results" { // what follows the number is no list of tags
		value, _, _ = strings.Cut(value, ";")
	}
	tags, err := parseTags(value)
	if err != nil {
		return fmt.Errorf("an ARC field is malformed: %w", err)
	}
	n, err := strconv.Atoi(unfold(tags["i"]))
	if err != nil || n < 1 || n > maxSeals {
		return fmt.Errorf("an ARC field is not numbered from 1 to %d", maxSeals)
	}
	for len(c.sets) < n {
		c.sets = append(c.sets, arcSet{})
	}
	s := &c.sets[n-1]
	var twice bool
	switch f.name {
	case "arc-seal":
		twice = s.seal != nil
		if s.seal, err = parseSeal(*f, tags); err != nil {
			return err
		}
	case "arc-message-signature":
		twice, s.message = s.message != nil, f
	default:
		twice, s.results = s.results != nil, f
	}
	if twice {
		return fmt.Errorf("the ARC set %d has a field twice", n)
	}
	return nil
}

func parseSeal(f field, tags map[string]string) (*seal, error) {
	s := &seal{
		field: f, selector: strings.ToLower(unfold(tags["s"])), algorithm: strings.ToLower(unfold(tags["a"])),
		valid: strings.ToLower(unfold(tags["cv"])),
	}
	var err error
	if s.domain, err = domainName(unfold(tags["d"])); err != nil {
		return nil, fmt.Errorf("an ARC-Seal is malformed: d=: %w", err)
	}
	if _, err := domainName(s.keyName()); err != nil {
		return nil, fmt.Errorf("an ARC-Seal is malformed: s=: %w", err)
	}
	if s.sign, err = base64Value(tags["b"]); err != nil {
		return nil, fmt.Errorf("an ARC-Seal is malformed: b=: %w", err)
	}
	_, signs := tags["h"] // RFC 8617 §4.1.3
	if signs || s.valid == "" || s.algorithm != string(domainkey.RSA) && s.algorithm != string(domainkey.Ed25519) {
		return nil, fmt.Errorf("an ARC-Seal is malformed")
	}
	return s, nil
}

// parseMessageSignature reads an ARC-Message-Signature, which is a DKIM-Signature
// without a version and with another meaning of i=.
func parseMessageSignature(f field, now time.Time) *signature {
	s := &signature{field: f}
	tags, err := parseTags(string(f.value()))
	if err != nil {
		s.settle(perm("%v", err))
		return s
	}
	delete(tags, "i")
	tags["v"] = "1"
	s.Selector, s.Algorithm = strings.ToLower(unfold(tags["s"])), strings.ToLower(unfold(tags["a"]))
	if err = s.read(tags); err == nil {
		err = s.acceptable(tags, now)
	}
	if err == nil && slices.Contains(s.names, "arc-seal") { // RFC 8617 §4.1.2
		err = perm("the ARC-Message-Signature covers a seal")
	}
	s.settle(err)
	return s
}

// verify checks the last signature of the message and all seals.
func (c seals) verify(keys map[string]answer, fields []field, index map[string][]int, sums [2][]byte) ARC {
	a := ARC{Result: None, Sets: len(c.sets)}
	if c.broken != nil {
		a.Result, a.Reason = Fail, c.broken.Error()
		return a
	}
	if c.message == nil {
		return a
	}
	last := c.sets[len(c.sets)-1]
	a.Domain = last.seal.domain
	c.message.answer(keys[c.message.keyName()], fields, index, sums)
	switch c.message.Result {
	case Pass:
	case TempError:
		a.Result, a.Reason = TempError, c.message.Reason
		return a
	default:
		a.Result, a.Reason = Fail, "the last ARC-Message-Signature: "+c.message.Reason
		return a
	}
	for i := range c.sets {
		if err := c.verifySeal(i, keys); err != nil {
			a.Result, a.Reason = Fail, fmt.Sprintf("the ARC-Seal %d: %v", i+1, err)
			if v, ok := err.(verdictError); ok && v.result == TempError { //nolint:errorlint // never wrapped
				a.Result = TempError
			}
			return a
		}
	}
	a.Result, a.Passed = Pass, passedDMARC(last.results.value())
	return a
}

// verifySeal checks the seal of a set, which covers all sets up to it (RFC 8617
// §5.1.1).
func (c seals) verifySeal(n int, keys map[string]answer) error {
	s := c.sets[n].seal
	found := keys[s.keyName()]
	if err := found.failure(); err != nil {
		return err
	}
	sum := sha256.New()
	for i, set := range c.sets[:n+1] {
		sum.Write(relaxedField(nil, set.results.raw))
		sum.Write(relaxedField(nil, set.message.raw))
		if i < n {
			sum.Write(relaxedField(nil, set.seal.field.raw))
		}
	}
	sum.Write(bytes.TrimSuffix(relaxedField(nil, withoutSignature(s.field.raw)), []byte("\r\n")))
	digest := sum.Sum(nil)
	last := perm("there is no key record")
	for _, txt := range found.txts[:min(len(found.txts), 3)] {
		k, err := parseKey(txt)
		if err == nil {
			err = k.verify(s.algorithm, digest, s.sign)
		}
		if last = err; err == nil {
			return nil
		}
	}
	return last
}

// passedDMARC looks for dmarc=pass among the results a sealer has written.
func passedDMARC(results []byte) bool {
	for _, part := range strings.Split(string(results), ";")[1:] {
		part, ok := skipComments(part)
		if !ok {
			continue
		}
		method, rest, _ := strings.Cut(part, "=")
		result, _, _ := strings.Cut(strings.TrimLeft(rest, " \t\r\n"), " ")
		if strings.EqualFold(trim(method), "dmarc") && strings.EqualFold(strings.Trim(result, "\r\n\t("), "pass") {
			return true
		}
	}
	return false
}

package api

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailfleet/inventory"
)

// FieldError says what is wrong with one field of a configuration.
type FieldError struct {
	Field   string // the field's path, as in "listeners[1].address"
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// Validate reports the first thing that is wrong with c as a *FieldError.
func (c *Config) Validate() error {
	if c.Server == "" {
		return wrong("server", "the server needs a name")
	}
	if !isDomain(c.Hostname) {
		return wrong("hostname", "%q is not a host name", c.Hostname)
	}
	for _, check := range []func() error{c.checkTLS, c.checkListeners, c.checkLimits, c.checkAccounts} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkTLS() error {
	switch {
	case c.TLS.Cert == "" && c.TLS.Key != "":
		return wrong("tls", "there is a key but no cert")
	case c.TLS.Key == "" && c.TLS.Cert != "":
		return wrong("tls", "there is a cert but no key")
	}
	return nil
}

func (c *Config) checkListeners() error {
	if len(c.Listeners) == 0 {
		return wrong("listeners", "at least one listener is needed")
	}
	seen, sockets := map[netip.AddrPort]bool{}, map[string]bool{}
	for i, l := range c.Listeners {
		field := fmt.Sprintf("listeners[%d]", i)
		switch l.Protocol {
		case SMTP, Submission, LMTP, POP3, IMAP:
		case Submissions, POP3S, IMAPS:
			if c.TLS.Cert == "" {
				return wrong(field+".protocol", "%s needs tls.cert and tls.key", l.Protocol)
			}
		default:
			return wrong(field+".protocol", "%q is not one of smtp, submission, submissions, lmtp, pop3, pop3s, imap, imaps", l.Protocol)
		}
		if path := l.Socket(); path != "" {
			if sockets[path] {
				return wrong(field+".address", "%s is already taken by another listener", path)
			}
			sockets[path] = true
			continue
		}
		addr, err := parseListenAddress(l.Address)
		if err != nil {
			return wrong(field+".address", "%s", err)
		}
		if addr.Port() != 0 && seen[addr] {
			return wrong(field+".address", "%s is already taken by another listener", l.Address)
		}
		seen[addr] = true
	}
	return nil
}

func parseListenAddress(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address with a port, as in 127.0.0.1:25", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not a port: it must be a number from 0 to 65535", port)
	}
	ip := netip.IPv6Unspecified()
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q is not an IP address", host)
		}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// maxMessageBytes bounds limits.message_bytes: a message is committed as one batch.
const maxMessageBytes = 1 << 30

// minFreeBytes is what the store needs to complete what it has begun.
const minFreeBytes = 64 << 20

func (c *Config) checkLimits() error {
	for _, f := range []struct {
		name            string
		value, min, max int64
	}{
		{"message_bytes", c.Limits.MessageBytes, 1, maxMessageBytes},
		{"recipients", int64(c.Limits.Recipients), 1, 100_000},
		{"connections", int64(c.Limits.Connections), 1, 1_000_000},
		{"connections_per_address", int64(c.Limits.ConnectionsPerAddress), 1, 1_000_000},
		{"free_bytes", c.Limits.FreeBytes, minFreeBytes, 1 << 50},
	} {
		if f.value != 0 && (f.value < f.min || f.value > f.max) {
			return wrong("limits."+f.name, "%d is not between %d and %d (0 means the default)", f.value, f.min, f.max)
		}
	}
	return nil
}

func (c *Config) checkAccounts() error {
	domains := map[string]bool{}
	for i, d := range c.Domains {
		field, name := fmt.Sprintf("domains[%d].name", i), strings.ToLower(d.Name)
		if !isDomain(name) {
			return wrong(field, "%q is not a domain", d.Name)
		}
		if domains[name] {
			return wrong(field, "the domain %s is there twice", d.Name)
		}
		domains[name] = true
	}
	ids, addresses := map[string]bool{}, map[string]bool{}
	for i, a := range c.Accounts {
		field := fmt.Sprintf("accounts[%d]", i)
		if err := a.check(field, domains); err != nil {
			return err
		}
		if ids[a.ID] {
			return wrong(field+".id", "the account %s is there twice", a.ID)
		}
		address := strings.ToLower(a.Address)
		if addresses[address] {
			return wrong(field+".address", "the address %s is there twice", a.Address)
		}
		ids[a.ID], addresses[address] = true, true
	}
	if c.Postmaster != "" && !addresses[strings.ToLower(c.Postmaster)] {
		return wrong("postmaster", "%s is not the address of an account in this file", c.Postmaster)
	}
	return nil
}

func (a Account) check(field string, domains map[string]bool) error {
	if !isUUID(a.ID) {
		return wrong(field+".id", "%q is not a UUID in lower case", a.ID)
	}
	local, domain, ok := strings.Cut(a.Address, "@")
	if !ok || !isLocalPart(local) || !isDomain(domain) {
		return wrong(field+".address", "%q is not a mail address", a.Address)
	}
	if strings.Contains(local, "+") {
		return wrong(field+".address", "%q has a +: what follows it is a sub-address, not part of an account's address", a.Address)
	}
	if !domains[strings.ToLower(domain)] {
		return wrong(field+".address", "the domain of %s is not one of domains", a.Address)
	}
	if err := checkHash(a.PasswordHash); err != nil {
		return wrong(field+".password_hash", "%s", err)
	}
	if err := checkSCRAM(a.SCRAM); err != nil {
		return wrong(field+".scram", "%s", err)
	}
	for name, n := range map[string]int64{"quota_bytes": a.QuotaBytes, "quota_messages": a.QuotaMessages, "message_bytes": a.MessageBytes} {
		if n < 0 {
			return wrong(field+"."+name, "%s must not be negative", name)
		}
	}
	for i, f := range a.Off {
		if !slices.Contains(inventory.Features, f) {
			return wrong(fmt.Sprintf("%s.off[%d]", field, i), "%q is not a feature: there are %v", f, inventory.Features)
		}
	}
	ids := map[string]bool{}
	for i, app := range a.AppPasswords {
		field := fmt.Sprintf("%s.app_passwords[%d]", field, i)
		if err := app.check(field); err != nil {
			return err
		}
		if ids[app.ID] {
			return wrong(field+".id", "the application password %s is there twice", app.ID)
		}
		ids[app.ID] = true
	}
	return nil
}

func (p AppPassword) check(field string) error {
	if !isUUID(p.ID) {
		return wrong(field+".id", "%q is not a UUID in lower case", p.ID)
	}
	hash, ok := strings.CutPrefix(p.Hash, "$sha256$")
	if raw, err := base64.RawStdEncoding.Strict().DecodeString(hash); !ok || err != nil || len(raw) != sha256.Size {
		return wrong(field+".hash", "it is not $sha256$ and 32 bytes in base64 without padding")
	}
	if err := checkSCRAM(p.SCRAM); err != nil {
		return wrong(field+".scram", "%s", err)
	}
	return nil
}

// checkSCRAM accepts "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey" of a cost
// that a client may have.
func checkSCRAM(keys string) error {
	if keys == "" {
		return nil
	}
	parts := strings.FieldsFunc(keys, func(c rune) bool { return c == '$' || c == ':' })
	if len(parts) != 5 || strings.Join([]string{parts[0], parts[1] + ":" + parts[2], parts[3] + ":" + parts[4]}, "$") != keys || parts[0] != "SCRAM-SHA-256" {
		return fmt.Errorf("it is not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
	}
	if n, err := strconv.Atoi(parts[1]); err != nil || n < 4096 || n > 10_000_000 {
		return fmt.Errorf("the SCRAM iterations are outside 4096–10000000")
	}
	for i, part := range parts[2:] {
		raw, err := base64.StdEncoding.Strict().DecodeString(part)
		if err != nil || len(raw) == 0 || len(raw) > 128 || i > 0 && len(raw) != sha256.Size {
			return fmt.Errorf("the SCRAM salt must be 1 to 128 bytes, the keys 32 bytes each, in base64 with padding")
		}
	}
	return nil
}

// checkHash accepts "$argon2id$v=19$m=M,t=T,p=P$salt$key" (RFC 9106, PHC form) of
// a cost that one sign-in may have: at most 256 MiB and 16 passes.
func checkHash(hash string) error {
	if hash == "" {
		return nil
	}
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return fmt.Errorf("it is not an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$key)")
	}
	var memory, passes, lanes uint
	const form = "m=%d,t=%d,p=%d"
	if _, err := fmt.Sscanf(parts[3], form, &memory, &passes, &lanes); err != nil || fmt.Sprintf(form, memory, passes, lanes) != parts[3] {
		return fmt.Errorf("the argon2id parameters are not of the form m=…,t=…,p=…")
	}
	if lanes < 1 || lanes > 64 || memory < 8*lanes || memory > 256<<10 || passes < 1 || passes > 16 {
		return fmt.Errorf("the argon2id parameters are outside m=8p–262144, t=1–16, p=1–64")
	}
	for _, part := range parts[4:] {
		raw, err := base64.RawStdEncoding.Strict().DecodeString(part)
		if err != nil || len(raw) < 8 || len(raw) > 128 {
			return fmt.Errorf("the argon2id salt and key must be 8 to 128 bytes each in base64 without padding")
		}
	}
	return nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}

// isDomain accepts a Domain of RFC 5321 §4.1.2: labels of letters, digits and hyphens.
func isDomain(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(c rune) bool { return c != '-' && !isAlnum(c) }) {
			return false
		}
	}
	return true
}

// isLocalPart accepts a Dot-string of RFC 5321 §4.1.2.
func isLocalPart(s string) bool {
	if len(s) > 64 {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(c rune) bool {
			return !isAlnum(c) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", c)
		}) {
			return false
		}
	}
	return true
}

func isAlnum(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

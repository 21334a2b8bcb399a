package api

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
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
	for _, check := range []func() error{c.checkTLS, c.checkListeners, c.checkLimits, c.checkFlow, c.checkAccounts, c.checkGroups} {
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
		if !slices.Contains(Protocols, l.Protocol) {
			return wrong(field+".protocol", "%q is not one of smtp, submission, submissions, lmtp, pop3, pop3s, imap, imaps", l.Protocol)
		}
		if l.Protocol.Secure() && c.TLS.Cert == "" {
			return wrong(field+".protocol", "%s needs tls.cert and tls.key", l.Protocol)
		}
		if socket := l.Socket(); socket != "" {
			if err := checkSocket(l.Protocol, socket); err != nil {
				return wrong(field+".address", "%s", err)
			}
			if sockets[socket] {
				return wrong(field+".address", "%s is already taken by another listener", l.Address)
			}
			sockets[socket] = true
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

// MaxSocket is the longest path of a Unix socket (unix(7)).
const MaxSocket = 107

func checkSocket(p Protocol, socket string) error {
	switch {
	case p != LMTP:
		return fmt.Errorf("only lmtp is spoken on a Unix socket")
	case !path.IsAbs(socket) || len(socket) > MaxSocket:
		return fmt.Errorf("the path of a socket must begin with / and have %d bytes at most", MaxSocket)
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

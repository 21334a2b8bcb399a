package envelope

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ParseDomain reads a domain, an internationalized one or an address literal, and
// returns the one form it has in Address.Domain: lower case and A-labels (RFC 5890), or a
// literal in brackets.
func ParseDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		ip, err := ParseLiteral(s)
		if err != nil {
			return "", err
		}
		return Literal(ip), nil
	}
	if !isASCII(s) {
		if !utf8.ValidString(s) {
			return "", errEncoding
		}
		ascii, err := idna.Lookup.ToASCII(s)
		if err != nil {
			return "", errDomain
		}
		s = ascii
	}
	if !isHostName(s) {
		return "", errDomain
	}
	return strings.ToLower(s), nil
}

// isHostName accepts a Domain of RFC 5321 §4.1.2, and the underscore that real
// senders have in theirs.
func isHostName(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// ParseLiteral reads an address literal (RFC 5321 §4.1.3) of IPv4 or IPv6; there are
// no others in use.
func ParseLiteral(s string) (netip.Addr, error) {
	inner, found := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !found || !closed {
		return netip.Addr{}, errLiteral
	}
	const tag = "IPv6:"
	six := len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag)
	if six {
		inner = inner[len(tag):]
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Is4() == six || ip.Zone() != "" {
		return netip.Addr{}, errLiteral
	}
	return ip, nil
}

// Literal writes an IP address as a literal.
func Literal(ip netip.Addr) string {
	if ip = ip.WithZone(""); ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

// DisplayDomain is a domain for people: U-labels where that is possible.
func DisplayDomain(domain string) string {
	if !strings.Contains(domain, "xn--") {
		return domain
	}
	unicode, err := idna.Display.ToUnicode(domain)
	if err != nil {
		return domain
	}
	return unicode
}

package message

import (
	"strings"

	"golang.org/x/net/idna"
)

// String is the address as people read it: its decoded name, if it has one, and the
// address, the domain in Unicode. A group is its name with a colon, a group's end a
// semicolon.
func (a Address) String() string {
	switch {
	case a.Mailbox == nil:
		return ";"
	case a.Host == nil:
		return DecodeHeader(a.Mailbox) + ":"
	}
	name, spec := DecodeHeader(a.Name), a.Spec()
	switch {
	case name == "":
		return spec
	case spec == "":
		return name
	}
	return name + " <" + spec + ">"
}

// Spec is the address without a name, "user@example.test", the domain in Unicode.
func (a Address) Spec() string {
	host := DecodeHeader(a.Host)
	if strings.Contains(host, "xn--") {
		if u, err := idna.Punycode.ToUnicode(host); err == nil {
			host = u
		}
	}
	if host == "" {
		return DecodeHeader(a.Mailbox)
	}
	return DecodeHeader(a.Mailbox) + "@" + host
}

// AddressText is what a search in an address field looks at (RFC 9051 §6.4.4 FROM,
// TO, CC, BCC): the addresses as people read them, and as they are written where that
// is another form.
func AddressText(list []Address) string {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
		if raw := string(a.Mailbox) + "@" + string(a.Host); a.Host != nil && raw != a.Spec() && len(a.Host) > 0 {
			b.WriteString(" <" + strings.ToValidUTF8(raw, "") + ">")
		}
	}
	return b.String()
}

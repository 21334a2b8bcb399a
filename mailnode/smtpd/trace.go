package smtpd

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
)

// received is the field this server puts before a message (RFC 5321 §4.4). The recipient is
// named only when there is one.
func (s *session) received() string {
	var b strings.Builder
	from := "a local socket"
	if ip := s.address(); ip.IsValid() {
		if from = envelope.Literal(ip); s.name != "" {
			from = s.name + " " + from
		}
	}
	fmt.Fprintf(&b, "Received: from %s (%s)\r\n", printable(s.helo), from)
	fmt.Fprintf(&b, "\tby %s (Mailfleet) with %s id %s", s.set.Hostname, s.protocol(), s.tx.env.ID)
	if len(s.tx.env.Recipients) == 1 {
		fmt.Fprintf(&b, "\r\n\tfor <%s>", s.tx.env.Recipients[0].Address)
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", time.Now().Format(time.RFC1123Z))
	return b.String()
}

// protocol is the "with" of Received (RFC 3848, RFC 6531 §4.3), and the cipher as a
// comment.
func (s *session) protocol() string {
	name := "SMTP"
	switch {
	case s.kind == LMTP && s.tx.env.UTF8:
		name = "UTF8LMTP"
	case s.kind == LMTP:
		name = "LMTP"
	case s.tx.env.UTF8:
		name = "UTF8SMTP"
	case s.extended:
		name = "ESMTP"
	}
	if s.tls != nil {
		name += "S"
	}
	if s.user != nil {
		name += "A"
	}
	if s.tls != nil {
		name += fmt.Sprintf(" (%s %s)", tls.VersionName(s.tls.Version), tls.CipherSuiteName(s.tls.CipherSuite))
	}
	return name
}

// printable keeps of what a peer calls itself what a domain or an address literal is
// made of.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune(".-_:[]", c) {
			return c
		}
		return '?'
	}, s)
}

// newTransactionID names a transaction in Received and in the log.
func newTransactionID() string { return rand.Text()[:16] }

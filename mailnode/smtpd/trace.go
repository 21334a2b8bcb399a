package smtpd

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// trace is what this server puts before a message: Return-Path at final delivery
// and Received (RFC 5321 §4.4). The recipient is named only when there is one.
func (s *session) trace(id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: %s\r\n", path(s.from))
	fmt.Fprintf(&b, "Received: from %s (%s)\r\n", printable(s.helo), literal(s.guard.RemoteAddr()))
	fmt.Fprintf(&b, "\tby %s (Mailfleet) with %s id %s", s.guard.set.Hostname, s.guard.protocol(), id)
	if len(s.accounts) == 1 {
		fmt.Fprintf(&b, "\r\n\tfor %s", path(s.to))
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", time.Now().Format(time.RFC1123Z))
	return b.String()
}

// protocol is the "with" of Received (RFC 3848), and the cipher as a comment.
func (g *guard) protocol() string {
	if c, ok := g.Conn.(*tls.Conn); ok {
		state := c.ConnectionState()
		return fmt.Sprintf("ESMTPS (%s %s)", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	}
	if g.extended {
		return "ESMTP"
	}
	return "SMTP"
}

// literal is an address as in RFC 5321 §4.1.3.
func literal(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	switch {
	case err != nil:
		return "unknown"
	case strings.Contains(host, ":"):
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}

// printable keeps of what a peer calls itself what a domain or an address literal is
// made of.
func printable(s string) string {
	const most = 255
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune(".-_:[]", c) {
			return c
		}
		return '?'
	}, s[:min(len(s), most)])
}

// newTransactionID names a transaction in Received and in the log.
func newTransactionID() string { return rand.Text()[:16] }

package outbound

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"mailfleet/mailnode/envelope"
)

// commands makes MAIL and RCPT, as far as this server can be asked.
func (c *conn) commands(j *job, to []int) (mail string, rcpt map[int]string, ok bool) {
	var b strings.Builder
	utf8 := c.has("SMTPUTF8")
	from, ok := path(j.From, utf8)
	if !ok || j.UTF8 && !utf8 && (j.From != "" && !ascii(j.From) || headerHas8Bit(j.Open())) {
		j.decide(j.left, c.ours(553, "5.6.7", c.host+" does not take mail with addresses or a header in other letters than ASCII (SMTPUTF8)"))
		return "", nil, false
	}
	var unfit *Outcome
	if j.shape, unfit = c.shape(j); unfit != nil {
		j.decide(j.left, *unfit)
		return "", nil, false
	}
	if limit := c.maxSize(); limit > 0 && j.shape.size > limit {
		j.decide(j.left, c.ours(552, "5.3.4", fmt.Sprintf("%s takes messages up to %d bytes; this one has %d", c.host, limit, j.shape.size)))
		return "", nil, false
	}
	fmt.Fprintf(&b, "MAIL FROM:<%s>", from)
	if c.has("SIZE") {
		fmt.Fprintf(&b, " SIZE=%d", j.shape.size)
	}
	b.WriteString(j.shape.body)
	if utf8 && j.UTF8 {
		b.WriteString(" SMTPUTF8")
	}
	if j.RequireTLS {
		b.WriteString(" REQUIRETLS")
	}
	dsn := c.has("DSN")
	if dsn && j.Return != "" {
		b.WriteString(" RET=" + string(j.Return))
	}
	if dsn && j.EnvID != "" && parameter(j.EnvID) {
		b.WriteString(" ENVID=" + j.EnvID)
	}
	rcpt = make(map[int]string, len(to))
	for _, i := range to {
		address, ok := path(j.To[i].Address, utf8 && j.UTF8)
		if !ok {
			j.decide([]int{i}, c.ours(553, "5.6.7", fmt.Sprintf("%s does not take mail for the address %s (SMTPUTF8)", c.host, clean(j.To[i].Address))))
			continue
		}
		rcpt[i] = "RCPT TO:<" + address + ">" + notify(j.To[i], dsn)
	}
	return b.String(), rcpt, len(rcpt) > 0
}

// ours is a permanent failure that this server finds, not the remote.
func (c *conn) ours(code int, enhanced, text string) Outcome {
	return Outcome{State: Permanent, Code: code, Enhanced: enhanced, Host: c.host, Text: text}
}

func (c *conn) maxSize() int64 {
	word, _, _ := strings.Cut(strings.TrimSpace(c.extensions["SIZE"]), " ")
	n, _ := strconv.ParseInt(word, 10, 64) // without a number there is no limit
	return n
}

// notify is what RCPT asks for reports (RFC 3461).
func notify(r envelope.Recipient, dsn bool) string {
	if !dsn {
		return ""
	}
	var b strings.Builder
	if r.Notify != 0 {
		sep := " NOTIFY="
		for _, n := range []struct {
			bit  envelope.Notify
			name string
		}{{envelope.NotifyNever, "NEVER"}, {envelope.NotifySuccess, "SUCCESS"}, {envelope.NotifyFailure, "FAILURE"}, {envelope.NotifyDelay, "DELAY"}} {
			if r.Notify&n.bit != 0 {
				b.WriteString(sep + n.name)
				sep = ","
			}
		}
	}
	if r.Original != "" && parameter(r.Original) {
		b.WriteString(" ORCPT=" + r.Original)
	}
	return b.String()
}

// parameter tells whether s can stand as the value of a parameter (RFC 5321 §4.1.2).
func parameter(s string) bool {
	const most = 500
	return len(s) <= most && strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }) < 0
}

// path is an address as it is said to a server. Not ok: it cannot be said to this one.
func path(address string, utf8 bool) (string, bool) {
	quoted := strings.HasPrefix(address, `"`)
	for _, c := range []byte(address) {
		if c < ' ' || c == 0x7f || !quoted && (c == '<' || c == '>' || c == ' ') {
			return "", false
		}
	}
	if utf8 || ascii(address) {
		return address, true
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !ascii(address[:at]) {
		return "", false
	}
	domain, err := idna.Lookup.ToASCII(address[at+1:])
	return address[:at+1] + domain, err == nil
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c >= 0x80 }) < 0
}

func has8Bit(r io.Reader) bool {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			if c >= 0x80 {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
}

func headerHas8Bit(r io.Reader) bool {
	return has8Bit(&headerReader{r: r})
}

// headerReader ends with the header of a message.
type headerReader struct {
	r    io.Reader
	tail []byte // the last bytes before
	done bool
}

// Read implements io.Reader.
func (h *headerReader) Read(p []byte) (int, error) {
	if h.done {
		return 0, io.EOF
	}
	n, err := h.r.Read(p)
	seen := append(h.tail, p[:n]...)
	if i := bytes.Index(seen, []byte("\r\n\r\n")); i >= 0 {
		h.done = true
		return max(i-len(h.tail), 0), nil
	}
	h.tail = append([]byte{}, seen[max(0, len(seen)-3):]...)
	return n, err
}

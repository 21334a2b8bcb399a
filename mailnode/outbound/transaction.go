package outbound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"mailfleet/mailnode/envelope"
)

// job is a message under way: what is decided of its recipients, and who is left.
type job struct {
	*Message
	outcomes []Outcome
	left     []int // indices of recipients nothing is decided of
}

// decide notes what became of recipients.
func (j *job) decide(which []int, o Outcome) {
	for _, i := range which {
		j.outcomes[i] = o
	}
	j.left = without(j.left, which)
}

func without(list, gone []int) (rest []int) {
	out := make(map[int]bool, len(gone))
	for _, i := range gone {
		out[i] = true
	}
	for _, i := range list {
		if !out[i] {
			rest = append(rest, i)
		}
	}
	return rest
}

// transact gives the message to the server for as many of the recipients left as fit in
// one transaction. An error means that the connection can no longer be used and that
// those who are left may be tried elsewhere.
func (c *conn) transact(j *job) error {
	to := j.left[:min(len(j.left), c.limit("RCPTMAX", c.set.PerMessage))]
	mail, rcpt, ok := c.commands(j, to)
	if !ok {
		return nil // what cannot be asked of this server was decided
	}
	to = without(to, without(to, j.left)) // who is still left
	chunking := c.has("CHUNKING")
	accepted, open, err := c.envelope(j, mail, rcpt, to, chunking)
	if err != nil {
		return err
	}
	c.messages++
	if len(accepted) == 0 {
		if open { // DATA was sent along and granted: an empty message goes to nobody
			_, err = c.do(c.set.Timeouts.Final, ".")
			return err
		}
		return c.reset()
	}
	if chunking {
		return c.sendChunks(j, accepted)
	}
	return c.sendData(j, accepted)
}

func (c *conn) reset() error {
	got, err := c.do(c.set.Timeouts.Command, "RSET")
	if err == nil && !got.positive() {
		err = &refusal{"RSET", got}
	}
	return err
}

// commands makes MAIL and RCPT, as far as this server can be asked.
func (c *conn) commands(j *job, to []int) (mail string, rcpt map[int]string, ok bool) {
	if limit := c.maxSize(); limit > 0 && j.Size > limit {
		j.decide(j.left, c.ours(552, "5.3.4", fmt.Sprintf("%s takes messages up to %d bytes; this one has %d", c.host, limit, j.Size)))
		return "", nil, false
	}
	var b strings.Builder
	utf8 := c.has("SMTPUTF8")
	from, ok := path(j.From, utf8)
	if !ok || j.UTF8 && !utf8 && (j.From != "" && !ascii(j.From) || headerHas8Bit(j.Open())) {
		j.decide(j.left, c.ours(553, "5.6.7", c.host+" does not take mail with addresses or a header in other letters than ASCII (SMTPUTF8)"))
		return "", nil, false
	}
	fmt.Fprintf(&b, "MAIL FROM:<%s>", from)
	if c.has("SIZE") {
		fmt.Fprintf(&b, " SIZE=%d", j.Size)
	}
	body, ok := c.body(j)
	if !ok {
		j.decide(j.left, c.ours(554, "5.6.3", fmt.Sprintf("%s does not take messages of the kind %s, and this one cannot be converted", c.host, j.Body)))
		return "", nil, false
	}
	b.WriteString(body)
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

func (c *conn) maxSize() (n int64) {
	_, _ = fmt.Sscan(c.extensions["SIZE"], &n) // without a number there is no limit
	return n
}

// body is the BODY parameter; not ok when the server cannot take such a message.
func (c *conn) body(j *job) (param string, ok bool) {
	switch j.Body {
	case envelope.BodyBinary:
		return " BODY=BINARYMIME", c.has("BINARYMIME") && c.has("CHUNKING")
	case envelope.Body8Bit:
		if c.has("8BITMIME") {
			return " BODY=8BITMIME", true
		}
		return "", !has8Bit(j.Open())
	}
	return "", true
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

// envelope says whom the message is from and for. accepted are the recipients taken;
// open tells that DATA was granted already.
func (c *conn) envelope(j *job, mail string, rcpt map[int]string, to []int, chunking bool) (accepted []int, open bool, err error) {
	t := c.set.Timeouts
	pipelined := c.has("PIPELINING")
	if pipelined {
		var b strings.Builder
		b.WriteString(mail + "\r\n")
		for _, i := range to {
			b.WriteString(rcpt[i] + "\r\n")
		}
		if !chunking {
			b.WriteString("DATA\r\n")
		}
		if _, err := io.WriteString(c.w, b.String()); err != nil {
			return nil, false, err
		}
		if err := c.w.Flush(); err != nil {
			return nil, false, err
		}
	}
	ask := func(limit time.Duration, command string) (reply, error) {
		if pipelined {
			return c.read(limit)
		}
		return c.do(limit, "%s", command)
	}
	got, err := ask(t.Command, mail)
	if err != nil {
		return nil, false, fmt.Errorf("MAIL was not answered: %w", plain(err))
	}
	if gone(got) {
		return nil, false, &refusal{"to go on", got}
	}
	refused := !got.positive()
	if refused {
		j.decide(j.left, c.outcome("the sender", got))
		if !pipelined {
			return nil, false, nil
		}
	}
	for _, i := range to {
		got, err := ask(t.Command, rcpt[i])
		switch {
		case err != nil:
			return nil, false, fmt.Errorf("RCPT was not answered: %w", plain(err))
		case gone(got):
			return nil, false, &refusal{"to go on", got}
		case refused:
		case got.positive():
			accepted = append(accepted, i)
		case tooMany(got) && len(accepted) > 0: // another transaction
		default:
			j.decide([]int{i}, c.outcome("the recipient", got))
		}
	}
	if chunking || !pipelined && len(accepted) == 0 {
		return accepted, false, nil
	}
	got, err = ask(t.Data, "DATA")
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("DATA was not answered: %w", plain(err))
	case gone(got):
		return nil, false, &refusal{"to go on", got}
	case got.code == 354:
		return accepted, true, nil
	case got.code < 400:
		return nil, false, errReply
	}
	j.decide(accepted, c.outcome("the message", got))
	return nil, false, nil
}

// tooMany tells that a server takes no further recipient in this transaction (RFC 5321
// §4.5.3.1.10).
func tooMany(r reply) bool {
	return r.enhanced == "4.5.3" || r.code == 452 && r.enhanced == ""
}

// gone tells that the server closes the connection (RFC 5321 §3.8).
func gone(r reply) bool { return r.code == 421 }

// outcome is what a negative reply means for recipients.
func (c *conn) outcome(what string, r reply) Outcome {
	o := Outcome{State: Temporary, Code: r.code, Enhanced: r.enhanced, Reply: r.String(), Host: c.host}
	verb := "does not take"
	if r.permanent() {
		o.State, verb = Permanent, "refused"
	}
	if o.Enhanced == "" {
		o.Enhanced = fmt.Sprintf("%d.0.0", max(r.code/100, 4))
	}
	later := " for now"
	if o.State == Permanent {
		later = ""
	}
	o.Text = fmt.Sprintf("%s %s %s%s: %s", c.host, verb, what, later, o.Reply)
	return o
}

// errSource is a message that cannot be read here.
type errSource struct{ error }

// source tells failures of reading a message from those of sending it.
type source struct{ r io.Reader }

// Read implements io.Reader.
func (s source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = errSource{err}
	}
	return n, err
}

// sendData sends the message after DATA was granted.
func (c *conn) sendData(j *job, to []int) error {
	s := stuffer{w: c.w, last: '\n'}
	n, err := io.Copy(&s, source{j.Open()})
	if err == nil && n != j.Size {
		err = errSource{io.ErrUnexpectedEOF}
	}
	if err == nil {
		err = s.end()
	}
	if err == nil {
		// From the first byte of the end on it is unknown what the server does.
		err = c.w.Flush()
	}
	if err != nil {
		return c.interrupted(j, to, err)
	}
	got, err := c.read(c.set.Timeouts.Final)
	return c.final(j, to, got, err)
}

// chunk is how much is sent before the server is asked whether it goes on.
const chunk = 1 << 20

// sendChunks sends the message by BDAT (RFC 3030).
func (c *conn) sendChunks(j *job, to []int) error {
	r := source{j.Open()}
	for rest := j.Size; ; {
		n := min(rest, chunk)
		rest -= n
		last := ""
		if rest == 0 {
			last = " LAST"
		}
		_, err := fmt.Fprintf(c.w, "BDAT %d%s\r\n", n, last)
		if err == nil {
			_, err = io.CopyN(c.w, r, n)
			if errors.Is(err, io.EOF) {
				err = errSource{io.ErrUnexpectedEOF}
			}
		}
		if err == nil {
			err = c.w.Flush()
		}
		if err != nil {
			return c.interrupted(j, to, err)
		}
		got, err := c.read(c.set.Timeouts.Final)
		if rest == 0 {
			return c.final(j, to, got, err)
		}
		if err != nil {
			return fmt.Errorf("BDAT was not answered: %w", plain(err))
		}
		if !got.positive() {
			if gone(got) {
				return &refusal{"to go on", got}
			}
			j.decide(to, c.outcome("the message", got))
			return c.reset()
		}
	}
}

// interrupted is what comes of a message that was not sent to its end: the server has
// no reason to take it.
func (c *conn) interrupted(j *job, to []int, err error) error {
	if broken, ok := errors.AsType[errSource](err); ok {
		j.decide(to, Outcome{
			State: Temporary, Code: 451, Enhanced: "4.3.0",
			Text: "the message cannot be read from this server's store: " + broken.Error(),
		})
		return broken
	}
	// It may have said why it wants no more.
	const patience = time.Second
	if got, readErr := c.read(patience); readErr == nil && !got.positive() && !gone(got) && got.code >= 400 {
		j.decide(to, c.outcome("the message", got))
	}
	return fmt.Errorf("sending the message broke off: %w", plain(err))
}

// final is what comes of the reply to the whole message.
func (c *conn) final(j *job, to []int, got reply, err error) error {
	switch {
	case err != nil:
		// RFC 5321 §4.5.4.1: it may have taken the message all the same. It is tried
		// again later, not elsewhere at once.
		err = plain(err)
		j.decide(to, Outcome{
			State: Temporary, Code: 451, Enhanced: "4.4.2", Host: c.host,
			Text: fmt.Sprintf("%s had the whole message and did not say whether it took it (%v): it may arrive twice", c.host, err),
		})
		return err
	case got.positive():
		j.decide(to, Outcome{
			State: Sent, Code: got.code, Enhanced: got.enhanced, Reply: got.String(), Host: c.host, DSN: c.has("DSN"),
			Text: fmt.Sprintf("%s took the message: %s", c.host, got),
		})
		return nil
	case got.code < 400:
		j.decide(to, Outcome{
			State: Temporary, Code: 451, Enhanced: "4.5.0", Host: c.host, Reply: got.String(),
			Text: fmt.Sprintf("%s answered the message with something that makes no sense: %s", c.host, got),
		})
		return errReply
	}
	j.decide(to, c.outcome("the message", got))
	if gone(got) {
		return &refusal{"to go on", got}
	}
	return nil
}

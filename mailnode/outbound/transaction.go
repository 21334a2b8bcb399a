package outbound

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// job is a message under way: what is decided of its recipients, and who is left.
type job struct {
	*Message
	outcomes []Outcome
	left     []int // indices of recipients nothing is decided of

	shape   *shape // for the server that is spoken with
	recoded shapes
}

// decide notes what became of recipients.
func (j *job) decide(which []int, o Outcome) {
	for _, i := range which {
		j.outcomes[i] = o
	}
	j.left = without(j.left, which)
}

func without(list, gone []int) (rest []int) {
	const few = 4
	if len(gone) <= few {
		for _, i := range list {
			if !slices.Contains(gone, i) {
				rest = append(rest, i)
			}
		}
		return rest
	}
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

// transact gives the message of a run to the server for as many of the recipients left as
// fit in one transaction, and perhaps begins that of the next message. An error means that
// the connection can no longer be used and that those who are left may be tried elsewhere.
func (c *conn) transact(r *run) error {
	e := c.said
	c.said = nil
	if e == nil {
		if e = c.opening(r.job); e == nil {
			return nil // what cannot be asked of this server was decided
		}
		if c.has("PIPELINING") {
			if err := errors.Join(e.say(c.w), c.w.Flush()); err != nil {
				return err
			}
		}
	}
	accepted, open, err := c.answers(r.job, e)
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
	if e.chunking {
		return c.sendChunks(r, accepted)
	}
	return c.sendData(r, accepted)
}

func (c *conn) reset() error {
	got, err := c.do(c.set.Timeouts.Command, "RSET")
	if err == nil && !got.positive() {
		err = &refusal{"RSET", got}
	}
	return err
}

// opening is how a transaction begins: whom the message is from and for.
type opening struct {
	mail     string
	rcpt     map[int]string // by index of the recipient
	to       []int          // those asked for, in order
	chunking bool           // the message will follow without DATA
}

// opening makes the opening for as many of the recipients left as fit; nil when nobody can
// be asked for.
func (c *conn) opening(j *job) *opening {
	to := j.left[:min(len(j.left), c.limit("RCPTMAX", c.set.PerMessage))]
	mail, rcpt, ok := c.commands(j, to)
	if !ok {
		return nil
	}
	return &opening{mail: mail, rcpt: rcpt, to: without(to, without(to, j.left)), chunking: c.has("CHUNKING")}
}

// say says it in one group (RFC 2920 §3.1).
func (e *opening) say(w *bufio.Writer) error {
	for _, i := range append([]int{-1}, e.to...) {
		line := e.mail
		if i >= 0 {
			line = e.rcpt[i]
		}
		if _, err := w.WriteString(line); err != nil {
			return err
		}
		if _, err := w.WriteString("\r\n"); err != nil {
			return err
		}
	}
	if e.chunking {
		return nil
	}
	_, err := w.WriteString("DATA\r\n")
	return err
}

// answers hears what the server says to an opening, which is said one by one to a server
// that takes no groups. accepted are the recipients taken; open tells that DATA was granted
// already.
func (c *conn) answers(j *job, e *opening) (accepted []int, open bool, err error) {
	t := c.set.Timeouts
	pipelined := c.has("PIPELINING")
	ask := func(limit time.Duration, command string) (reply, error) {
		if pipelined {
			return c.read(limit)
		}
		return c.do(limit, "%s", command)
	}
	got, err := ask(t.Command, e.mail)
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
	for _, i := range e.to {
		got, err := ask(t.Command, e.rcpt[i])
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
	if e.chunking || !pipelined && len(accepted) == 0 {
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

// WriteTo implements io.WriterTo: what is in memory needs no buffer.
func (s source) WriteTo(w io.Writer) (int64, error) {
	from, ok := s.r.(*bytes.Reader)
	if !ok {
		return io.Copy(w, struct{ io.Reader }{s})
	}
	return from.WriteTo(w) // reading does not fail
}

// sendData sends the message after DATA was granted.
func (c *conn) sendData(r *run, to []int) error {
	j := r.job
	s := stuffer{w: c.w, last: '\n'}
	n, err := io.Copy(&s, source{j.shape.open()})
	if err == nil && n != j.shape.size {
		err = errSource{io.ErrUnexpectedEOF}
	}
	if err == nil {
		err = s.end()
	}
	if err == nil {
		err = c.begin(r, to)
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
func (c *conn) sendChunks(r *run, to []int) error {
	j := r.job
	body := source{j.shape.open()}
	for rest := j.shape.size; ; {
		n := min(rest, chunk)
		rest -= n
		last := ""
		if rest == 0 {
			last = " LAST"
		}
		_, err := fmt.Fprintf(c.w, "BDAT %d%s\r\n", n, last)
		if err == nil {
			_, err = io.CopyN(c.w, body, n)
			if errors.Is(err, io.EOF) {
				err = errSource{io.ErrUnexpectedEOF}
			}
		}
		if err == nil && rest == 0 {
			err = c.begin(r, to)
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

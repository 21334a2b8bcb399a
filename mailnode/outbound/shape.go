package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/recode"
)

// Signer signs messages of this server's users again, when what was signed had to be
// recoded.
type Signer interface {
	// Sign returns header lines for a message whose author is of a domain; none when nothing
	// is to be signed for it.
	Sign(ctx context.Context, domain string, message io.Reader) ([]byte, error)
	// Signed tells whether a field of a header is a signature of a domain; the name is in
	// lower case.
	Signed(domain, name string, value []byte) bool
}

// shape is a message as one server takes it.
type shape struct {
	body string // the parameter BODY of MAIL, with the blank before it; "" for none
	size int64
	open func() io.Reader
}

// shapes are the forms in which the message was needed so far.
type shapes struct {
	forms map[recode.Form]*shape
	// signed and sign are those of the Signer; nil when the message was not signed here.
	signed recode.Field
	sign   func(domain string, message io.Reader) ([]byte, error)
}

// newJob is a message of which nothing is decided.
func newJob(ctx context.Context, set *Settings, m *Message) *job {
	j := &job{Message: m, outcomes: make([]Outcome, len(m.To)), left: make([]int, len(m.To))}
	for i := range m.To {
		j.left[i] = i
	}
	if set.Signer != nil && m.Account != "" {
		j.recoded.signed = set.Signer.Signed
		j.recoded.sign = func(domain string, message io.Reader) ([]byte, error) { return set.Signer.Sign(ctx, domain, message) }
	}
	return j
}

// whole is the message as it is.
func (j *job) whole(body string) *shape { return &shape{body, j.Size, j.Open} }

// shape finds the shape for this server. The outcome says why there is none.
func (c *conn) shape(j *job) (*shape, *Outcome) {
	eight := c.has("8BITMIME")
	switch {
	case j.Body == envelope.BodyBinary && c.has("BINARYMIME") && c.has("CHUNKING"):
		return j.whole(" BODY=BINARYMIME"), nil
	case j.Body == envelope.BodyBinary && eight:
		return c.recoded(j, recode.EightBit, " BODY=8BITMIME")
	case j.Body == envelope.Body8Bit && eight:
		return j.whole(" BODY=8BITMIME"), nil
	case j.Body == envelope.BodyBinary, !eight && has8Bit(j.Open()):
		return c.recoded(j, recode.SevenBit, "")
	}
	return j.whole(""), nil
}

// recoded is the shape that a form has. It is made once for all servers.
func (c *conn) recoded(j *job, form recode.Form, body string) (*shape, *Outcome) {
	if j.recoded.forms[form] == nil {
		s, err := j.recode(form)
		unfit, ok := errors.AsType[*recode.Error](err)
		switch {
		case ok:
			lacks := "letters outside ASCII (8BITMIME)"
			if form == recode.EightBit {
				lacks = "binary messages (BINARYMIME)"
			}
			o := c.ours(554, "5.6.3", fmt.Sprintf("%s does not take %s, and this message cannot be converted: %s", c.host, lacks, unfit.Text))
			return nil, &o
		case err != nil:
			return nil, &Outcome{State: Temporary, Code: 451, Enhanced: "4.3.0", Text: "the message cannot be converted for " + c.host + ": " + err.Error()}
		}
		if j.recoded.forms == nil {
			j.recoded.forms = map[recode.Form]*shape{}
		}
		j.recoded.forms[form] = s
	}
	s := *j.recoded.forms[form]
	s.body = body
	return &s, nil
}

// recode makes another form of the message, and signs it when it was signed here.
func (j *job) recode(form recode.Form) (*shape, error) {
	r, err := recode.Message(j.Open, form, j.recoded.signed)
	switch {
	case err != nil:
		return nil, err
	case !r.Changed:
		return j.whole(""), nil
	}
	var size counter
	message := io.TeeReader(r.Open(), &size)
	var signature []byte
	if j.recoded.sign != nil && r.Author != "" {
		if signature, err = j.recoded.sign(r.Author, message); err != nil {
			return nil, err
		}
	}
	if _, err := io.Copy(io.Discard, message); err != nil { // what was not signed
		return nil, err
	}
	return &shape{size: int64(size) + int64(len(signature)), open: func() io.Reader {
		return io.MultiReader(bytes.NewReader(signature), r.Open())
	}}, nil
}

// counter counts what is written.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

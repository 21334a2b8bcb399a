package smtpd

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/milter"
)

// transaction is a message under way.
type transaction struct {
	env     envelope.Envelope
	size    int64   // as the peer announced it, 0 when it did not
	limits  []int64 // the largest message that each recipient takes
	discard bool    // a filter wants it forgotten
	accept  bool    // a filter has seen enough
	seen    bool    // the filter has seen all of it
	chunks  *spool  // of BDAT; nil before the first
	ends    lineEnds
	nul     bool

	marks    []string // what the message is to say of its peer
	author   string   // domain of the first author, of a user's message
	replaced []*spool // bodies that a filter has made
}

// mark notes what is thought of the peer by a recipient's domain.
func (t *transaction) mark(marks []string) {
	for _, m := range marks {
		if !slices.Contains(t.marks, m) {
			t.marks = append(t.marks, m)
		}
	}
}

func (t *transaction) close() {
	for _, sp := range t.replaced {
		sp.close()
	}
	t.replaced = nil
	if t.chunks != nil {
		t.chunks.close()
		t.chunks = nil
	}
}

// mail is MAIL (RFC 5321 §4.1.1.2).
func (s *session) mail(arg string) {
	switch {
	case s.helo == "":
		s.fault(helloFirst)
		return
	case s.tx != nil:
		s.fault(badSequence)
		return
	case s.kind.submits() && !s.trusted() && s.tls == nil && !s.base.Local():
		s.fault(tlsFirst)
		return
	case s.kind.submits() && !s.trusted():
		s.fault(signInFirst)
		return
	case s.set.Transactions > 0 && s.mails >= s.set.Transactions:
		s.end(tooManyMails)
		return
	}
	from, params, bad := s.path("FROM:", arg, badSender)
	if bad != nil {
		s.fault(*bad)
		return
	}
	if from.Domain == "" && from != (envelope.Address{}) {
		s.fault(badSender)
		return
	}
	tx := &transaction{env: envelope.Envelope{
		From: from.String(), Source: envelope.Source{Address: s.address(), Helo: printable(s.helo)},
	}}
	note := ""
	for _, p := range params {
		r, n := s.mailParam(tx, p)
		if r != nil {
			s.fault(*r)
			return
		}
		note += n
	}
	if !tx.env.UTF8 && !isASCII(arg) {
		s.fault(needUTF8)
		return
	}
	s.open(tx, from, params, note)
}

// open begins a transaction, if nobody minds.
func (s *session) open(tx *transaction, from envelope.Address, params []envelope.Param, note string) {
	if s.user != nil {
		tx.env.Account = s.user.Account.ID
		if from != (envelope.Address{}) && !s.srv.o.Senders.MaySend(&s.user.Account, from) {
			s.refuse(notYourAddress, nil)
			return
		}
	}
	if tx.size > s.set.MessageBytes {
		s.refuse(tooLarge, nil)
		return
	}
	if s.srv.o.Room != nil {
		if err := s.srv.o.Room(tx.size); err != nil {
			s.reject(err)
			return
		}
	}
	s.tx = tx
	if s.filter != nil {
		if !s.rule(s.filter.Mail(s.srv.ctx, tx.env.From, params)) {
			s.reset()
			return
		}
	}
	tx.env.ID = newTransactionID()
	s.mails++
	s.say(reply{250, "2.1.0", "The sender is taken" + note})
}

// rule does what a filter says of the message under way; false when it has answered.
func (s *session) rule(r milter.Ruling) bool {
	s.tx.accept = s.tx.accept || r.Accept
	s.tx.discard = s.tx.discard || r.Discard
	if r.Refusal != nil {
		s.refuse(refused(r.Refusal), nil)
		return false
	}
	return true
}

// path reads the argument of MAIL and RCPT. The blank that some send before the
// bracket does no harm.
func (s *session) path(word, arg string, malformed reply) (envelope.Address, []envelope.Param, *reply) {
	if len(arg) < len(word) || !strings.EqualFold(arg[:len(word)], word) {
		return envelope.Address{}, nil, &badSyntax
	}
	rest := strings.TrimLeft(arg[len(word):], " ")
	if !strings.HasPrefix(rest, "<") {
		return envelope.Address{}, nil, &badSyntax
	}
	address, rest, err := envelope.ParsePath(rest)
	if err != nil {
		if !isASCII(arg) && !s.utf8(arg) {
			return address, nil, &needUTF8
		}
		return address, nil, &malformed
	}
	params, err := envelope.ParseParams(rest)
	if err != nil {
		return address, nil, &badParameter
	}
	if len(params) > 0 && !s.extended {
		return address, nil, &noParameter
	}
	return address, params, nil
}

// utf8 reports whether the message is one with international addresses, arg being
// what comes with the command at hand.
func (s *session) utf8(arg string) bool {
	return s.tx != nil && s.tx.env.UTF8 || strings.Contains(strings.ToUpper(arg), " SMTPUTF8")
}

// mailParam reads a parameter of MAIL. note is for the reply.
func (s *session) mailParam(tx *transaction, p envelope.Param) (bad *reply, note string) {
	ok := p.Given
	switch p.Key {
	case "SIZE": // RFC 1870
		n, err := strconv.ParseUint(p.Value, 10, 63)
		tx.size, ok = int64(n), ok && err == nil && len(p.Value) <= 20
	case "BODY": // RFC 6152, RFC 3030
		tx.env.Body = envelope.Body(strings.ToUpper(p.Value))
		ok = tx.env.Body == envelope.Body7Bit || tx.env.Body == envelope.Body8Bit || tx.env.Body == envelope.BodyBinary
	case "SMTPUTF8": // RFC 6531
		tx.env.UTF8, ok = true, !p.Given
	case "RET": // RFC 3461 §4.3
		tx.env.Return = envelope.Return(strings.ToUpper(p.Value))
		ok = tx.env.Return == envelope.ReturnFull || tx.env.Return == envelope.ReturnHeaders
	case "ENVID": // RFC 3461 §4.4
		tx.env.EnvID, ok = p.Value, ok && len(p.Value) <= 100 && printableXtext(p.Value)
	case "REQUIRETLS": // RFC 8689
		if s.tls == nil {
			return &noParameter, ""
		}
		tx.env.RequireTLS, ok = true, !p.Given
	case "AUTH": // RFC 4954 §5: who signed in counts
		if !s.kind.submits() {
			return &noParameter, ""
		}
		ok = ok && len(p.Value) <= 500 && printableXtext(p.Value)
	case "HOLDFOR", "HOLDUNTIL":
		return s.hold(tx, p), ""
	case "MT-PRIORITY":
		return s.priority(tx, p)
	default:
		return &noParameter, ""
	}
	if !ok {
		return &badParameter, ""
	}
	return nil, ""
}

func printableXtext(s string) bool {
	text, err := envelope.DecodeXtext(s)
	return err == nil && text != "" && !strings.ContainsFunc(text, isControl)
}

// hold is RFC 4865.
func (s *session) hold(tx *transaction, p envelope.Param) *reply {
	if s.user == nil || s.set.MaxHold <= 0 {
		return &noParameter
	}
	now := time.Now()
	var until time.Time
	if p.Key == "HOLDFOR" {
		seconds, err := strconv.ParseUint(p.Value, 10, 31)
		if err != nil || len(p.Value) > 9 {
			return &badParameter
		}
		until = now.Add(time.Duration(seconds) * time.Second)
	} else {
		var err error
		if until, err = time.Parse(time.RFC3339, strings.ToUpper(p.Value)); err != nil {
			return &badParameter
		}
	}
	switch {
	case !tx.env.HoldUntil.IsZero():
		return &badParameter // both of them
	case until.After(now.Add(s.set.MaxHold)):
		return &longHold
	}
	tx.env.HoldUntil = until
	return nil
}

// priority is RFC 6710.
func (s *session) priority(tx *transaction, p envelope.Param) (bad *reply, note string) {
	if s.user == nil {
		return &noParameter, ""
	}
	n, err := strconv.Atoi(p.Value)
	if err != nil || n < -9 || n > 9 {
		return &badParameter, ""
	}
	if tx.env.Priority = envelope.Priority(n); tx.env.Priority > envelope.PriorityNormal {
		tx.env.Priority = envelope.PriorityNormal
		return nil, ", with the priority 0"
	}
	return nil, ""
}

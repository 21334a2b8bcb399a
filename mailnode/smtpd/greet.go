package smtpd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/milter"
)

// begin does what comes before the first command; false when the session is over.
func (s *session) begin() bool {
	if err := s.base.ReadProxy(proxyTimeout); err != nil {
		if errors.Is(err, gate.ErrNoProxy) {
			s.log().Warn("a proxy was not understood", "error", err)
			return false
		}
		s.say(reply{421, "4.3.2", sentence(err.Error())})
		return false
	}
	if s.kind == Submissions && (s.set.TLS == nil || !s.handshake()) {
		return false
	}
	return s.welcome()
}

// sentence begins with a capital letter.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// welcome asks what is thought of the peer, sees whether it waits for its turn, and
// greets it (RFC 5321 §3.1).
func (s *session) welcome() bool {
	opinion := make(chan Opinion, 1)
	if s.strange() {
		peer := s.peer()
		s.srv.sessions.Go(func() { opinion <- s.srv.o.Reputation.Connect(s.srv.ctx, peer) })
	} else {
		opinion <- Opinion{}
	}
	early, gone := s.talksEarly()
	o := <-opinion
	s.name = o.Name
	s.srv.pause(o.Delay)
	switch {
	case gone:
		return false
	case early:
		s.turnAway(earlyTalk)
		return false
	case o.Refusal != nil:
		s.turnAway(refused(o.Refusal))
		return false
	}
	if s.policy.Filter && s.srv.o.Filter != nil {
		var r milter.Ruling
		if s.filter, r = s.srv.o.Filter.Connect(s.srv.ctx, s.peer()); r.Refusal != nil {
			s.turnAway(refused(r.Refusal))
			return false
		} else if r.Accept {
			s.endFilter()
		}
	}
	s.print("220 " + s.set.Hostname + " " + map[bool]string{false: "ESMTP", true: "LMTP"}[s.kind == LMTP] + " Mailfleet")
	return true
}

func (s *session) endFilter() {
	if s.filter != nil {
		s.filter.Close()
		s.filter = nil
	}
}

// talksEarly waits whether the peer speaks before it is greeted, as programs do
// that send without listening.
func (s *session) talksEarly() (early, gone bool) {
	if s.policy.EarlyTalk <= 0 || s.kind == Submissions || s.base.IsFront() || s.trusted() || s.known() {
		return false, false
	}
	if s.base.Await(s.policy.EarlyTalk) != nil {
		return false, false // the greeting is followed by the farewell
	}
	err := s.in.fill()
	return err == nil, err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// turnAway answers a peer instead of greeting it; a greeting has but these two codes
// for that.
func (s *session) turnAway(r reply) {
	s.srv.Counters.Rejected.Add(1)
	if r.code < 500 {
		r.code = 421
	} else {
		r.code = 554
	}
	s.log().Info("turned away", "reply", r.String())
	s.end(r)
}

// hello is EHLO, HELO and, in LMTP, LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1).
func (s *session) hello(verb, arg string) {
	switch {
	case (verb == "LHLO") != (s.kind == LMTP):
		s.fault(unknownCommand)
		return
	case arg == "" || len(arg) > 255 || strings.ContainsAny(arg, " \t"):
		s.fault(reply{501, "5.5.2", "Say your domain or address"})
		return
	}
	s.reset()
	s.helo, s.extended = arg, verb != "HELO"
	if s.filter != nil {
		r := s.filter.Helo(s.srv.ctx, s.peer())
		if r.Refusal != nil {
			s.helo = ""
			s.refuse(refused(r.Refusal), nil)
			return
		}
		if r.Accept {
			s.endFilter()
		}
	}
	if s.idle++; s.idle > maxIdle {
		s.end(tooIdle)
		return
	}
	if !s.extended {
		s.print("250 " + s.set.Hostname)
		return
	}
	extensions := s.extensions()
	s.print("250-" + s.set.Hostname)
	for i, e := range extensions {
		s.print(map[bool]string{false: "250-", true: "250 "}[i == len(extensions)-1] + e)
	}
}

// extensions are what is offered now.
func (s *session) extensions() []string {
	list := []string{
		"PIPELINING", "8BITMIME", "SIZE " + strconv.FormatInt(s.set.MessageBytes, 10),
		"CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN",
	}
	if s.set.TLS != nil && s.tls == nil {
		list = append(list, "STARTTLS")
	}
	if s.tls != nil {
		list = append(list, "REQUIRETLS")
	}
	if s.kind.submits() && s.user == nil && s.srv.o.Auth != nil {
		if mechanisms := s.srv.o.Auth.Mechanisms(s.signer()); len(mechanisms) > 0 {
			list = append(list, "AUTH "+strings.Join(mechanisms, " "))
		}
	}
	if s.kind.submits() {
		list = append(list, "MT-PRIORITY")
		if s.set.MaxHold > 0 {
			until := time.Now().Add(s.set.MaxHold).UTC()
			list = append(list, fmt.Sprintf("FUTURERELEASE %d %s", int64(s.set.MaxHold/time.Second), until.Format(time.RFC3339)))
		}
	}
	limits := fmt.Sprintf("LIMITS RCPTMAX=%d", s.set.Recipients)
	if s.set.Transactions > 0 {
		limits += fmt.Sprintf(" MAILMAX=%d", s.set.Transactions)
	}
	list = append(list, limits)
	if s.base.IsFront() {
		list = append(list, "XCLIENT NAME ADDR PORT HELO LOGIN")
	}
	return append(list, "ENHANCEDSTATUSCODES")
}

// startTLS goes over to TLS; what was said before does not count (RFC 3207 §4.2).
func (s *session) startTLS(arg string) {
	switch {
	case s.tls != nil:
		s.fault(reply{503, "5.5.1", "TLS is on already"})
	case s.set.TLS == nil:
		s.fault(notOffered)
	case arg != "":
		s.fault(noArgument)
	case len(s.in.ahead()) > 0: // sent in the clear, to be taken for part of the TLS session
		s.end(reply{503, "5.5.1", "Nothing may follow STARTTLS before TLS begins"})
	default:
		s.say(readyTLS)
		if s.flush() != nil || !s.handshake() {
			s.over = true
			return
		}
		s.forget()
	}
}

// handshake puts TLS on the connection, as its server.
func (s *session) handshake() bool {
	if s.base.Engage(handshakeTimeout) != nil || s.base.SetWriteDeadline(time.Now().Add(handshakeTimeout)) != nil {
		return false
	}
	c := tls.Server(s.base, s.set.TLS)
	if err := c.HandshakeContext(s.srv.ctx); err != nil {
		s.log().Debug("TLS did not begin", "error", err)
		return false
	}
	state := c.ConnectionState()
	s.tls = &state
	s.base.Secured(state.Version)
	s.use(c)
	return true
}

// xclient lets a trusted front say whom it speaks for (Postfix's XCLIENT). The
// session begins anew, as that peer's.
func (s *session) xclient(arg string) {
	switch {
	case !s.base.IsFront():
		s.fault(notOffered)
		return
	case s.tx != nil:
		s.fault(badSequence)
		return
	}
	client, ok := parseClient(arg)
	if !ok {
		s.fault(badParameter)
		return
	}
	if client.address.IsValid() {
		if err := s.base.Readdress(net.TCPAddrFromAddrPort(client.address)); err != nil {
			s.end(reply{421, "4.3.2", sentence(err.Error())})
			return
		}
	}
	s.forget()
	s.endFilter()
	s.named = true
	if !s.welcome() {
		s.over = true
		return
	}
	if client.name != "" {
		s.name = client.name
	}
	s.helo = client.helo
}

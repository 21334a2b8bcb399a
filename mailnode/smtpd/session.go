package smtpd

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"

	"github.com/emersion/go-smtp"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/store"
)

// session is what go-smtp drives: one for each HELO or EHLO that comes first or
// after STARTTLS.
type session struct {
	srv   *Server
	guard *guard
	helo  string
	log   *slog.Logger

	begun    bool     // MAIL was accepted
	from     string   // reverse-path, "" for <>
	size     int64    // of the message as the peer announced it, 0 when it did not
	accounts []string // ids, one for each recipient
	most     int64    // largest message that all of them take
	to       string   // the first recipient
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	g, ok := c.Conn().(*guard)
	if !ok {
		return nil, errors.New("smtpd: a connection without a guard")
	}
	return &session{
		srv: s, guard: g, helo: c.Hostname(),
		log: s.log.With("cid", g.cid, "peer", g.RemoteAddr().String()),
	}, nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	switch {
	case s.begun:
		return badSequence.err()
	case from != "" && !wellFormed(from):
		return badSender.err()
	case opts.Size > s.guard.set.MessageBytes:
		return tooLarge.err()
	}
	if err := s.srv.mailboxes.Room(opts.Size); err != nil {
		return s.refused(storeReply(err), err)
	}
	s.begun, s.from, s.size = true, from, opts.Size
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if len(s.accounts) >= s.guard.set.Recipients {
		return s.refused(tooMany, nil)
	}
	if !wellFormed(to) {
		return s.refused(badRecipient, nil)
	}
	a, err := s.recipient(to)
	if err != nil {
		return s.refused(recipientReply(err), nil)
	}
	most := s.guard.set.MessageBytes
	if a.MessageBytes > 0 && a.MessageBytes < most {
		most = a.MessageBytes
	}
	switch {
	case s.size > most:
		return s.refused(tooLargeHere, nil)
	case len(s.accounts) == 0:
		s.most = most
	case most != s.most && s.size == 0: // one answer at the end could not be right for both
		return s.refused(apart, nil)
	}
	if err := s.srv.mailboxes.CanTake(a.ID, 1, s.size); errors.Is(err, store.ErrQuota) {
		return s.refused(mailboxFull, nil)
	} else if err != nil {
		return s.refused(localTrouble, err)
	}
	if len(s.accounts) == 0 {
		s.to = to
	}
	s.accounts, s.most = append(s.accounts, a.ID), min(s.most, most)
	return nil
}

// recipient finds the account for an address. The guard has completed <postmaster>
// with the server's name, whose domain need not be a local one.
func (s *session) recipient(to string) (directory.Account, error) {
	a, err := s.srv.recipients.Recipient(to)
	if errors.Is(err, directory.ErrNotLocal) && strings.EqualFold(to, "postmaster@"+s.guard.set.Hostname) {
		return s.srv.recipients.Recipient("postmaster")
	}
	return a, err
}

// Data implements smtp.Session: when it returns nil, the message is durable.
func (s *session) Data(r io.Reader) error {
	sp := &spool{dir: s.srv.spoolDir}
	defer sp.close()
	err := sp.fill(r, s.most)
	switch {
	case s.guard.ended != nil:
		return s.refused(*s.guard.ended, nil)
	case errors.Is(err, errTooLarge) && s.most < s.guard.set.MessageBytes:
		return s.refused(tooLargeHere, nil)
	case errors.Is(err, errTooLarge):
		return s.refused(tooLarge, nil)
	case errors.Is(err, syscall.ENOSPC):
		return s.refused(noSpace, err)
	case err != nil:
		return s.refused(localTrouble, err)
	}
	id := newTransactionID()
	trace := s.trace(id)
	size := int64(len(trace)) + sp.size
	receipts, err := s.srv.mailboxes.Deliver(s.srv.ctx, store.Delivery{
		Accounts: s.accounts,
		Prefix:   []byte(trace), // apart, so that equal messages are kept once
		Body:     sp.reader(),
		Size:     sp.size,
	})
	if err != nil {
		return s.refused(storeReply(err), err)
	}
	s.srv.Counters.Accepted.Add(1)
	s.srv.Counters.Delivered.Add(int64(len(receipts)))
	s.srv.Counters.Bytes.Add(size * int64(len(receipts)))
	s.log.Info("message received", "id", id, "from", s.from, "recipients", len(receipts), "bytes", size)
	return nil
}

// refused counts and logs a refusal; cause is for the operator, not for the peer.
func (s *session) refused(r reply, cause error) error {
	s.srv.Counters.Rejected.Add(1)
	if cause != nil {
		s.log.Error("mail is deferred", "reply", r.String(), "error", cause)
	} else {
		s.log.Info("refused", "reply", r.String(), "from", s.from)
	}
	return r.err()
}

// Reset implements smtp.Session.
func (s *session) Reset() {
	s.begun, s.from, s.size, s.accounts, s.most, s.to = false, "", 0, nil, 0, ""
}

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// wellFormed accepts what can stand in a header: go-smtp lets any byte into the
// domain, and the guard only printable ones.
func wellFormed(address string) bool {
	_, domain, _ := cutAddress(address)
	return domain != "" && len(address) <= maxAddress && !strings.ContainsAny(domain, "<>()\"\\,;@ \t")
}

// maxAddress is a local part and a domain of the lengths in RFC 5321 §4.5.3.1.
const maxAddress = 64 + 1 + 255

func cutAddress(address string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, "", false
	}
	return address[:at], address[at+1:], true
}

// path writes an address as a path, its local part quoted again where it must be:
// go-smtp takes the quotes off.
func path(address string) string {
	if address == "" {
		return "<>"
	}
	local, domain, _ := cutAddress(address)
	if local == "" || strings.ContainsAny(local, "()<>[]:;@\\,\" \t") || strings.HasPrefix(local, ".") ||
		strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	return fmt.Sprintf("<%s@%s>", local, domain)
}

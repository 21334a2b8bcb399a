package imapd

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
	"golang.org/x/text/unicode/norm"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

const (
	inbox = "INBOX"
	// others is where the mailboxes of other users are (RFC 2342), each below its
	// owner's address.
	others = "Other Users/"
)

// mailboxName reads a mailbox name (RFC 9051 §5.1): UTF-8 where it is enabled, modified
// UTF-7 otherwise.
func (s *session) mailboxName() (string, error) {
	name, err := s.r.AString()
	if err != nil {
		return "", err
	}
	return s.decodeName(name)
}

func (s *session) decodeName(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", refuse(imap.ResponseCodeCannot, "a mailbox name is not UTF-8")
	}
	ascii := strings.IndexFunc(name, func(c rune) bool { return c >= 0x80 }) < 0
	if !s.w.UTF8 && ascii {
		decoded, ok := wire.DecodeUTF7(name)
		if !ok {
			return "", refuse(imap.ResponseCodeCannot, "a mailbox name is not in modified UTF-7")
		}
		name = decoded
	}
	name = norm.NFC.String(name)
	if len(name) >= len(inbox) && strings.EqualFold(name[:len(inbox)], inbox) && (len(name) == len(inbox) || name[len(inbox)] == delimiter) {
		name = inbox + name[len(inbox):]
	}
	return name, nil
}

// spaceName reads a space and a mailbox name.
func (s *session) spaceName() (string, error) {
	if err := s.r.Space(); err != nil {
		return "", err
	}
	return s.mailboxName()
}

// target is a mailbox that a name leads to, and what the user may do with it.
type target struct {
	store.Mailbox
	place  store.Place
	name   string // as the user calls it
	rights rights
}

// owner splits a name into whose it is and what its owner calls it. ok is false when it
// is below others and there is no such user.
func (s *session) owner(name string) (account, own string, ok bool) {
	rest, shared := strings.CutPrefix(name, others)
	if !shared {
		return s.user.ID, name, true
	}
	address, own, _ := strings.Cut(rest, string(delimiter))
	a, ok := s.srv.accounts.Account(address)
	if !ok || own == "" || a.ID == s.user.ID {
		return "", "", false
	}
	return a.ID, own, true
}

// find looks a mailbox up. One the user may not know of is not there.
func (s *session) find(ctx context.Context, name string) (target, error) {
	return s.findBy(ctx, name, func(account, own string) (store.Mailbox, error) { return s.lookUp(ctx, account, own) })
}

// findBy is find with a way to look a mailbox up by its owner's name for it.
func (s *session) findBy(ctx context.Context, name string, lookUp func(account, own string) (store.Mailbox, error)) (target, error) {
	account, own, ok := s.owner(name)
	if !ok {
		return target{}, store.ErrNoMailbox
	}
	box, err := lookUp(account, own)
	if err != nil {
		if account == s.user.ID && name == inbox && errors.Is(err, store.ErrNoMailbox) {
			return s.firstInbox(ctx)
		}
		return target{}, err
	}
	t := target{Mailbox: box, place: store.Place{Account: account, Mailbox: box.ID}, name: name, rights: allRights}
	if account == s.user.ID {
		return t, nil
	}
	if t.rights, err = s.rightsOf(ctx, t.place, s.user.ID); err != nil {
		return target{}, err
	}
	if t.rights == "" {
		return target{}, store.ErrNoMailbox
	}
	return t, nil
}

// lookUp finds a mailbox by its owner's name for it. The inbox, where most messages
// go, is found without looking at names.
func (s *session) lookUp(ctx context.Context, account, own string) (store.Mailbox, error) {
	if own == inbox {
		return s.srv.store.Status(ctx, store.Place{Account: account, Mailbox: store.Inbox})
	}
	return s.srv.store.Find(ctx, account, own)
}

// firstInbox makes the account of a user who never got a message.
func (s *session) firstInbox(ctx context.Context) (target, error) {
	if err := s.srv.store.CreateAccount(ctx, s.user.ID); err != nil {
		return target{}, err
	}
	box, err := s.srv.store.Find(ctx, s.user.ID, inbox)
	return target{Mailbox: box, place: store.Place{Account: s.user.ID, Mailbox: box.ID}, name: inbox, rights: allRights}, err
}

// findWith is find for those who need rights.
func (s *session) findWith(ctx context.Context, name string, need rights) (target, error) {
	t, err := s.find(ctx, name)
	if err != nil {
		return t, err
	}
	return t, t.rights.need(need)
}

// findTarget is findWith for a mailbox that messages are put in: that it is missing
// is said with TRYCREATE.
func (s *session) findTarget(ctx context.Context, name string) (target, error) {
	t, err := s.findBy(ctx, name, func(account, own string) (store.Mailbox, error) {
		likely := store.MailboxID(0)
		if s.last.Account == account {
			likely = s.last.Mailbox
		}
		return s.srv.store.Target(account, own, likely)
	})
	if err == nil {
		s.last = t.place
		err = t.rights.need("i")
	}
	if errors.Is(err, store.ErrNoMailbox) {
		return t, refuse(imap.ResponseCodeTryCreate, "there is no such mailbox")
	}
	if err == nil && t.NoSelect {
		return t, refuse(imap.ResponseCodeTryCreate, "that is only a name")
	}
	return t, err
}

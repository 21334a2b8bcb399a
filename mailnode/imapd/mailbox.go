package imapd

import (
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// parentRights fails unless the user may create name in another's account: with the
// right k in the mailbox above it.
func (s *session) parentRights(account, own string) error {
	if account == s.user.ID {
		return nil
	}
	at := strings.LastIndexByte(own, delimiter)
	if at < 0 {
		return refuse(imap.ResponseCodeNoPerm, "you may not create mailboxes there")
	}
	box, err := s.srv.store.Find(s.srv.ctx, account, own[:at])
	if errors.Is(err, store.ErrNoMailbox) {
		return s.parentRights(account, own[:at])
	}
	if err != nil {
		return err
	}
	have, err := s.rightsOf(s.srv.ctx, store.Place{Account: account, Mailbox: box.ID}, s.user.ID)
	if err != nil {
		return err
	}
	return have.need("k")
}

// create is RFC 9051 §6.3.4 with RFC 6154's USE.
func (s *session) create(c *call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	var uses []string
	if s.r.Take(' ') {
		if err := s.r.List(func() error {
			if err := s.wantWord("USE"); err != nil {
				return err
			}
			if err := s.r.Space(); err != nil {
				return err
			}
			uses, err = s.r.Flags(false)
			return err
		}); err != nil {
			return err
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	use := ""
	switch len(uses) {
	case 0:
	case 1:
		if use = specialUse(uses[0]); use == "" {
			return refuse("USEATTR", "there is no such special use")
		}
	default:
		return refuse("USEATTR", "a mailbox has one special use")
	}
	account, own, ok := s.owner(strings.TrimSuffix(name, string(delimiter)))
	if !ok || own+string(delimiter) == others {
		return refuse(imap.ResponseCodeCannot, "no mailbox can be created there")
	}
	if err := s.parentRights(account, own); err != nil {
		return err
	}
	box, err := s.srv.store.CreateMailbox(s.srv.ctx, account, own, use)
	if err != nil {
		return err
	}
	c.code = "MAILBOXID (" + objectID('F', box.Object) + ")"
	return nil
}

// specialUse returns a special use in the spelling of RFC 6154 §2, "" when it is none
// that can be given.
func specialUse(name string) string {
	for _, use := range []imap.MailboxAttr{
		imap.MailboxAttrArchive, imap.MailboxAttrDrafts, imap.MailboxAttrJunk, imap.MailboxAttrSent, imap.MailboxAttrTrash,
	} {
		if equalFold(name, string(use)) {
			return string(use)
		}
	}
	return ""
}

// delete is RFC 9051 §6.3.5.
func (s *session) delete(*call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	t, err := s.findWith(s.srv.ctx, name, "x")
	if err != nil {
		return err
	}
	if t.Name == inbox {
		return refuse(imap.ResponseCodeCannot, "INBOX cannot be deleted")
	}
	if t.NoSelect {
		return refuse(imap.ResponseCodeHasChildren, "there are mailboxes below it")
	}
	if s.box != nil && s.box.place == t.place {
		s.deselect()
		s.untagged("CLOSED", "the mailbox is being deleted")
	}
	return s.srv.store.DeleteMailbox(s.srv.ctx, t.place.Account, t.Name)
}

// rename is RFC 9051 §6.3.6.
func (s *session) rename(*call) error {
	from, err := s.spaceName()
	if err != nil {
		return err
	}
	to, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	t, err := s.findWith(s.srv.ctx, from, "x")
	if err != nil {
		return err
	}
	account, own, ok := s.owner(strings.TrimSuffix(to, string(delimiter)))
	if !ok || account != t.place.Account || own+string(delimiter) == others {
		return refuse(imap.ResponseCodeCannot, "it cannot be given that name")
	}
	if err := s.parentRights(account, own); err != nil {
		return err
	}
	return s.srv.store.RenameMailbox(s.srv.ctx, account, t.Name, own)
}

// subscribe is SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7, §6.3.8).
func (s *session) subscribe(c *call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if name == "" || len(name) > 1000 {
		return refuse(imap.ResponseCodeCannot, "this cannot be the name of a mailbox")
	}
	return s.srv.store.Subscribe(s.srv.ctx, s.user.ID, name, c.name == "SUBSCRIBE")
}

// namespace is RFC 9051 §6.3.10.
func (s *session) namespace(*call) error {
	if err := s.end(); err != nil {
		return err
	}
	s.w.Raw(`* NAMESPACE (("" "/")) (("` + others + `" "/")) NIL`).CRLF()
	return nil
}

// statusItems are what STATUS can tell.
type statusItems uint16

const (
	statusMessages statusItems = 1 << iota
	statusRecent
	statusUIDNext
	statusUIDValidity
	statusUnseen
	statusDeleted
	statusSize
	statusAppendLimit
	statusDeletedStorage
	statusHighestModSeq
	statusMailboxID
)

var statusNames = []struct {
	name string
	item statusItems
}{
	{"MESSAGES", statusMessages}, {"RECENT", statusRecent}, {"UIDNEXT", statusUIDNext}, {"UIDVALIDITY", statusUIDValidity},
	{"UNSEEN", statusUnseen}, {"DELETED", statusDeleted}, {"SIZE", statusSize}, {"APPENDLIMIT", statusAppendLimit},
	{"DELETED-STORAGE", statusDeletedStorage}, {"HIGHESTMODSEQ", statusHighestModSeq}, {"MAILBOXID", statusMailboxID},
}

// readStatusItems reads the list of a STATUS.
func (s *session) readStatusItems() (items statusItems, err error) {
	return items, s.r.List(func() error {
		word, err := s.r.Word()
		if err != nil {
			return err
		}
		for _, n := range statusNames {
			if n.name == word {
				items |= n.item
				return nil
			}
		}
		return wire.Bad("STATUS has no item %.40s", word)
	})
}

// status is RFC 9051 §6.3.11.
func (s *session) status(*call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	items, err := s.readStatusItems()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	t, err := s.findWith(s.srv.ctx, name, "r")
	if err != nil {
		return err
	}
	if t.NoSelect {
		return refuse(imap.ResponseCodeNonExistent, "that is only a name")
	}
	s.tellStatus(name, &t.Mailbox, items)
	return nil
}

// tellStatus writes a STATUS response.
func (s *session) tellStatus(name string, m *store.Mailbox, items statusItems) {
	if items&statusHighestModSeq != 0 {
		s.condstore = true // RFC 7162 §3.1
	}
	s.w.Raw("* STATUS ").Mailbox(name).Raw(" (")
	first := true
	for _, n := range statusNames {
		if items&n.item == 0 {
			continue
		}
		if !first {
			s.w.Space()
		}
		first = false
		s.w.Raw(n.name).Space()
		switch n.item {
		case statusMailboxID:
			s.w.Raw("(" + objectID('F', m.Object) + ")")
		default:
			s.w.Num(s.statusValue(m, n.item))
		}
	}
	s.w.Raw(")\r\n")
}

func (s *session) statusValue(m *store.Mailbox, item statusItems) uint64 {
	switch item {
	case statusMessages:
		return m.Messages
	case statusUIDNext:
		return uint64(m.UIDNext)
	case statusUIDValidity:
		return uint64(m.UIDValidity)
	case statusUnseen:
		return m.Unseen
	case statusDeleted:
		return m.Deleted
	case statusSize:
		return m.Bytes
	case statusAppendLimit:
		return uint64(s.messageBytes())
	case statusDeletedStorage:
		return m.DeletedBytes
	case statusHighestModSeq:
		return m.HighestModSeq
	}
	return 0
}

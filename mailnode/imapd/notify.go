package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// happenings are events a client can ask for (RFC 5465 §5).
type happenings byte

const (
	messageNew happenings = 1 << iota
	messageExpunge
	flagChange
	mailboxName
	subscriptionChange
	mailboxMetadata
	serverMetadata
)

var happeningNames = map[string]happenings{
	"MESSAGENEW": messageNew, "MESSAGEEXPUNGE": messageExpunge, "FLAGCHANGE": flagChange,
	"MAILBOXNAME": mailboxName, "SUBSCRIPTIONCHANGE": subscriptionChange,
	"MAILBOXMETADATACHANGE": mailboxMetadata, "SERVERMETADATACHANGE": serverMetadata,
}

// unknownHappening is in the RFC and not here: it belongs to RFC 5257.
const unknownHappening = "ANNOTATIONCHANGE"

// filter names mailboxes (RFC 5465 §6) and what is told of them.
type filter struct {
	kind   string // SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE or MAILBOXES
	names  []string
	events happenings
	fetch  *wire.Fetch // what is told of new messages in the selected mailbox
}

// notify is what NOTIFY asked for.
type notify struct {
	selected *filter
	others   []filter
}

const maxFilters = 64

// notifySet is NOTIFY (RFC 5465 §3).
func (s *session) notifySet(*call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	word, err := s.r.Word()
	if err != nil {
		return err
	}
	n := &notify{}
	status := false
	switch word {
	case "NONE":
		n = nil
	case "SET":
		if status, err = s.readNotify(n); err != nil {
			return err
		}
	default:
		return wire.Bad("NOTIFY takes SET or NONE")
	}
	if err := s.end(); err != nil {
		return err
	}
	s.notify = n
	s.watchMailboxes()
	if status {
		return s.notifyStatus(n)
	}
	return nil
}

func (s *session) readNotify(n *notify) (status bool, err error) {
	for first := true; first || s.r.Is(' '); first = false {
		if err := s.r.Space(); err != nil {
			return false, err
		}
		if first && !s.r.Is('(') {
			if err := s.wantWord("STATUS"); err != nil {
				return false, err
			}
			status = true
			if err := s.r.Space(); err != nil {
				return false, err
			}
		}
		f, err := s.readFilter()
		if err != nil {
			return false, err
		}
		if len(n.others) == maxFilters {
			return false, refuse("NOTIFICATIONOVERFLOW", "too many mailboxes are named")
		}
		if f.kind == "SELECTED" || f.kind == "SELECTED-DELAYED" {
			if n.selected != nil {
				return false, wire.Bad("the selected mailbox is named twice")
			}
			n.selected = &f
		} else {
			n.others = append(n.others, f)
		}
	}
	return status, nil
}

func (s *session) readFilter() (f filter, err error) {
	if err := s.r.Want('('); err != nil {
		return f, err
	}
	if f.kind, err = s.r.Word(); err != nil {
		return f, err
	}
	if err := s.r.Space(); err != nil {
		return f, err
	}
	switch f.kind {
	case "SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED":
	case "SUBTREE", "MAILBOXES":
		if err := s.r.OneOrList(func() error {
			name, err := s.mailboxName()
			if err == nil && len(f.names) == maxFilters {
				err = refuse("NOTIFICATIONOVERFLOW", "too many mailboxes are named")
			}
			f.names = append(f.names, name)
			return err
		}); err != nil {
			return f, err
		}
		if err := s.r.Space(); err != nil {
			return f, err
		}
	default:
		return f, wire.Bad("NOTIFY has no filter %.40s", f.kind)
	}
	if !s.r.Is('(') {
		if err := s.wantWord("NONE"); err != nil {
			return f, err
		}
		return f, s.r.Want(')')
	}
	if err := s.r.List(func() error { return s.readHappening(&f) }); err != nil {
		return f, err
	}
	if f.events&messageNew != 0 != (f.events&messageExpunge != 0) || f.events&flagChange != 0 && f.events&messageNew == 0 {
		return f, wire.Bad("MessageNew, MessageExpunge and FlagChange do not stand alone") // RFC 5465 §5
	}
	if f.fetch != nil && f.kind != "SELECTED" && f.kind != "SELECTED-DELAYED" {
		return f, wire.Bad("only of the selected mailbox messages can be fetched")
	}
	return f, s.r.Want(')')
}

func (s *session) readHappening(f *filter) error {
	word, err := s.r.Word()
	if err != nil {
		return err
	}
	event, ok := happeningNames[word]
	switch {
	case word == unknownHappening:
		return refuse("BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)", "not all of these events are told")
	case !ok:
		return wire.Bad("NOTIFY has no event %.40s", word)
	}
	f.events |= event
	if event == messageNew && s.r.IsTwo(' ', '(') {
		if err := s.r.Space(); err != nil {
			return err
		}
		f.fetch, err = s.r.Fetch()
	}
	return err
}

// accounts are those in which the mailboxes are that are named.
func (n *notify) accounts(s *session) (accounts []string) {
	if len(n.others) > 0 {
		accounts = addName(accounts, s.user.ID)
	}
	for _, f := range n.others {
		for _, name := range f.names {
			if account, _, ok := s.owner(name); ok && len(accounts) < maxFilters {
				accounts = addName(accounts, account)
			}
		}
	}
	if n.selected != nil && s.box != nil {
		accounts = addName(accounts, s.box.place.Account)
	}
	return accounts
}

// notifySelected is called when another mailbox is selected.
func (s *session) notifySelected() {
	if s.notify != nil {
		s.watchMailboxes()
	}
}

// events are what is to be told of a mailbox that is not selected.
func (n *notify) events(s *session, name string, subscribed func(string) bool) (events happenings) {
	for _, f := range n.others {
		matches := false
		switch f.kind {
		case "INBOXES":
			matches = name == inbox
		case "PERSONAL":
			matches = !strings.HasPrefix(name, others)
		case "SUBSCRIBED":
			matches = subscribed(name)
		case "MAILBOXES":
			for _, one := range f.names {
				matches = matches || one == name
			}
		case "SUBTREE":
			for _, top := range f.names {
				matches = matches || one(name, top)
			}
		}
		if matches {
			return f.events // the first that names it counts
		}
	}
	return 0
}

// one reports whether name is top or below it.
func one(name, top string) bool {
	return name == top || strings.HasPrefix(name, top+string(delimiter))
}

// subscriptions answers which names are subscribed to; they are read at the first question.
func (s *session) subscriptions() func(string) bool {
	var names map[string]bool
	return func(name string) bool {
		if names == nil {
			names = map[string]bool{}
			list, err := s.srv.store.Subscriptions(s.srv.ctx, s.user.ID)
			if err != nil {
				s.log().Error("subscriptions cannot be read", "error", err)
			}
			for _, n := range list {
				names[n] = true
			}
		}
		return names[name]
	}
}

// statusOf are the STATUS items that events call for (RFC 5465 §5.1 to §5.3).
func (s *session) statusOf(events happenings) (items statusItems) {
	if events&messageNew != 0 {
		items |= statusMessages | statusUIDNext | statusUIDValidity
	}
	if events&flagChange != 0 {
		items |= statusUnseen
	}
	if items != 0 && s.condstore {
		items |= statusHighestModSeq
	}
	return items
}

// notifyStatus tells the state of the mailboxes that are named (RFC 5465 §3.1).
func (s *session) notifyStatus(n *notify) error {
	all, err := s.entries(&listing{})
	if err != nil {
		return err
	}
	subscribed := s.subscriptions()
	for i := range all {
		e := &all[i]
		if e.mailbox == nil || e.mailbox.NoSelect || !e.rights.has("r") || s.box != nil && s.box.name == e.name {
			continue
		}
		if items := s.statusOf(n.events(s, e.name, subscribed)); items != 0 {
			s.tellStatus(e.name, e.mailbox, items)
		}
	}
	return nil
}

// tellNotify tells of what happened.
func (s *session) tellNotify(all []happened) {
	subscribed := s.subscriptions()
	for _, h := range all {
		if h.lost {
			s.untagged("NOTIFICATIONOVERFLOW", "too much happened at once; look at all mailboxes again")
			if err := s.notifyStatus(s.notify); err != nil {
				s.log().Error("mailboxes cannot be read", "error", err)
			}
			continue
		}
		told := map[store.MailboxID]bool{}
		for _, e := range h.events {
			s.tellEvent(h.account, e, subscribed, told)
		}
	}
	if s.notify.selected != nil && s.box != nil && !s.idling {
		s.tellSelected()
	}
}

// tellSelected tells of the selected mailbox, of new messages what was asked for.
func (s *session) tellSelected() {
	f := s.notify.selected
	if err := s.ready(); err != nil {
		s.log().Warn("the selected mailbox cannot be read", "error", err)
		return
	}
	before := s.box.told
	s.update(f.kind == "SELECTED" && f.events&messageExpunge != 0)
	if s.over || f.fetch == nil || s.box.told == before {
		return
	}
	come := rangesOf(s.box.told.Since(before).Come)
	if err := s.sender(f.fetch, extent{told: s.box.told, now: s.box.open.View()}).sendAll(seqsOf(s.box.told, come)); err != nil {
		s.log().Warn("new messages were not told", "error", err)
	}
}

func (s *session) tellEvent(account string, e store.Event, subscribed func(string) bool, told map[store.MailboxID]bool) {
	switch e.Kind {
	case store.MessagesAdded, store.MessagesExpunged, store.FlagsChanged:
		place := store.Place{Account: account, Mailbox: e.Mailbox}
		if told[e.Mailbox] || s.box != nil && s.box.place == place {
			return
		}
		told[e.Mailbox] = true
		s.tellElsewhere(place, subscribed)
	case store.MailboxCreated, store.MailboxDeleted, store.MailboxRenamed:
		s.tellName(account, e, subscribed)
	case store.SubscriptionsChanged:
		if account == s.user.ID && s.notify.events(s, e.Name, subscribed)&subscriptionChange != 0 {
			s.tellSubscription(e.Name, subscribed(e.Name))
		}
	case store.MailboxChanged:
		if len(e.Entries) > 0 && (e.Owner == "" || e.Owner == s.user.ID) {
			s.tellEntries(account, e, subscribed)
		}
	}
}

// tellEntries tells which metadata changed (RFC 5465 §5.7 and §5.8, RFC 5464 §4.4.2).
func (s *session) tellEntries(account string, e store.Event, subscribed func(string) bool) {
	name := "" // the server's own, which are those of the account
	if e.Mailbox == 0 {
		wanted := func(f filter) bool { return f.events&serverMetadata != 0 }
		if account != s.user.ID || !slices.ContainsFunc(s.notify.others, wanted) {
			return
		}
	} else {
		var ok bool
		name, ok = s.visibleName(account, e.Name, store.Place{Account: account, Mailbox: e.Mailbox})
		if !ok || s.notify.events(s, name, subscribed)&mailboxMetadata == 0 {
			return
		}
	}
	s.w.Raw("* METADATA ").Mailbox(name)
	for _, entry := range e.Entries {
		s.w.Space().AString(entry)
	}
	s.w.CRLF()
}

// visibleName is what the user calls a mailbox; ok is false when he may not know.
func (s *session) visibleName(account, own string, place store.Place) (string, bool) {
	if account == s.user.ID {
		return own, true
	}
	owner, ok := s.srv.accounts.ByID(account)
	if !ok {
		return "", false
	}
	have, err := s.rightsOf(s.srv.ctx, place, s.user.ID)
	return others + owner.Address + string(delimiter) + own, err == nil && have.has("lr")
}

// tellElsewhere tells the state of a mailbox that is not selected.
func (s *session) tellElsewhere(place store.Place, subscribed func(string) bool) {
	box, err := s.srv.store.Status(s.srv.ctx, place)
	if err != nil {
		return // it is gone, which is told in its turn
	}
	name, ok := s.visibleName(place.Account, box.Name, place)
	if !ok {
		return
	}
	if items := s.statusOf(s.notify.events(s, name, subscribed)); items != 0 {
		s.tellStatus(name, &box, items)
	}
}

// tellName tells that a mailbox came, went or has another name (RFC 5465 §5.4).
func (s *session) tellName(account string, e store.Event, subscribed func(string) bool) {
	name, ok := s.visibleName(account, e.Name, store.Place{Account: account, Mailbox: e.Mailbox})
	if !ok || s.notify.events(s, name, subscribed)&mailboxName == 0 {
		return
	}
	attrs := []string{}
	if e.Kind == store.MailboxDeleted {
		attrs = append(attrs, string(imap.MailboxAttrNonExistent))
	}
	s.w.Raw("* LIST ").List(attrs).Raw(` "/" `).Mailbox(name)
	if e.Kind == store.MailboxRenamed {
		if old, ok := s.visibleName(account, e.OldName, store.Place{Account: account, Mailbox: e.Mailbox}); ok {
			s.w.Raw(` ("OLDNAME" (`).Mailbox(old).Raw("))")
		}
	}
	s.w.CRLF()
}

func (s *session) tellSubscription(name string, on bool) {
	attrs := []string{}
	if on {
		attrs = append(attrs, string(imap.MailboxAttrSubscribed))
	}
	s.w.Raw("* LIST ").List(attrs).Raw(` "/" `).Mailbox(name).CRLF()
}

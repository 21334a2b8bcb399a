package app

import (
	"cmp"
	"context"
	"slices"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/smtpd"
	"mailfleet/mailnode/store"
)

// gates are those of all faces, by the protocol that their connections count for.
func (a *App) gates() map[api.Protocol]*gate.Gate {
	return map[api.Protocol]*gate.Gate{
		api.SMTP: a.smtpd.Gate(smtpd.Receiving), api.Submission: a.smtpd.Gate(smtpd.Submission), api.LMTP: a.smtpd.Gate(smtpd.LMTP),
		api.POP3: a.pop3d.Gate, api.IMAP: a.imapd.Gate,
	}
}

// Sessions implements control.Node.
func (a *App) Sessions(q inventory.MailSessionQuery) inventory.MailSessionPage {
	list := a.chosen(&q)
	slices.SortFunc(list, func(a, b inventory.MailSession) int { return cmp.Compare(a.ID, b.ID) })
	page := inventory.MailSessionPage{Sessions: list, Total: len(list)}
	page.Sessions = slices.DeleteFunc(list, func(s inventory.MailSession) bool { return s.ID <= q.After })
	if len(page.Sessions) > q.Limit {
		page.Sessions, page.Next = page.Sessions[:q.Limit], page.Sessions[q.Limit-1].ID
	}
	return page
}

// chosen are the sessions that a query means, in no order.
func (a *App) chosen(q *inventory.MailSessionQuery) []inventory.MailSession {
	list := []inventory.MailSession{}
	for protocol, g := range a.gates() {
		for _, s := range g.Sessions() {
			s.Protocol = string(protocol)
			if q.Chooses(&s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// EndSession implements control.Node.
func (a *App) EndSession(id string) bool {
	for _, g := range a.gates() {
		if g.End(id) {
			return true
		}
	}
	return false
}

// EndSessions implements control.Node.
func (a *App) EndSessions(q inventory.MailSessionQuery) (ended int) {
	for _, s := range a.chosen(&q) {
		if a.EndSession(s.ID) {
			ended++
		}
	}
	return ended
}

// endUnwelcome ends the sessions of accounts that have gone, are suspended, or may
// not use the protocol any more.
func (a *App) endUnwelcome() {
	for _, s := range a.chosen(&inventory.MailSessionQuery{}) {
		if s.Account == "" {
			continue
		}
		account, there := a.directory.ByID(string(s.Account))
		if there && !account.Suspended && account.May(api.Protocol(s.Protocol).Feature()) {
			continue
		}
		if a.EndSession(s.ID) {
			a.log.Info("a session was ended: its account may not use it any more", "account", string(s.Account), "protocol", s.Protocol, "cid", s.ID)
		}
	}
}

// quota is what an account may hold.
func (a *App) quota(account string) store.Quota {
	of, _ := a.directory.ByID(account)
	return store.Quota{Bytes: of.QuotaBytes, Messages: of.QuotaMessages}
}

// Mailboxes implements control.Node.
func (a *App) Mailboxes(ctx context.Context, account inventory.ID) (inventory.Mailboxes, error) {
	holds, err := a.store.Account(ctx, string(account))
	if err != nil {
		return inventory.Mailboxes{}, err
	}
	boxes, err := a.store.Mailboxes(ctx, string(account))
	if err != nil {
		return inventory.Mailboxes{}, err
	}
	names, err := a.store.Subscriptions(ctx, string(account))
	if err != nil {
		return inventory.Mailboxes{}, err
	}
	subscribed := make(map[string]bool, len(names))
	for _, name := range names {
		subscribed[name] = true
	}
	if _, here := a.directory.ByID(string(account)); here && !slices.ContainsFunc(boxes, func(m store.Mailbox) bool { return m.ID == store.Inbox }) {
		boxes = append([]store.Mailbox{{ID: store.Inbox, Name: "INBOX"}}, boxes...) // every account has one, before anything is in it (RFC 9051 §5.1)
	}
	all := inventory.Mailboxes{Bytes: holds.Usage.Bytes, Messages: holds.Usage.Messages, Mailboxes: []inventory.Mailbox{}}
	for _, m := range boxes {
		if m.NoSelect {
			continue
		}
		all.Mailboxes = append(all.Mailboxes, inventory.Mailbox{
			Name: m.Name, Use: m.Use, Messages: int(m.Messages), Unseen: int(m.Unseen), Deleted: int(m.Deleted), Bytes: int64(m.Bytes),
			Subscribed: subscribed[m.Name],
		})
	}
	return all, nil
}

// SignIns implements control.Node.
func (a *App) SignIns(account inventory.ID) []inventory.MailSignIn {
	return a.history.List(string(account))
}

// rows is a table of the store as history keeps its records in.
type rows struct {
	store.Table
	s *store.Store
}

// Put implements history.Table.
func (r rows) Put(ctx context.Context, values map[string][]byte) error {
	return r.s.Update(ctx, nil, func(tx *store.Tx) error {
		for key, value := range values {
			if err := tx.Set(r.Table, []byte(key), value); err != nil {
				return err
			}
		}
		return nil
	})
}

package app

import (
	"cmp"
	"context"
	"slices"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/store"
)

// gates are those of all faces, by the protocol that their connections count for.
func (a *App) gates() map[api.Protocol]*gate.Gate {
	return map[api.Protocol]*gate.Gate{api.SMTP: a.smtpd.Gate, api.POP3: a.pop3d.Gate, api.IMAP: a.imapd.Gate}
}

// Sessions implements control.Node.
func (a *App) Sessions(q inventory.MailSessionQuery) inventory.MailSessionPage {
	list := []inventory.MailSession{}
	for protocol, g := range a.gates() {
		if q.Protocol != "" && q.Protocol != string(protocol) {
			continue
		}
		for _, s := range g.Sessions(q.Account) {
			s.Protocol = string(protocol)
			if s.ID > q.After {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, func(a, b inventory.MailSession) int { return cmp.Compare(a.ID, b.ID) })
	page := inventory.MailSessionPage{Sessions: list}
	if len(list) > q.Limit {
		page.Sessions, page.Next = list[:q.Limit], list[q.Limit-1].ID
	}
	return page
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
func (a *App) EndSessions(account inventory.ID) (ended int) {
	for _, g := range a.gates() {
		ended += g.EndAccount(account)
	}
	return ended
}

// SignIns implements control.Node.
func (a *App) SignIns(account inventory.ID) []inventory.SignIn {
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

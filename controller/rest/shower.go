package rest

import (
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// shower shows changed things as GET would, on one snapshot.
type shower struct {
	s     *Server
	tx    inventory.Tx
	audit map[inventory.ID]*inventory.AuditEntry // the newest entries, once they are needed
}

// resource is the thing of a change as it is now; nil when it is gone since.
func (w *shower) resource(e inventory.Event) (any, error) {
	switch e.Kind {
	case inventory.Servers:
		server, err := w.tx.Servers().Get(e.ID)
		if err != nil {
			return gone(server, err)
		}
		shown, err := w.s.showServers(w.tx, server)
		if err != nil {
			return nil, err
		}
		return shown[0], nil
	case inventory.Services:
		return gone(w.tx.Services().Get(e.ID))
	case inventory.Preflights:
		p, err := w.tx.Preflights().Get(e.ID)
		if err != nil {
			return gone(p, err)
		}
		return showPreflight(w.tx, p)
	case inventory.Operations:
		return gone(w.tx.Operations().Get(e.ID))
	case inventory.Rules:
		return gone(w.tx.Rules().Get(e.ID))
	case inventory.Contacts:
		return gone(w.tx.Contacts().Get(e.ID))
	case inventory.Alerts:
		return gone(w.tx.Alerts().Get(e.ID))
	case inventory.SMSes:
		return gone(w.tx.SMS().Get(e.ID))
	case inventory.Domains:
		return gone(w.tx.Domains().Get(e.ID))
	case inventory.Accounts:
		return gone(w.tx.Accounts().Get(e.ID))
	case inventory.People:
		return gone(w.tx.People().Get(e.ID))
	case inventory.Tokens:
		return gone(w.tx.Tokens().Get(e.ID))
	case inventory.Tenants:
		return gone(w.tx.Tenants().Get(e.ID))
	case inventory.Plans:
		return gone(w.tx.Plans().Get(e.ID))
	case inventory.Pools:
		return gone(w.tx.Pools().Get(e.ID))
	case inventory.Windows:
		return gone(w.tx.Windows().Get(e.ID))
	case inventory.Audit:
		return w.entry(e.ID)
	default:
		return nil, nil
	}
}

// gone makes a thing that was deleted since no thing, and no error.
func gone[R inventory.Record](r R, err error) (any, error) {
	if inventory.Is(err, inventory.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// entry finds an audit entry among the newest: the log has no other way in.
func (w *shower) entry(id inventory.ID) (any, error) {
	if w.audit == nil {
		entries, _, err := w.tx.Audit().List(inventory.Query{Newest: true, Limit: 2 * feedBatch})
		if err != nil {
			return nil, err
		}
		w.audit = make(map[inventory.ID]*inventory.AuditEntry, len(entries))
		for _, e := range entries {
			w.audit[e.ID] = e
		}
	}
	if e, ok := w.audit[id]; ok {
		return e, nil
	}
	return nil, nil
}

// lay is where a thing that is gone lay, as the newest audit entry about it
// says; nothing when there is none, which only the fleet's readers see.
func (w *shower) lay(e inventory.Event) ([]inventory.Scope, error) {
	if e.Kind == inventory.Audit || !auth.Scoped(e.Kind) {
		return nil, nil
	}
	entries, _, err := w.tx.Audit().List(inventory.Query{Newest: true, Limit: 1, Where: map[string][]string{"target": {string(e.ID)}}})
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	return entries[0].Scope, nil
}

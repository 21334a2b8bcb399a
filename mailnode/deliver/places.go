package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// Directory says whose mail an address's is; directory.Directory is one.
type Directory interface {
	Resolve(address string, from directory.Sender) (directory.Route, error)
	Domain(name string) (*api.Domain, bool)
}

// Places says where mail for addresses of this server goes. It is the queue.Local.
type Places struct {
	Store     *store.Store
	Directory Directory
	// Rewrite makes the reverse-path of what is forwarded outside on behalf of an address of
	// the fleet (SRS); nil: it stays.
	Rewrite func(from, via string) (string, error)
	// Reverse is whom mail for a rewritten reverse-path is really for; not ok: the address is
	// none. May be nil.
	Reverse func(address string) (original string, ok bool)
	// Server is how another server of the fleet is reached; nil or a nil result: not now.
	Server func(name string) *outbound.Route
	Junk   string // name of the mailbox for quarantined mail; "" is Junk
	Logger *slog.Logger
}

// Here implements queue.Local. Mail without a domain is for this server's postmaster.
func (p *Places) Here(domain string) bool {
	if domain == "" {
		return true
	}
	_, ok := p.Directory.Domain(domain)
	return ok
}

// Place implements queue.Local.
func (p *Places) Place(e *envelope.Envelope, to envelope.Recipient) (queue.Placed, error) {
	placed, err := p.find(e, to)
	if err != nil {
		return placed, refused(to.Address, err)
	}
	return placed, nil
}

// find is Place with the directory's own errors.
func (p *Places) find(e *envelope.Envelope, to envelope.Recipient) (queue.Placed, error) {
	var placed queue.Placed
	if p.Reverse != nil {
		if original, ok := p.Reverse(to.Address); ok {
			to.Address = original
			placed.Onward = []queue.To{{Recipient: to}}
			return placed, nil
		}
	}
	route, err := p.Directory.Resolve(to.Address, directory.Sender{Address: e.From, Account: e.Account})
	if err != nil {
		return placed, describe(to.Address, err)
	}
	placed.Expanded = len(route.Targets) > 1
	for i := range route.Targets {
		t := &route.Targets[i]
		if t.Account != nil {
			placed.Into = append(placed.Into, p.mailbox(t.Account.ID, e))
			continue
		}
		onward, err := p.onward(e, to, t, placed.Expanded)
		if err != nil {
			return placed, err
		}
		placed.Onward = append(placed.Onward, onward)
	}
	return placed, nil
}

// mailbox is where an account's mail goes.
func (p *Places) mailbox(account string, e *envelope.Envelope) store.Place {
	place := store.Place{Account: account, Mailbox: store.Inbox}
	if e.Quarantine == "" {
		return place
	}
	m, err := p.Store.Find(context.Background(), account, cmp.Or(p.Junk, "Junk"))
	switch {
	case err == nil && !m.NoSelect:
		place.Mailbox = m.ID
	case err != nil && !errors.Is(err, store.ErrNoMailbox) && !errors.Is(err, store.ErrNoAccount):
		p.Logger.Warn("the mailbox for quarantined mail is not found: it goes into the inbox", "account", account, "error", err)
	}
	return place
}

// onward is a recipient who is reached by way of an address of this server.
func (p *Places) onward(e *envelope.Envelope, to envelope.Recipient, t *directory.Target, many bool) (queue.To, error) {
	next := queue.To{Recipient: envelope.Recipient{Address: t.Address, Original: to.Original, Notify: to.Notify}}
	if next.Original == "" {
		next.Original = "rfc822;" + envelope.EncodeXtext(to.Address)
	}
	if many && to.Notify&envelope.NotifySuccess != 0 {
		// That the list has it was the success asked for (RFC 3461 §5.2.7.3).
		if next.Notify &^= envelope.NotifySuccess; next.Notify == 0 {
			next.Notify = envelope.NotifyNever
		}
	}
	if t.Server != "" {
		if p.Server != nil {
			next.Route = p.Server(t.Server)
		}
		if next.Route == nil {
			return next, fmt.Errorf("the server %s, which has the mailbox of %s, cannot be reached from here", t.Server, t.Address)
		}
	}
	if t.Via == "" || e.From == "" || p.Rewrite == nil {
		return next, nil
	}
	from, err := p.Rewrite(e.From, t.Via)
	if err != nil {
		return next, describe(to.Address, err)
	}
	if from != e.From {
		next.From = from
	}
	return next, nil
}

// refused turns the directory's errors into outcomes.
func refused(address string, err error) error {
	o := outbound.Outcome{State: outbound.Permanent, Code: 550}
	switch {
	case errors.Is(err, directory.ErrUnknown), errors.Is(err, directory.ErrNotLocal):
		o.Enhanced, o.Text = "5.1.1", "there is no such address here"
	case errors.Is(err, directory.ErrSuspended):
		o.Enhanced, o.Text = "5.2.1", "the account is suspended"
	case errors.Is(err, directory.ErrNotAllowed):
		o.Enhanced, o.Text = "5.7.2", "the group does not take mail from this sender"
	case errors.Is(err, directory.ErrTooMany):
		o.Enhanced, o.Text = "5.4.6", "the address leads to too many others"
	case errors.Is(err, directory.ErrNoPostmaster):
		o.Enhanced, o.Text = "5.1.1", "nobody gets the mail for this address"
	default:
		return describe(address, err)
	}
	return &queue.Refused{Outcome: o}
}

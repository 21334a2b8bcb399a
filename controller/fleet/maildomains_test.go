package fleet

import (
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
)

// desired waits for a document in which seen finds what it looks for.
func (w *world) desired(agent *api.Client, seen func(api.Desired) bool) api.Desired {
	w.t.Helper()
	var d api.Desired
	for !seen(d) {
		next, ok, err := agent.Desired(w.t.Context(), d.Index, time.Minute)
		if err != nil || !ok {
			w.t.Fatalf("what is looked for does not arrive: %+v, %v", d.Mail, err)
		}
		d = next
	}
	return d
}

// Every mailnode knows the domains with their secrets, the groups, and where the
// accounts of the others are.
func TestDesiredMail(t *testing.T) {
	w := newWorld(t)
	w.run()
	first, second := w.add("mail1"), w.add("mail2")
	agent, _ := w.connect(first, "mail1")
	domain := &inventory.Domain{Name: "example.test", Limits: inventory.Limits{MessageSize: 77}}
	hook := inventory.NewID()
	here := &inventory.Account{Address: "a@example.test", Domain: "example.test", Server: first, State: inventory.AccountActive,
		Aliases: []string{"aa@example.test"}, Forward: inventory.Forward{To: []string{"x@elsewhere.test"}, Keep: true}, Language: "en"}
	away := &inventory.Account{Address: "b@example.test", Domain: "example.test", Server: second, State: inventory.AccountActive, Aliases: []string{"bb@example.test"}}
	w.update(func(tx inventory.Tx) error {
		domain.ID = inventory.NewID()
		domain.Mail = inventory.DomainMail{CatchAll: "a@example.test", Route: inventory.Route{Host: "relay.test", User: "u", HasPassword: true}, Hooks: []inventory.Hook{{ID: hook, URL: "https://h.test/"}}}
		domain.RoutePassword = w.fleet.opts.Seal.Seal(seal.RoutePassword(domain.ID), []byte("route's"))
		domain.HookSecrets = map[inventory.ID][]byte{hook: w.fleet.opts.Seal.Seal(seal.HookSecret(hook), []byte("hook's"))}
		for _, err := range []error{
			tx.Domains().Create(domain), tx.Accounts().Create(here), tx.Accounts().Create(away),
			tx.Groups().Create(&inventory.Group{Address: "g@example.test", Domain: "example.test", Members: []string{"b@example.test"}, Writers: inventory.WritersAnyone}),
			tx.DKIMKeys().Create(&inventory.DKIMKey{Domain: "example.test", Selector: "s", State: string(domainkey.Active), Private: w.fleet.opts.Seal.Seal(seal.DKIMKey("example.test", "s"), []byte("PEM"))}),
			tx.DKIMKeys().Create(&inventory.DKIMKey{Domain: "example.test", Selector: "t", State: string(domainkey.Next), Private: []byte{1}}),
			tx.People().Create(&inventory.Person{Name: "admin", Email: "B@example.test", Role: inventory.RoleDomainAdmin, Scope: []inventory.Scope{inventory.ScopeDomain("example.test")}}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	d := w.desired(agent, func(d api.Desired) bool { return len(d.Mail.Homes) == 2 && len(d.Mail.Domains) == 1 })
	of := d.Mail.Domains[0]
	if of.Postmaster != "b@example.test" || of.MessageSize != 77 || of.RoutePassword != "route's" || of.HookSecrets[hook] != "hook's" ||
		len(of.DKIM) != 1 || of.DKIM[0] != (api.DesiredDKIM{Selector: "s", Private: "PEM"}) || of.Mail.CatchAll != "a@example.test" {
		t.Errorf("domain %+v", of)
	}
	if a := d.Mail.Accounts[0]; len(a.Aliases) != 1 || !a.Forward.Keep || a.Language != "en" {
		t.Errorf("account %+v", a)
	}
	if len(d.Mail.Groups) != 1 || len(d.Mail.Peers) != 2 || d.Mail.Peers[1] != (api.DesiredPeer{Name: "mail2", Address: "127.0.0.1:25"}) {
		t.Errorf("groups %+v, peers %+v", d.Mail.Groups, d.Mail.Peers)
	}
	if h := d.Mail.Homes[1]; h.Address != "b@example.test" || h.Server != "mail2" || h.Aliases[0] != "bb@example.test" || h.Suspended {
		t.Errorf("home %+v", h)
	}
	w.update(func(tx inventory.Tx) error {
		away.State = inventory.AccountSuspended
		return tx.Accounts().Update(away)
	})
	w.desired(agent, func(d api.Desired) bool { return len(d.Mail.Homes) == 2 && d.Mail.Homes[1].Suspended })
	w.update(func(tx inventory.Tx) error { return tx.Accounts().Delete(away.ID) })
	w.desired(agent, func(d api.Desired) bool { return len(d.Mail.Homes) == 1 })
	w.update(func(tx inventory.Tx) error { return tx.Services().Delete(w.service(second).ID) })
	w.desired(agent, func(d api.Desired) bool { return d.Mail.Homes == nil && d.Mail.Peers == nil })
}

package rest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mailfleet/controller/api"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
)

// noDNS is a resolver without a network.
var noDNS = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("there is no network")
}}

// problem is the refusal that an error is.
func problem(t *testing.T, err error) *api.Problem {
	t.Helper()
	p, ok := errors.AsType[*api.Problem](err)
	if !ok {
		t.Fatalf("got %v, not a refusal", err)
	}
	return p
}

func TestADomainsMail(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	f.upServer("mail-1")
	d, err := f.client.CreateDomain(ctx, api.NewDomain{Name: "a.test"})
	f.ok(err)
	_, err = f.client.CreateAccount(ctx, api.NewAccount{Address: "user@a.test", Password: "correct horse", Aliases: []string{"Other@a.test"}})
	f.ok(err)
	secret := "relay's password"
	set, err := f.client.SetDomainMail(ctx, "a.test", d.Version, api.NewDomainMail{
		DomainMail:    inventory.DomainMail{CatchAll: "OTHER@a.test", Route: inventory.Route{Host: "relay.test", User: "u"}},
		RoutePassword: &secret,
	})
	f.ok(err)
	if set.Mail.CatchAll != "other@a.test" || !set.Mail.Route.HasPassword {
		t.Errorf("got %+v", set.Mail)
	}
	f.ok(f.store.View(ctx, func(tx inventory.Tx) error {
		kept, err := tx.Domains().Get(d.ID)
		f.ok(err)
		password, err := f.server.Seal.Unseal(seal.RoutePassword(d.ID), kept.RoutePassword)
		if string(password) != secret || strings.Contains(string(kept.RoutePassword), secret) {
			t.Errorf("kept %q, %v", kept.RoutePassword, err)
		}
		return nil
	}))
	// Another host is not sent the password of the first.
	set, err = f.client.SetDomainMail(ctx, "a.test", 0, api.NewDomainMail{DomainMail: inventory.DomainMail{Route: inventory.Route{Host: "other.test", User: "u"}}})
	if err != nil || set.Mail.Route.HasPassword || set.Mail.CatchAll != "" {
		t.Errorf("got %+v, %v", set.Mail, err)
	}
	for field, mail := range map[string]inventory.DomainMail{
		"body.catch_all": {CatchAll: "nobody@a.test"}, "body.route.host": {Route: inventory.Route{Port: 25}}, "body.delimiter": {Delimiter: "ab"},
	} {
		_, err := f.client.SetDomainMail(ctx, "a.test", 0, api.NewDomainMail{DomainMail: mail})
		if p := problem(t, err); p.Status != http.StatusUnprocessableEntity || len(p.Errors) == 0 || p.Errors[0].Location != field {
			t.Errorf("%s: got %+v", field, p)
		}
	}
	hook, err := f.client.CreateHook(ctx, "a.test", api.NewHook{URL: "https://h.test/", Events: []string{"bounced"}})
	f.ok(err)
	if now, err := f.client.Domain(ctx, "a.test"); err != nil || len(now.Mail.Hooks) != 1 || now.Mail.Hooks[0].URL != hook.URL || len(hook.Secret) < 16 {
		t.Errorf("got %+v, %v", now.Mail, err)
	}
	if set, err = f.client.SetDomainMail(ctx, "a.test", 0, api.NewDomainMail{}); err != nil || len(set.Mail.Hooks) != 1 {
		t.Errorf("the hook is gone: %+v, %v", set.Mail, err)
	}
	f.ok(f.client.DeleteHook(ctx, "a.test", hook.ID))
	if p := problem(t, f.client.DeleteHook(ctx, "a.test", hook.ID)); p.Status != http.StatusNotFound {
		t.Errorf("got %v", p)
	}
}

// An address is one account's, one alias's or one group's.
func TestAddressesAreTakenOnce(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	f.upServer("mail-1")
	_, err := f.client.CreateDomain(ctx, api.NewDomain{Name: "a.test"})
	f.ok(err)
	account := func(address string, aliases ...string) error {
		_, err := f.client.CreateAccount(ctx, api.NewAccount{Address: address, Password: "correct horse", Aliases: aliases})
		return err
	}
	group := func(address string, members ...string) error {
		_, err := f.client.CreateGroup(ctx, api.NewGroup{Address: address, Members: members})
		return err
	}
	f.ok(account("user@a.test", "alias@a.test"))
	f.ok(group("Group@a.test", "USER@a.test", "user@a.test"))
	for name, err := range map[string]error{
		"account, account": account("user@a.test"), "account, alias": account("alias@a.test"), "account, group": account("group@a.test"),
		"alias, account": account("b@a.test", "user@a.test"), "alias, alias": account("b@a.test", "alias@a.test"), "alias, group": account("b@a.test", "group@a.test"),
		"group, account": group("user@a.test", "x@b.test"), "group, alias": group("alias@a.test", "x@b.test"), "group, group": group("group@a.test", "x@b.test"),
	} {
		if p := problem(t, err); p.Status != http.StatusConflict {
			t.Errorf("%s: got %v", name, p)
		}
	}
	for name, err := range map[string]error{
		"quoted": account(`"a b"@a.test`), "alias elsewhere": account("c@a.test", "c@elsewhere.test"),
		"group of itself": group("g@a.test", "g@a.test"), "group of nobody": group("g@a.test"),
	} {
		if p := problem(t, err); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: got %v", name, p)
		}
	}
	g, err := f.client.Group(ctx, "group@a.test")
	if err != nil || !slices.Equal(g.Members, []string{"user@a.test"}) || g.Writers != inventory.WritersAnyone {
		t.Errorf("got %+v, %v", g, err)
	}
	// What was one's own can be kept, and given up for somebody else.
	a, err := f.client.ChangeAccount(ctx, "user@a.test", 0, api.AccountChange{
		Aliases: []string{"alias@a.test", "second@a.test"}, Forward: &inventory.Forward{To: []string{"X@b.test"}, Keep: true},
	})
	if err != nil || !slices.Equal(a.Aliases, []string{"alias@a.test", "second@a.test"}) || a.Forward.To[0] != "x@b.test" {
		t.Errorf("got %+v, %v", a, err)
	}
	_, err = f.client.ChangeAccount(ctx, "user@a.test", 0, api.AccountChange{Aliases: []string{}})
	f.ok(err)
	f.ok(account("alias@a.test"))
	if p := problem(t, f.client.DeleteDomain(ctx, "a.test", 0)); p.Status != http.StatusConflict {
		t.Errorf("got %v", p)
	}
}

func TestDKIMKeys(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	_, err := f.client.CreateDomain(ctx, api.NewDomain{Name: "a.test"})
	f.ok(err)
	keys := func(state domainkey.State) (list []inventory.DKIMKey) {
		page, _, err := api.DKIMKeys.Wait(ctx, f.client, map[string][]string{"domain": {"a.test"}, "state": {string(state)}}, 0, 0)
		f.ok(err)
		return page.Items
	}
	first := keys(domainkey.Active)
	if len(first) != 2 || first[0].Record == "" || first[0].Algorithm == first[1].Algorithm {
		t.Fatalf("a new domain has %+v", first)
	}
	old := first[slices.IndexFunc(first, func(k inventory.DKIMKey) bool { return k.Algorithm == string(domainkey.Ed25519) })]
	next, err := f.client.CreateDKIMKey(ctx, api.NewDKIMKey{Domain: "a.test", Algorithm: old.Algorithm})
	if err != nil || next.State != string(domainkey.Next) || next.Selector == old.Selector {
		t.Fatalf("got %+v, %v", next, err)
	}
	if p := problem(t, f.client.DeleteDKIMKey(ctx, old.ID, 0)); p.Status != http.StatusConflict {
		t.Errorf("got %v", p)
	}
	_, err = f.client.ChangeDKIMKey(ctx, next.ID, 0, api.DKIMKeyChange{State: string(domainkey.Active)})
	f.ok(err)
	if retired := keys(domainkey.Retired); len(retired) != 1 || retired[0].ID != old.ID {
		t.Errorf("retired are %+v", retired)
	}
	if active := keys(domainkey.Active); len(active) != 2 {
		t.Errorf("active are %+v", active)
	}
	f.ok(f.client.DeleteDKIMKey(ctx, old.ID, 0))
	f.ok(f.client.DeleteDomain(ctx, "a.test", 0))
	if left := keys(domainkey.Active); len(left) != 0 {
		t.Errorf("keys of a domain that is gone: %+v", left)
	}
}

// The records are those of the servers that take mail, and of the keys.
func TestRecords(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	_, err := f.client.CreateDomain(ctx, api.NewDomain{Name: "a.test"})
	f.ok(err)
	if got, err := f.client.DomainRecords(ctx, "a.test", true); err != nil || len(got.Records) != 0 {
		t.Errorf("nobody takes its mail: %+v, %v", got, err)
	}
	server := f.upServer("mx1.test")
	f.update(func(tx inventory.Tx) error {
		v, err := tx.Services().Find("server/name", string(server.ID)+"/mailnode")
		if err != nil {
			return err
		}
		v.Ports = map[string]int{"smtp": 25}
		return tx.Services().Update(v)
	})
	_, err = f.client.SetDomainMail(ctx, "a.test", 0, api.NewDomainMail{DomainMail: inventory.DomainMail{Policy: inventory.HandleRefuse, MTASTS: "enforce", Report: "r@elsewhere.test"}})
	f.ok(err)
	got, err := f.client.DomainRecords(ctx, "a.test", false)
	f.ok(err)
	purposes := map[string]int{}
	for _, r := range got.Records {
		purposes[r.Purpose]++
		if r.State != "unchecked" || r.Value == "" {
			t.Errorf("got %+v", r)
		}
		if r.Purpose == "dmarc" && r.Value != "v=DMARC1; p=reject; rua=mailto:r@elsewhere.test" {
			t.Errorf("got %+v", r)
		}
	}
	for purpose, n := range map[string]int{"mx": 1, "spf": 1, "dkim": 2, "dmarc": 1, "tls-rpt": 1, "mta-sts": 2} {
		if purposes[purpose] != n {
			t.Errorf("%d records for %s, want %d", purposes[purpose], purpose, n)
		}
	}
	if got.Policy != "version: STSv1\r\nmode: enforce\r\nmx: mx1.test\r\nmax_age: 604800\r\n" {
		t.Errorf("policy %q", got.Policy)
	}
	if got, err = f.client.DomainRecords(ctx, "a.test", true); err != nil || got.Records[0].State != "unknown" || got.Records[0].Note == "" {
		t.Errorf("without a network: %+v, %v", got.Records, err)
	}
}

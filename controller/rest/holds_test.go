package rest

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestHoldsAreToldOfAndActedOn(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	first, second := f.upServer("a"), f.upServer("b")
	var ids []inventory.ID
	for _, one := range []struct{ domain, server string }{{"x.test", "a"}, {"y.test", "b"}} {
		_, err := f.client.CreateDomain(ctx, api.NewDomain{Name: one.domain})
		f.ok(err)
		account, err := f.client.CreateAccount(ctx, api.NewAccount{Address: "user@" + one.domain, Password: "correct horse", Server: one.server})
		f.ok(err)
		ids = append(ids, account.ID)
	}
	now := time.Now().UTC()
	f.mail.holds = map[inventory.ID][]inventory.MailHold{
		first.ID: {{Account: ids[0], Address: "old@x.test", Since: now.Add(-time.Hour), Sent: 412, Over: inventory.Duration(10 * time.Minute), Usual: 20, Messages: 3},
			{Account: inventory.NewID(), Address: "deleted@x.test"}},
		second.ID: {{Account: ids[1], Since: now, Messages: 1}},
	}
	addresses := func(filter url.Values) string {
		t.Helper()
		list, err := f.client.Holds(ctx, filter)
		f.ok(err)
		var out []string
		for _, h := range list.Items {
			out = append(out, h.Address)
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{
		"": "user@y.test user@x.test", "account=user@x.test": "user@x.test", "account=" + string(ids[1]): "user@y.test", "domain=x.test": "user@x.test",
	} {
		filter, err := url.ParseQuery(query)
		f.ok(err)
		if got := addresses(filter); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	list, err := f.client.Holds(ctx, url.Values{"account": {"user@x.test"}})
	f.ok(err)
	h := list.Items[0]
	if h.Sent != 412 || h.Usual != 20 || h.Messages != 3 || h.Domain != "x.test" || h.State != inventory.AccountActive || h.Version == 0 {
		t.Errorf("told was %+v", h)
	}
	if _, err := f.client.DeleteHeldMail(ctx, h.Address, h.Version+1); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("in another version: %v", err)
	}
	if n, err := f.client.DeleteHeldMail(ctx, h.Address, h.Version); n != 3 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if n, err := f.client.ReleaseHold(ctx, h.Address, 0); n != 0 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if _, err := f.client.ReleaseHold(ctx, h.Address, 0); err == nil || !strings.HasPrefix(err.Error(), "the mail of user@x.test is not held") {
		t.Errorf("twice: %v", err)
	}
	f.mail.silent = map[inventory.ID]bool{second.ID: true}
	if list, err = f.client.Holds(ctx, nil); err != nil || !list.Partial || !slices.Equal(list.Silent, []string{"b"}) || len(list.Items) != 0 {
		t.Errorf("with a silent server: %+v, %v", list, err)
	}
	if _, err := f.client.ReleaseHold(ctx, "user@y.test", 0); err == nil {
		t.Error("a silent server released")
	}

	var told []string
	f.ok(f.store.View(ctx, func(tx inventory.Tx) error {
		entries, _, err := tx.Audit().List(inventory.Query{})
		for _, e := range entries {
			if strings.Contains(e.Action, "hold") || strings.Contains(e.Action, "held") {
				told = append(told, e.Action)
				if e.Target != string(ids[0]) || !strings.Contains(e.Before, `"sent":412`) || !slices.Contains(e.Scope, inventory.ScopeDomain("x.test")) {
					t.Errorf("the audit log tells %+v", e)
				}
			}
		}
		return err
	}))
	if want := []string{"account.delete-held-mail", "account.release-hold"}; !slices.Equal(told, want) {
		t.Errorf("the audit log tells %v, want %v", told, want)
	}
}

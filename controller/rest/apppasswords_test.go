package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/credential"
)

func TestAnAppPasswordIsShownOnceAndKeptAsHashes(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	_, err := f.client.CreateDomain(t.Context(), api.NewDomain{Name: "example.test"})
	f.ok(err)
	_, err = f.client.CreateAccount(t.Context(), api.NewAccount{Address: "a@example.test", Password: "correct horse"})
	f.ok(err)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	issued, err := f.client.CreateAppPassword(t.Context(), "a@example.test", api.NewAppPassword{Name: "电话", Protocols: []string{"pop3"}, Expires: expires})
	f.ok(err)
	if issued.Secret == "" || issued.Name != "电话" || !issued.Expires.Equal(expires) || issued.Created.IsZero() {
		t.Errorf("issued %+v", issued)
	}
	other, err := f.client.CreateAppPassword(t.Context(), "a@example.test", api.NewAppPassword{Name: "tablet"})
	f.ok(err)

	shown, err := f.client.Account(t.Context(), "a@example.test")
	f.ok(err)
	if len(shown.AppPasswords) != 2 || shown.AppPasswords[0].ID != issued.ID || shown.SCRAM != "" || shown.AppSecrets != nil {
		t.Errorf("shown %+v", shown)
	}
	kept := keptAccount(f, "a@example.test")
	secret := kept.AppSecrets[issued.ID]
	if !credential.MatchesApp(issued.Secret, secret.Hash) || credential.MatchesApp(other.Secret, secret.Hash) {
		t.Errorf("kept %+v", secret)
	}
	if !credential.SameSalt(kept.SCRAM, secret.SCRAM) || !credential.SameSalt(kept.SCRAM, kept.AppSecrets[other.ID].SCRAM) {
		t.Errorf("the account's passwords have not one salt: %+v", kept)
	}
	for _, e := range every(f, api.Audit, map[string][]string{"action": {"account.app-password"}}) {
		for _, text := range []string{e.Before, e.After} {
			if strings.Contains(text, issued.Secret) || strings.Contains(text, secret.Hash) || strings.Contains(text, "SCRAM-") {
				t.Errorf("the audit log tells %s", text)
			}
		}
	}

	_, err = f.client.CreateAppPassword(t.Context(), "a@example.test", api.NewAppPassword{Name: "tablet"})
	f.refused(err, http.StatusUnprocessableEntity)
	_, err = f.client.CreateAppPassword(t.Context(), "a@example.test", api.NewAppPassword{Name: "late", Expires: time.Now().Add(-time.Hour)})
	f.refused(err, http.StatusUnprocessableEntity)
	_, err = f.client.CreateAppPassword(t.Context(), "a@example.test", api.NewAppPassword{Name: "fax", Protocols: []string{"fax"}})
	f.refused(err, http.StatusUnprocessableEntity)
	_, err = f.client.CreateAppPassword(t.Context(), "nobody@example.test", api.NewAppPassword{Name: "x"})
	f.refused(err, http.StatusNotFound)
	_, err = f.as(inventory.RoleViewer, "*").CreateAppPassword(t.Context(), "a@example.test", api.NewAppPassword{Name: "x"})
	f.refused(err, http.StatusForbidden)

	f.ok(f.client.DeleteAppPassword(t.Context(), "a@example.test", issued.ID))
	f.refused(f.client.DeleteAppPassword(t.Context(), "a@example.test", issued.ID), http.StatusNotFound)
	if kept = keptAccount(f, "a@example.test"); len(kept.AppPasswords) != 1 || len(kept.AppSecrets) != 1 {
		t.Errorf("kept %+v", kept)
	}
}

func keptAccount(f *fixture, address string) (a *inventory.Account) {
	f.t.Helper()
	f.ok(f.store.View(f.t.Context(), func(tx inventory.Tx) (err error) {
		a, err = tx.Accounts().Find("address", address)
		return err
	}))
	return a
}

// A new password keeps the salt, so that the application passwords go on; an account from
// before there were keys gets some with its next password.
func TestAPasswordIsKeptWithItsSCRAMKeys(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	_, err := f.client.CreateDomain(t.Context(), api.NewDomain{Name: "example.test"})
	f.ok(err)
	_, err = f.client.CreateAccount(t.Context(), api.NewAccount{Address: "a@example.test", Password: "correct horse"})
	f.ok(err)
	first := keptAccount(f, "a@example.test")
	proves := func(a *inventory.Account, password string) {
		t.Helper()
		keys, err := credential.ParseSCRAM(a.SCRAM)
		f.ok(err)
		again, err := keys.Derive(password)
		f.ok(err)
		match, err := argon2id.ComparePasswordAndHash(password, a.Password)
		f.ok(err)
		if again.String() != a.SCRAM || !match {
			t.Errorf("the kept forms are not of %q: %+v", password, a)
		}
	}
	proves(first, "correct horse")
	password := "battery staple"
	_, err = f.client.ChangeAccount(t.Context(), "a@example.test", 0, api.AccountChange{Password: &password})
	f.ok(err)
	second := keptAccount(f, "a@example.test")
	proves(second, password)
	if !credential.SameSalt(first.SCRAM, second.SCRAM) {
		t.Error("the salt has changed")
	}

	f.update(func(tx inventory.Tx) error {
		second.SCRAM = ""
		return tx.Accounts().Update(second)
	})
	app, err := f.client.CreateAppPassword(t.Context(), "a@example.test", api.NewAppPassword{Name: "phone"})
	f.ok(err)
	_, err = f.client.ChangeAccount(t.Context(), "a@example.test", 0, api.AccountChange{Password: &password})
	f.ok(err)
	third := keptAccount(f, "a@example.test")
	proves(third, password)
	if !credential.SameSalt(third.SCRAM, third.AppSecrets[app.ID].SCRAM) {
		t.Error("the first keys do not have the salt of the application password")
	}
}

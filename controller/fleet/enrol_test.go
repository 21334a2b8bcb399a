package fleet

import (
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/identity"
)

func csr(t *testing.T) string {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := identity.CSR(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (w *world) refusals() (reasons []string) {
	w.view(func(tx inventory.Tx) error {
		list, _, err := tx.Audit().List(inventory.Query{Where: map[string][]string{"action": {"server.join.refused"}}})
		for _, e := range list {
			reasons = append(reasons, e.Target+": "+e.Reason)
		}
		return err
	})
	return reasons
}

func TestAJoinTokenLetsOneAgentInOnce(t *testing.T) {
	w := newWorld(t)
	made, err := w.fleet.Add(t.Context(), alice, api.NewServer{Name: "mail1", Address: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(made.Command, made.Token) || !strings.Contains(made.Command, "https://controller:8443") {
		t.Errorf("the line to run is %q", made.Command)
	}
	if _, err := w.fleet.Join(t.Context(), "198.51.100.7", api.Join{Token: made.Token, Name: "mail2", CSR: csr(t)}); !inventory.Is(err, inventory.Forbidden) {
		t.Errorf("as another server: %v", err)
	}
	if _, err := w.fleet.Join(t.Context(), "198.51.100.7", api.Join{Token: made.Token, CSR: "nonsense"}); !inventory.Is(err, inventory.Invalid) {
		t.Errorf("with a bad request: %v", err)
	}
	joined, err := w.fleet.Join(t.Context(), "198.51.100.7", api.Join{Token: made.Token, Name: "mail1", CSR: csr(t)})
	if err != nil || joined.Name != "mail1" || joined.ID != made.Server.ID || !strings.Contains(joined.Certificate, "BEGIN CERTIFICATE") {
		t.Fatalf("%+v %v", joined, err)
	}
	if _, err := w.fleet.Join(t.Context(), "198.51.100.7", api.Join{Token: made.Token, CSR: csr(t)}); !inventory.Is(err, inventory.Forbidden) {
		t.Errorf("a second time: %v", err)
	}
	stranger, _ := identity.NewJoinToken(w.fleet.opts.CA.Fingerprint())
	if _, err := w.fleet.Join(t.Context(), "198.51.100.7", api.Join{Token: stranger, Name: "mail1", CSR: csr(t)}); !inventory.Is(err, inventory.Forbidden) {
		t.Errorf("a token nobody made: %v", err)
	}
	if got := w.refusals(); len(got) != 4 || !strings.Contains(strings.Join(got, "\n"), "was used") {
		t.Errorf("the audit log has %q", got)
	}
}

func TestAnExpiredTokenIsRefused(t *testing.T) {
	w := newWorld(t)
	made, err := w.fleet.Add(t.Context(), alice, api.NewServer{Name: "mail1", Address: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Update(t.Context(), func(tx inventory.Tx) error {
		list, _, err := tx.JoinTokens().List(inventory.Query{})
		if err != nil {
			return err
		}
		list[0].Expires = time.Now().Add(-time.Second)
		return tx.JoinTokens().Update(list[0])
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.fleet.Join(t.Context(), "", api.Join{Token: made.Token, CSR: csr(t)}); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired: %v", err)
	}
	if len(w.refusals()) != 1 {
		t.Error("the refusal is not in the audit log")
	}
}

func TestJoiningAgainRevokesTheOldCertificate(t *testing.T) {
	w := newWorld(t)
	made, err := w.fleet.Add(t.Context(), alice, api.NewServer{Name: "mail1", Address: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.fleet.Join(t.Context(), "", api.Join{Token: made.Token, CSR: csr(t)}); err != nil {
		t.Fatal(err)
	}
	var first string
	w.view(func(tx inventory.Tx) error {
		list, _, err := tx.Certificates().List(inventory.Query{})
		first = list[0].Serial
		return err
	})
	if w.fleet.Revoked(first) {
		t.Fatal("revoked at once")
	}
	_, old := w.connect(made.Server.ID, "mail1")
	if err := w.store.Update(t.Context(), func(tx inventory.Tx) error {
		return tx.Certificates().Create(&inventory.Certificate{Server: made.Server.ID, Serial: "old", Expires: time.Now().Add(-2 * forgetAfter)})
	}); err != nil {
		t.Fatal(err)
	}
	again, err := w.fleet.Invite(t.Context(), alice, made.Server.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.fleet.Join(t.Context(), "", api.Join{Token: again.Token, CSR: csr(t)}); err != nil {
		t.Fatal(err)
	}
	if !w.fleet.Revoked(first) {
		t.Error("the first certificate still counts")
	}
	select {
	case <-old.Done():
	case <-time.After(time.Minute):
		t.Error("whoever joined first still has its link")
	}
	w.view(func(tx inventory.Tx) error {
		list, _, err := tx.Certificates().List(inventory.Query{})
		if len(list) != 2 {
			t.Errorf("%d certificates are recorded, want 2: what expired long ago goes", len(list))
		}
		return err
	})
}

func TestWrongServersAreRefusedByField(t *testing.T) {
	w := newWorld(t)
	for field, req := range map[string]api.NewServer{
		"name":       {Name: "Mail 1", Address: "192.0.2.1"},
		"address":    {Name: "mail1", Address: "mail1.example.test"},
		"ports.smtq": {Name: "mail1", Address: "192.0.2.1", Ports: map[string]int{"smtq": 25}},
		"ports.smtp": {Name: "mail1", Address: "192.0.2.1", Ports: map[string]int{"smtp": 65536}},
	} {
		_, err := w.fleet.Add(t.Context(), alice, req)
		if e, ok := err.(*inventory.Error); !ok || e.Field != field {
			t.Errorf("%+v: %v, want a complaint about %s", req, err, field)
		}
	}
}

package inventory

import (
	"strconv"
	"testing"
)

func TestAppPasswords(t *testing.T) {
	a := &Account{}
	for i := range MaxAppPasswords {
		if err := a.AddAppPassword(AppPassword{ID: NewID(), Name: strconv.Itoa(i)}, AppSecret{Hash: "h"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.AddAppPassword(AppPassword{ID: NewID(), Name: "one more"}, AppSecret{}); !Is(err, Conflict) {
		t.Errorf("got %v", err)
	}
	first := a.AppPasswords[0].ID
	if err := a.RemoveAppPassword(first); err != nil {
		t.Fatal(err)
	}
	if err := a.RemoveAppPassword(first); !Is(err, NotFound) {
		t.Errorf("got %v", err)
	}
	if err := a.AddAppPassword(AppPassword{ID: NewID(), Name: "1"}, AppSecret{}); !Is(err, Invalid) {
		t.Errorf("got %v", err)
	}
	if len(a.AppPasswords) != MaxAppPasswords-1 || len(a.AppSecrets) != MaxAppPasswords-1 {
		t.Errorf("%d passwords, %d secrets", len(a.AppPasswords), len(a.AppSecrets))
	}
}

func TestSaltedKeysAreThoseThereAre(t *testing.T) {
	a := &Account{AppPasswords: []AppPassword{{ID: "1"}, {ID: "2"}}, AppSecrets: map[ID]AppSecret{"2": {SCRAM: "two"}}}
	if got := a.SaltedKeys(); got != "two" {
		t.Errorf("got %q", got)
	}
	a.SCRAM = "own"
	if got := a.SaltedKeys(); got != "own" {
		t.Errorf("got %q", got)
	}
	if got := (&Account{}).SaltedKeys(); got != "" {
		t.Errorf("got %q", got)
	}
}

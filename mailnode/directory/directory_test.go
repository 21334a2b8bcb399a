package directory

import (
	"errors"
	"testing"
)

func table(postmaster string) *Table {
	return NewTable([]string{"Example.Test", "second.test"}, []Account{
		{ID: "1", Address: "User1@Example.test"},
		{ID: "2", Address: "user2@example.test", Suspended: true},
		{ID: "3", Address: "postmaster@second.test"},
	}, postmaster)
}

func TestRecipient(t *testing.T) {
	d := New(table("USER1@example.test"))
	for address, want := range map[string]any{
		"user1@example.test":       "1",
		"USER1@EXAMPLE.TEST":       "1",
		"user1+tag+more@Example.T": ErrNotLocal,
		"user1+tag@example.test":   "1",
		"user1+@example.test":      "1",
		"+tag@example.test":        ErrUnknown,
		"user3@example.test":       ErrUnknown,
		"user3+x@example.test":     ErrUnknown,
		"user1@second.test":        ErrUnknown,
		"user2@example.test":       ErrSuspended,
		"user2+x@example.test":     ErrSuspended,
		"user1@other.test":         ErrNotLocal,
		"user1":                    ErrUnknown,
		"a@b@example.test":         ErrUnknown,
		"PostMaster@example.test":  "1",
		"postmaster+x@second.test": "3",
		"postmaster@second.test":   "3",
		"postmaster":               "1",
		"POSTMASTER":               "1",
		"postmaster@other.test":    ErrNotLocal,
	} {
		a, err := d.Recipient(address)
		if wantErr, ok := want.(error); ok && !errors.Is(err, wantErr) || !ok && (err != nil || a.ID != want) {
			t.Errorf("%s: got %v, %v, want %v", address, a.ID, err, want)
		}
	}
}

func TestPostmasterNeedsAnAccount(t *testing.T) {
	d := New(table(""))
	if _, err := d.Recipient("postmaster@example.test"); !errors.Is(err, ErrNoPostmaster) {
		t.Errorf("got %v", err)
	}
	if a, err := d.Recipient("postmaster@second.test"); err != nil || a.ID != "3" {
		t.Errorf("got %v, %v", a, err)
	}
}

func TestReplace(t *testing.T) {
	d := New(table(""))
	if _, ok := d.Account("USER1@example.test"); !ok {
		t.Error("the account is not found")
	}
	d.Replace(NewTable(nil, nil, ""))
	if _, ok := d.Account("user1@example.test"); ok || len(d.Accounts()) != 0 {
		t.Error("the account is still found")
	}
}

package dkim

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
	"mailfleet/inventory/domainkey"
)

// published is a DNS that has what was published.
type published map[string]string

func (p published) LookupTXT(_ context.Context, name string) ([]string, error) {
	if text, ok := p[name]; ok {
		return []string{"other text", text}, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}
func (published) LookupMX(context.Context, string) ([]*net.MX, error) { return nil, nil }
func (published) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, nil
}
func (published) LookupCNAME(context.Context, string) (string, error) { return "", nil }

// A domain without keys gets them; after half a year others are made, take over once
// they are published, and the first ones go when no mail with them is on its way.
func TestKeysComeAndGo(t *testing.T) {
	ctx := t.Context()
	store, err := dbstore.Open(ctx, dbstore.Options{Path: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sealer, err := seal.Open(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(ctx, func(tx inventory.Tx) error { return tx.Domains().Create(&inventory.Domain{Name: "a.test"}) }); err != nil {
		t.Fatal(err)
	}
	dns := published{}
	k := &Keeper{Store: store, Seal: sealer, DNS: dns, Rotation: domainkey.DefaultRotation, Log: slog.New(slog.DiscardHandler)}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tend := func(days int) (states []string) {
		t.Helper()
		if err := k.Tend(ctx, start.AddDate(0, 0, days)); err != nil {
			t.Fatal(err)
		}
		if err := store.View(ctx, func(tx inventory.Tx) error {
			keys, err := Of(tx, "a.test")
			for _, key := range keys {
				states = append(states, key.State)
				if opened, err := Open(sealer, key); err != nil || string(opened.Algorithm) != key.Algorithm {
					t.Errorf("the key %s: %v", key.Selector, err)
				}
				dns[domainkey.Name(key.Selector, "a.test")+"."] = key.Record
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(states)
		return states
	}
	for _, step := range []struct {
		day  int
		want []string
	}{
		{0, []string{"active", "active"}},
		{100, []string{"active", "active"}},
		{177, []string{"active", "active", "next", "next"}},
		{181, []string{"active", "active", "retired", "retired"}},
		{190, []string{"active", "active", "retired", "retired"}},
		{196, []string{"active", "active"}},
	} {
		if got := tend(step.day); !slices.Equal(got, step.want) {
			t.Errorf("day %d: %v, want %v", step.day, got, step.want)
		}
	}
	clear(dns)
	tend(181 + 177)
	clear(dns)
	if got := tend(181 + 190); !slices.Contains(got, "next") || slices.Contains(got, "retired") {
		t.Errorf("keys that nobody can see took over: %v", got)
	}
}

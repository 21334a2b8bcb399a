package dbstore

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

func TestVerifyNamesTheFirstBadEntry(t *testing.T) {
	for _, c := range []struct {
		name  string
		sql   []string
		entry string
	}{
		{"text changed", []string{`UPDATE audit SET doc = replace(doc, 'reason 3', 'reason 0')`}, "audit entry 3 "},
		{"text and index changed", []string{`UPDATE audit SET doc = replace(doc, 'actor 2', 'actor x'), actor = replace(actor, 'actor 2', 'actor x')`}, "audit entry 2 "},
		{"index changed", []string{`UPDATE audit SET actor = 'x' WHERE actor = 'actor 4'`}, "audit entry 4 "},
		{"version changed", []string{`UPDATE audit SET version = 99 WHERE actor = 'actor 5'`}, "audit entry 5 "},
		{"first removed", []string{`DELETE FROM audit WHERE actor = 'actor 1'`}, "audit entry 1 "},
		{"one removed", []string{`DELETE FROM audit WHERE actor = 'actor 3'`}, "audit entry 3 "},
		{"last removed", []string{`DELETE FROM audit WHERE actor = 'actor 5'`}, "audit entry 5 "},
		{"all removed", []string{`DELETE FROM audit`}, "audit entry 1 "},
		{"unreadable", []string{`UPDATE audit SET doc = substr(doc, 1, 50) WHERE actor = 'actor 2'`}, "audit entry 2 "},
		{"two swapped", []string{
			`UPDATE audit SET version = 88 WHERE actor = 'actor 2'`,
			`UPDATE audit SET version = 2 WHERE actor = 'actor 3'`,
			`UPDATE audit SET version = 3 WHERE actor = 'actor 2'`,
		}, "audit entry 2 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openAt(t, filepath.Join(t.TempDir(), "audit.db"))
			appendEntries(t, s, 5)
			if n, err := verify(t, s); n != 5 || err != nil {
				t.Fatalf("before: %d, %v", n, err)
			}
			for _, stmt := range c.sql {
				if _, err := s.write.ExecContext(t.Context(), stmt); err != nil {
					t.Fatal(err)
				}
			}
			_, err := verify(t, s)
			if !inventory.Is(err, inventory.Conflict) || !strings.HasPrefix(err.Error(), c.entry) {
				t.Errorf("error %v: want it to name %s", err, c.entry)
			}
		})
	}
}

// An entry that is forged together with its hash breaks the one after it.
func TestVerifyFindsAForgedEntry(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "audit.db"))
	appendEntries(t, s, 3)
	var forged *inventory.AuditEntry
	if err := s.View(t.Context(), func(tx inventory.Tx) error {
		page, _, err := tx.Audit().List(inventory.Query{})
		forged = page[1]
		return err
	}); err != nil {
		t.Fatal(err)
	}
	forged.Reason = "none"
	forged.Hash = auditHash(forged)
	now, err := encode(forged)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(t.Context(), "UPDATE audit SET doc = ? WHERE id = ?", now.Doc, now.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, s); err == nil || !strings.HasPrefix(err.Error(), "audit entry 3 ") {
		t.Errorf("error %v: want it to name entry 3", err)
	}
}

func TestVerifyReadsManyPages(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "audit.db"))
	appendEntries(t, s, 1100)
	if n, err := verify(t, s); n != 1100 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAuditHashCoversEveryField(t *testing.T) {
	var entry inventory.AuditEntry
	seen := map[string]string{auditHash(&entry): "the empty entry"}
	var change func(v reflect.Value, path string)
	change = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			f, name := v.Field(i), path+v.Type().Field(i).Name
			switch p := f.Addr().Interface().(type) {
			case *inventory.Meta:
				change(f, name+".")
				continue
			case *string:
				*p = "x"
			case *inventory.ID:
				*p = "x"
			case *uint64:
				*p = 1
			case *time.Time:
				*p = time.Unix(0, 1)
			case *[]inventory.Scope:
				*p = []inventory.Scope{"x"}
			default:
				t.Fatalf("%s is of a type this test does not know", name)
			}
			hash := auditHash(&entry)
			if other, ok := seen[hash]; ok && name != "Hash" {
				t.Errorf("%s changed and the hash is that of %s", name, other)
			}
			seen[hash] = name
			f.SetZero()
		}
	}
	change(reflect.ValueOf(&entry).Elem(), "")
}

func appendEntries(t *testing.T, s *Store, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx inventory.Tx) error {
		for i := 1; i <= n; i++ {
			if err := tx.Audit().Append(&inventory.AuditEntry{Actor: fmt.Sprintf("actor %d", i), Reason: fmt.Sprintf("reason %d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, s *Store) (n int, err error) {
	t.Helper()
	err = s.View(t.Context(), func(tx inventory.Tx) error {
		n, err = tx.Audit().Verify()
		return err
	})
	return n, err
}

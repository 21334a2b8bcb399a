package dbstore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"mailfleet/inventory"
)

var updateGolden = flag.Bool("update", false, "write the golden database of the current version, when there is none")

// A database of every version that was ever released opens with all it has.
// When migrations grow, -update writes the new version's; the old stay as they are.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		name := filepath.Join("testdata", fmt.Sprintf("v%d.db.gz", i+1))
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) && *updateGolden && i == len(files)-1 {
			writeGolden(t, name)
		}
		t.Run(filepath.Base(name), func(t *testing.T) { openGolden(t, name, goldens[:held(i+1)]) })
	}
}

func openGolden(t *testing.T, name string, goldens []golden) {
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	db, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "golden.db")
	if err := os.WriteFile(path, db, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path)
	wantSound(t, s)
	if err := s.View(t.Context(), func(tx inventory.Tx) error {
		for _, g := range goldens {
			g.check(t, tx)
		}
		if n, err := tx.Audit().Verify(); n != 2 || err != nil {
			t.Errorf("audit log: %d entries, %v", n, err)
		}
		if _, err := tx.Operations().Find("idempotency", "operator:a\x00key-1"); err != nil {
			t.Error(err)
		}
		if n, err := tx.Operations().Count(inventory.Query{Where: map[string][]string{"server": {"server-2"}}}); n != 1 || err != nil {
			t.Errorf("operations on server-2: %d, %v", n, err)
		}
		if want := uint64(len(goldens) + 2); tx.Index() != want {
			t.Errorf("index %d, want %d", tx.Index(), want)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if events, ok, err := s.Events(t.Context(), 0, 1000); len(events) != len(goldens)+2 || !ok || err != nil {
		t.Errorf("%d events, ok %v, %v", len(events), ok, err)
	}
	appendEntries(t, s, 1)
	if n, err := verify(t, s); n != 3 || err != nil {
		t.Errorf("audit log with a new entry: %d, %v", n, err)
	}
}

func writeGolden(t *testing.T, name string) {
	path := filepath.Join(t.TempDir(), "golden.db")
	s := openAt(t, path)
	if err := s.Update(t.Context(), func(tx inventory.Tx) error {
		for _, g := range goldens {
			if err := g.create(tx); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	appendEntries(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zw.Write(db); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// golden is the one record of its kind in a golden database.
type golden struct {
	create func(inventory.Tx) error
	check  func(*testing.T, inventory.Tx)
}

func gold[R inventory.Record](in func(inventory.Tx) inventory.Table[R], r R) golden {
	return golden{
		create: func(tx inventory.Tx) error {
			fresh := reflect.New(reflect.TypeFor[R]().Elem())
			fresh.Elem().Set(reflect.ValueOf(r).Elem())
			return in(tx).Create(fresh.Interface().(R))
		},
		check: func(t *testing.T, tx inventory.Tx) {
			page, _, err := in(tx).List(inventory.Query{})
			if err != nil || len(page) != 1 {
				t.Errorf("%T: %d records, %v", r, len(page), err)
				return
			}
			if m := page[0].Base(); m.ID == "" || m.Version == 0 || m.Created.IsZero() || m.Updated.IsZero() {
				t.Errorf("%T has meta %+v", r, *m)
			}
			*page[0].Base() = inventory.Meta{}
			if !reflect.DeepEqual(page[0], r) {
				t.Errorf("%T:\n got %+v\nwant %+v", r, page[0], r)
			}
		},
	}
}

var then = time.Date(2026, 7, 8, 9, 10, 11, 12, time.UTC)

// held is how many of goldens a golden database of a version holds.
func held(version int) int {
	if n, old := map[int]int{1: 15, 2: 22, 3: 22}[version]; old {
		return n
	}
	return len(goldens)
}

// goldens are what golden databases hold. What is here does not change; fields
// that are new since stay empty, and records of new kinds come last.
var goldens = []golden{
	gold(inventory.Tx.Servers, &inventory.Server{
		Name: "mx1.example.test", State: inventory.ServerUp, Since: then, Address: "127.0.10.1", Region: "eu",
		Labels: map[string]string{"rack": "7"}, BootID: "boot-1", AgentVersion: "0.1", ClockSkew: -0.5, CertExpires: then, Applied: 42, Problem: "none",
	}),
	gold(inventory.Tx.Services, &inventory.Service{
		Server: "server-1", Name: "mailnode", Kind: inventory.KindMailnode, Want: inventory.WantRunning,
		ServiceConfig: inventory.ServiceConfig{
			Command: []string{"sleep", "1"}, Env: map[string]string{"A": "b"}, Dir: "/tmp", Ports: map[string]int{"smtp": 25},
		},
		ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceRunning, PID: 7, Restarts: 1, Since: then, Exit: "exit status 1"},
	}),
	gold(inventory.Tx.JoinTokens, &inventory.JoinToken{Server: "server-1", Hash: []byte{1, 2, 3}, Expires: then, Used: then}),
	gold(inventory.Tx.Certificates, &inventory.Certificate{Server: "server-1", Serial: "0a", Profile: "agent", Expires: then, Revoked: then}),
	gold(inventory.Tx.Domains, &inventory.Domain{Name: "example.test", Postmaster: "pm@example.test"}),
	gold(inventory.Tx.Accounts, &inventory.Account{
		Address: "user1@example.test", Domain: "example.test", Name: "用户", Server: "server-1", State: inventory.AccountActive, Password: "hash-1",
	}),
	gold(inventory.Tx.Operations, &inventory.Operation{
		Kind: inventory.OpServiceStop, State: inventory.OpRunning, Actor: "operator:a", Reason: "because",
		Targets: []inventory.Target{{Server: "server-1", Service: "mailnode"}, {Server: "server-2"}},
		Steps: []inventory.Step{{
			ID: "step-1", Target: inventory.Target{Server: "server-1", Service: "mailnode"},
			State: inventory.OpFailed, Message: "no", Started: then, Ended: then,
		}},
		Expires: then, Ended: then, IdempotencyKey: "key-1", RequestHash: "request-1",
	}),
	gold(inventory.Tx.Rules, &inventory.Rule{
		Name: "memory", Metric: "mem_used_percent", Comparison: inventory.Above, Value: 90, Clear: 85.5, For: inventory.Duration(90 * time.Second),
		Severity: inventory.Critical, Servers: []string{"mx1.example.test"}, Recipients: []inventory.ID{"contact-1"}, Enabled: true,
	}),
	gold(inventory.Tx.Contacts, &inventory.Contact{Name: "Ann", Phone: "+15550100", Language: "zh"}),
	gold(inventory.Tx.Alerts, &inventory.Alert{
		Rule: "rule-1", RuleName: "memory", Server: "server-1", ServerName: "mx1.example.test", Metric: "mem_used_percent",
		Tags: map[string]string{"device": "sda"}, Comparison: inventory.Above, Threshold: 90, Value: 91.5, Severity: inventory.Critical,
		State: inventory.AlertFiring, Since: then, Fired: then, Resolved: then, Acked: then, AckedBy: "operator:a",
	}),
	gold(inventory.Tx.SMS, &inventory.SMS{
		To: "+15550100", Text: "内存", State: inventory.SMSSent, Gateway: "spool", Encoding: "ucs2", Parts: 1, Attempts: 2,
		Next: then, Sent: then, Error: "busy", Alert: "alert-1", Key: "alert-1/firing/+15550100",
	}),
	gold(inventory.Tx.People, &inventory.Person{Name: "a", Role: inventory.RoleOperator, Password: "hash-2", Failures: 3, Locked: then}),
	gold(inventory.Tx.Sessions, &inventory.Session{Person: "person-1", Hash: "hash-3", CSRF: "csrf", Address: "127.0.0.1", Agent: "curl", Expires: then}),
	gold(inventory.Tx.Tokens, &inventory.Token{
		Name: "ci", Hash: "hash-4", Role: inventory.RoleViewer, Scopes: []string{"*:read"}, Actor: "operator:a", Expires: then,
	}),
	gold(inventory.Tx.Settings, &inventory.Setting{Name: "gossip key", Value: "c2VjcmV0"}),
	// Since version 2.
	gold(inventory.Tx.Tenants, &inventory.Tenant{Name: "acme", Kind: inventory.TenantReseller, Plan: "plan-1", Domains: 3, Accounts: 100, Contact: "Ann"}),
	gold(inventory.Tx.Plans, &inventory.Plan{
		Name: "basic", Limits: inventory.Limits{Quota: 1 << 30, SentADay: 200}, Features: map[inventory.Feature]bool{inventory.FeatureSMS: false},
	}),
	gold(inventory.Tx.Powers, &inventory.Power{
		Server: "server-1", Kind: inventory.PowerIPMI, Address: "192.0.2.9", User: "admin", Secret: []byte{7, 8}, HasSecret: true, Tested: then, Result: "on",
	}),
	gold(inventory.Tx.Pools, &inventory.Pool{
		Name: "webmail", Service: "tomcat", Members: []inventory.Member{{Server: "server-1", Weight: 2}}, MaxUnavailable: 1,
	}),
	gold(inventory.Tx.Windows, &inventory.Window{Servers: []inventory.ID{"server-1"}, From: then, To: then, Operation: "op-1", Reason: "work", Actor: "operator:a"}),
	gold(inventory.Tx.Preflights, &inventory.Preflight{
		Server: "server-1", Checked: then, Checks: []inventory.Check{{Name: "open_files", State: inventory.CheckFailed, Found: "1024", Wanted: "65536"}},
	}),
	gold(inventory.Tx.Releases, &inventory.Release{
		Program: "mailfleet-agent", Number: "1.2", Platform: "linux/amd64", Size: 9, SHA256: "ab", Signature: []byte{1}, Key: "k", Actor: "operator:a",
	}),
	// Since version 4.
	gold(inventory.Tx.Groups, &inventory.Group{
		Address: "team@example.test", Domain: "example.test", Name: "团队", Members: []string{"user1@example.test", "b@elsewhere.test"}, Writers: inventory.WritersDomain,
	}),
	gold(inventory.Tx.DKIMKeys, &inventory.DKIMKey{
		Domain: "example.test", Selector: "s1", Algorithm: "ed25519-sha256", State: "active", Since: then, Record: "v=DKIM1", Private: []byte{9},
	}),
}

package rest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/controller/api"
	"mailfleet/controller/releases"
	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

// publisher is a controller that trusts one release key.
type publisher struct {
	*fixture
	dir string // of the controller
	key ed25519.PrivateKey
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{fixture: start(t), dir: t.TempDir()}
	shelf, err := releases.Open(p.dir)
	p.ok(err)
	p.server.Releases = shelf
	p.key, err = release.NewKey()
	p.ok(err)
	chain, err := release.NewChain(p.key)
	p.ok(err)
	text, err := chain.Text()
	p.ok(err)
	p.ok(os.WriteFile(filepath.Join(p.dir, releases.KeysFile), text, 0o600))
	return p
}

func (p *publisher) signed(number, content string) inventory.Release {
	p.t.Helper()
	sum := sha256.Sum256([]byte(content))
	r := inventory.Release{Program: inventory.ProgramAgent, Number: number, Platform: "linux/amd64", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	p.ok(release.Sign(&r, p.key))
	return r
}

// kept is how many files and releases there are.
func (p *publisher) kept() (files, listed int) {
	p.t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.dir, "releases"))
	p.ok(err)
	for _, err := range api.Releases.All(p.t.Context(), p.client, nil) {
		p.ok(err)
		listed++
	}
	return len(entries), listed
}

// counted tells how much of it was read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	return n, err
}

func TestWhatIsNotSignedAsItIsIsRefusedAndNothingIsKept(t *testing.T) {
	p := newPublisher(t)
	content := strings.Repeat("program ", 1<<20)
	good := p.signed("1.0", content)
	other, err := release.NewKey()
	p.ok(err)
	for name, c := range map[string]struct {
		change  func(*inventory.Release)
		content string
		status  int
		want    string
	}{
		"another version": {func(r *inventory.Release) { r.Number = "1.1" }, content, http.StatusUnprocessableEntity, "signature of mailfleet-agent 1.1"},
		"a stranger's":    {func(r *inventory.Release) { p.ok(release.Sign(r, other)) }, content, http.StatusUnprocessableEntity, "key that is not trusted"},
		"too big": {func(r *inventory.Release) { r.Size = inventory.MaxRelease + 1 }, content[:9], http.StatusUnprocessableEntity,
			"between 1 and"},
		"changed": {func(*inventory.Release) {}, content[:len(content)-1] + "!", http.StatusUnprocessableEntity, "SHA-256 is another"},
	} {
		r := good
		c.change(&r)
		body := &counted{Reader: strings.NewReader(c.content)}
		_, err := p.client.PublishRelease(t.Context(), r, body)
		problem, _ := err.(*api.Problem)
		if problem == nil || problem.Status != c.status || !strings.Contains(problem.Detail, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "a stranger's" && body.n > 4<<20 {
			t.Errorf("%s: %d octets were read before it was refused", name, body.n)
		}
		if files, listed := p.kept(); files != 0 || listed != 0 {
			t.Fatalf("%s: %d files and %d releases are kept", name, files, listed)
		}
	}
	// A client that breaks off: its own error is all it sees.
	_, err = p.client.PublishRelease(t.Context(), good, strings.NewReader(content[:1000]))
	if files, listed := p.kept(); err == nil || files != 0 || listed != 0 {
		t.Errorf("truncated: %v; %d files and %d releases are kept", err, files, listed)
	}
}

func TestAReleaseIsPublishedOnceAndRemovedWhenNothingNeedsIt(t *testing.T) {
	p := newPublisher(t)
	ctx := t.Context()
	content := strings.Repeat("a program, ", 500_000) // more than a body may have elsewhere
	r := p.signed("1.0", content)
	made, err := p.client.PublishRelease(ctx, r, strings.NewReader(content))
	p.ok(err)
	file, err := os.ReadFile(filepath.Join(p.dir, "releases", made.SHA256))
	p.ok(err)
	if !bytes.Equal(file, []byte(content)) || made.ID == "" || made.Actor == "" {
		t.Errorf("it is kept as %d octets, %+v", len(file), made)
	}
	for name, again := range map[string]inventory.Release{"again": r, "as another version": p.signed("1.1", content)} {
		if _, err := p.client.PublishRelease(ctx, again, strings.NewReader(content)); !isStatus(err, http.StatusConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	server := p.upServer("mail1")
	use := func(id inventory.ID) {
		p.update(func(tx inventory.Tx) error {
			v, err := tx.Services().Find("server/name", string(server.ID)+"/mailnode")
			if err != nil {
				return err
			}
			v.Release = id
			return tx.Services().Update(v)
		})
	}
	use(made.ID)
	if err := p.client.RemoveRelease(ctx, string(made.ID), 0); !isStatus(err, http.StatusConflict) || !strings.Contains(err.Error(), "mailnode on mail1") {
		t.Errorf("removed while a service is to run it: %v", err)
	}
	use("")
	op, err := p.client.CreateOperation(ctx, "k", api.NewOperation{Kind: inventory.OpAgentUpgrade, Targets: []api.NewTarget{{Server: "mail1"}},
		Params: api.NewParams{Release: string(made.ID)}})
	p.ok(err)
	if err := p.client.RemoveRelease(ctx, string(made.ID), 0); !isStatus(err, http.StatusConflict) {
		t.Errorf("removed while an operation is about it: %v", err)
	}
	_, err = p.client.CancelOperation(ctx, op.ID)
	p.ok(err)
	p.ok(p.client.RemoveRelease(ctx, string(made.ID), made.Version))
	if files, listed := p.kept(); files != 0 || listed != 0 {
		t.Errorf("%d files and %d releases are left", files, listed)
	}
	var acts []string
	for e, err := range api.Audit.All(ctx, p.client, nil) {
		p.ok(err)
		if e.Resource == string(inventory.Releases) {
			acts = append(acts, e.Action)
		}
	}
	if len(acts) != 2 {
		t.Errorf("the audit log has %v", acts)
	}
	keys, err := p.client.ReleaseKeys(ctx)
	if err != nil || keys.Serial != 1 || keys.Keys[0] != release.Public(p.key) {
		t.Errorf("the keys are %+v, %v", keys, err)
	}
}

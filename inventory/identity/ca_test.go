package identity

import (
	"bytes"
	"crypto/ecdsa"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newCA(t testing.TB) *CA {
	t.Helper()
	ca, err := OpenCA(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestCAIsTheSameAfterReopening(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.Fingerprint() != second.Fingerprint() || first.Fleet() != second.Fleet() {
		t.Error("the CA changed by being opened again")
	}
	if !first.cert.PublicKey.(*ecdsa.PublicKey).Equal(second.key.Public()) {
		t.Error("the key changed by being opened again")
	}
	if life := time.Until(first.cert.NotAfter); life < 9*365*24*time.Hour {
		t.Errorf("the CA lives only %v", life)
	}
	if other := newCA(t); other.Fleet() == first.Fleet() {
		t.Error("two fleets have the same id")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "ca.crt" && e.Name() != "ca.key" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestCARefusesWhatItCannotTrust(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"key readable by the group", func(t *testing.T, dir string) {
			check(t, os.Chmod(filepath.Join(dir, "ca.key"), 0o640))
		}, "mode 0640"},
		{"key readable by all", func(t *testing.T, dir string) {
			check(t, os.Chmod(filepath.Join(dir, "ca.key"), 0o604))
		}, "chmod 600"},
		{"key missing", func(t *testing.T, dir string) {
			check(t, os.Remove(filepath.Join(dir, "ca.key")))
		}, "missing"},
		{"key of another CA", func(t *testing.T, dir string) {
			other := t.TempDir()
			_, err := OpenCA(other)
			check(t, err)
			check(t, os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key")))
		}, "do not belong together"},
		{"key cut short", func(t *testing.T, dir string) {
			check(t, os.Truncate(filepath.Join(dir, "ca.key"), 20))
		}, "no PEM block"},
		{"certificate cut short", func(t *testing.T, dir string) {
			check(t, os.Truncate(filepath.Join(dir, "ca.crt"), 100))
		}, "no PEM block"},
		{"certificate of a server", func(t *testing.T, dir string) {
			ca, err := OpenCA(dir)
			check(t, err)
			cert := issue(t, ca, Request{Profile: ProfileAgent, ServerID: "1", ServerName: "a", Now: time.Now()})
			check(t, os.WriteFile(filepath.Join(dir, "ca.crt"), encodeCertificate(cert.Certificate[0]), 0o600))
		}, "not a CA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := OpenCA(dir)
			check(t, err)
			c.damage(t, dir)
			_, err = OpenCA(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got error %v, want one with %q and the file's name", err, c.want)
			}
		})
	}
}

func TestCAWithoutItsCertificateKeepsTheFleet(t *testing.T) {
	dir := t.TempDir()
	before, err := OpenCA(dir)
	check(t, err)
	agent := issue(t, before, Request{Profile: ProfileAgent, ServerID: "1", ServerName: "a", Now: time.Now()})

	check(t, os.Remove(filepath.Join(dir, "ca.crt")))
	after, err := OpenCA(dir)
	check(t, err)
	if after.Fleet() != before.Fleet() {
		t.Fatal("the fleet's id changed")
	}
	self, err := after.IssueSelf("main", nil, nil)
	check(t, err)
	// The agent still holds the CA's old certificate.
	got := handshake(t, ServerConfig(after.Root, self.GetCertificate, noneRevoked), AgentConfig(before.Root, always(agent)))
	if got.serverErr != nil || got.clientErr != nil {
		t.Errorf("an old certificate is no longer good: server %v, client %v", got.serverErr, got.clientErr)
	}
}

func TestParseRootReadsWhatCertPEMWrote(t *testing.T) {
	ca := newCA(t)
	root, err := ParseRoot(ca.CertPEM())
	check(t, err)
	if root.Fingerprint() != ca.Fingerprint() || !root.Pool().Equal(ca.Pool()) {
		t.Error("the root changed on its way through PEM")
	}
	for name, text := range map[string][]byte{
		"empty":     nil,
		"twice":     append(ca.CertPEM(), ca.CertPEM()...),
		"oversized": bytes.Repeat([]byte("x"), maxPEM+1),
	} {
		if _, err := ParseRoot(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

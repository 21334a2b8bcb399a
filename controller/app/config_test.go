package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheDescribedConfigurationIsTheDefault(t *testing.T) {
	var b bytes.Buffer
	if err := DescribeConfig(&b); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(write(t, b.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, &b)
	}
	want, err := LoadConfig(write(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	got.Names, got.OpenID.Scope = nil, nil // [] and absent are the same
	if g, w := describe(got), describe(want); g != w {
		t.Errorf("described:\n%s\nempty:\n%s", g, w)
	}
	if want.Samples.Interval != 300*time.Second || want.Listen != "0.0.0.0:8443" || !strings.HasPrefix(want.URL, "https://") {
		t.Errorf("the defaults are %+v", want)
	}
}

func describe(c Config) string {
	return strings.Join([]string{c.Dir, c.Name, c.Listen, c.URL, c.Gossip.Listen, c.Gossip.Advertise, c.Samples.Interval.String(),
		c.Samples.Retention.String(), c.SMS.Gateway, c.SMS.Kannel.URL, c.LogLevel}, "|")
}

func TestAWrongConfigurationIsNamedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"dir: x\nurll: y\n":                                                  `:2: there is no setting "urll" here`,
		"gossip:\n  listen: 127.0.0.1:7946\n  port: 1":                       `:3: there is no setting "port" here`,
		"gossip:\n  listen: host:7946\n":                                     `:2: gossip.listen "host:7946" must begin with an IP`,
		"listen: nowhere\n":                                                  `:1: listen "nowhere" must look like address:port`,
		"url: http://x:1\n":                                                  `:1: url "http://x:1" must look like https://host:port`,
		"dir: x\nsamples:\n  interval: often\n":                              `:3: `,
		"dir: x\nsamples:\n  interval: 1ms\n":                                `:3: samples.interval 1ms is shorter than 1s`,
		"samples:\n  retention: 1h\n":                                        `:2: samples.retention 1h0m0s is shorter than a day`,
		"sms:\n  gateway: kannel\n":                                          `: sms.kannel.url "" must look like`,
		"openid:\n  issuer: http://id.test\n":                                `:2: openid.issuer "http://id.test" must look like`,
		"openid:\n  issuer: https://id.test\n":                               `: openid.client_id must be given`,
		"openid: {issuer: 'https://i', client_id: c, role: king}":            `:1: openid.role "king" is not a role`,
		"openid: {issuer: 'https://i', client_id: c, secret_file: /nowhere}": `:1: openid.secret_file "/nowhere" cannot be read`,
		"log_level: loud\n":                                                  `:1: log_level "loud" is not`,
		"name: Not A Name\n":                                                 `:1: name "Not A Name" must be`,
		"dir: [\n":                                                           `:`,
	} {
		file := write(t, text)
		_, err := LoadConfig(file)
		if err == nil || !strings.HasPrefix(err.Error(), file+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAnOpenIDProviderIsTrustedAsConfigured(t *testing.T) {
	secret := write(t, "s3cret\n")
	c, err := LoadConfig(write(t, "url: https://fleet.example.com:8443\nopenid:\n  issuer: https://id.example.com/realms/ops\n  client_id: mailfleet\n  secret_file: "+secret+"\n  role: viewer\n  scope: [fleet]\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.OpenID.provider(c.URL)
	if err != nil || p.Name != "id.example.com" || p.Secret != "s3cret" || p.Redirect != "https://fleet.example.com:8443/api/v1/oidc/callback" ||
		p.Claim != "email" || p.Role != inventory.RoleViewer || len(p.Scope) != 1 {
		t.Errorf("%+v %v", p, err)
	}
	c.OpenID.CAFile = secret
	if _, err := c.OpenID.provider(c.URL); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("an authority that is none: %v", err)
	}
	if p, err := (&OpenIDConfig{}).provider(c.URL); p != nil || err != nil {
		t.Errorf("without one: %+v %v", p, err)
	}
}

func TestGossipIsReachedWhereItListens(t *testing.T) {
	for text, want := range map[string]string{
		"url: https://127.0.0.1:8443\ngossip: {listen: '127.0.10.254:7946'}\n": "127.0.10.254:7946",
		"url: https://fleet.example.com:8443\n":                                "fleet.example.com:7946",
		"url: https://x:1\ngossip: {advertise: 'y:2'}\n":                       "y:2",
	} {
		c, err := LoadConfig(write(t, text))
		if err != nil || c.Gossip.Advertise != want {
			t.Errorf("%q: %q %v, want %q", text, c.Gossip.Advertise, err, want)
		}
	}
}

func FuzzLoadConfig(f *testing.F) {
	f.Add("dir: /x\nlisten: 127.0.0.1:1\ngossip: {listen: '[::1]:1'}\n")
	f.Add("sms:\n- 1\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Skip()
		}
		if _, err := LoadConfig(file); err != nil && !strings.HasPrefix(err.Error(), file+":") {
			t.Errorf("an error without a place: %v", err)
		}
	})
}

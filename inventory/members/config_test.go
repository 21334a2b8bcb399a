package members

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestStartRefusesUnfitConfigurations(t *testing.T) {
	good := agent("a", NewKey(), netip.MustParseAddrPort("127.0.0.1:0"))
	for want, spoil := range map[string]func(*Config){
		"key is missing":        func(c *Config) { c.Key = "" },
		"not 32 bytes":          func(c *Config) { c.Key = base64.StdEncoding.EncodeToString(make([]byte, 16)) },
		"in base64":             func(c *Config) { c.Key = "secret!" },
		"gossip name":           func(c *Config) { c.Name = "a b" },
		`or id ""`:              func(c *Config) { c.ID = "" },
		"role":                  func(c *Config) { c.Role = "guest" },
		"bind is missing":       func(c *Config) { c.Bind = netip.AddrPort{} },
		"others reach":          func(c *Config) { c.Bind = netip.MustParseAddrPort("0.0.0.0:7946") },
		"not host or host:port": func(c *Config) { c.Join = []string{"a:b:c"} },
		"bad port":              func(c *Config) { c.Join = []string{"a:99999"} },
		"snapshot":              func(c *Config) { c.Snapshot = "/nowhere/at/all" },
	} {
		c := good
		spoil(&c)
		p, err := Start(c)
		if err == nil {
			_ = p.Close()
			t.Errorf("%s: started", want)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got error %q, want one with %q", err, want)
		}
	}
}

func TestTakenAddressIsNamed(t *testing.T) {
	t.Parallel()
	at, key := addresses(t, 1), NewKey()
	begin(t, agent("a", key, at[0]), quick())
	p, err := Start(agent("b", key, at[0]))
	if err == nil {
		_ = p.Close()
		t.Fatal("two members on one address")
	}
	if !strings.Contains(err.Error(), at[0].String()) {
		t.Errorf("%v does not name the address", err)
	}
}

func TestSeedsAreHostsWithOrWithoutPort(t *testing.T) {
	got, err := parseSeeds([]string{"127.0.10.1", "127.0.10.1:1", "::1", "[::1]:2", "[::1]", "controller.example.test", "localhost:3"})
	if err != nil {
		t.Fatal(err)
	}
	want := []seed{{"127.0.10.1", Port}, {"127.0.10.1", 1}, {"::1", Port}, {"::1", 2}, {"::1", Port}, {"controller.example.test", Port}, {"localhost", 3}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, s := range []string{"", ":7946", "a:0", "a:x", "a:", "a:b:c"} {
		if _, err := parseSeeds([]string{s}); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

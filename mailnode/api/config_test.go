package api

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

const (
	id1   = "0198c0de-0000-7000-8000-000000000001"
	id2   = "0198c0de-0000-7000-8000-000000000002"
	hash  = "$argon2id$v=19$m=65536,t=1,p=2$c2FsdHNhbHRzYWx0c2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaJObG6gO6jkyCe5I"
	scram = "SCRAM-SHA-256$4096:c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	fast  = "$sha256$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func good() Config {
	return Config{
		Index: 7, Server: "s1", Hostname: "mx.example.test",
		Listeners:  []Listener{{Protocol: SMTP, Address: "127.0.0.1:1025"}, {Protocol: POP3, Address: "127.0.0.1:1110", Local: true}},
		Domains:    []Domain{{Name: "example.test"}},
		Postmaster: "User1@Example.Test",
		Accounts: []Account{
			{ID: id1, Address: "user1@example.test", PasswordHash: hash, SCRAM: scram, AppPasswords: []AppPassword{
				{ID: id2, Name: "phone", Hash: fast, SCRAM: scram, Protocols: []Protocol{POP3}, Expires: time.Unix(2e9, 0).UTC()},
			}},
			{ID: id2, Address: "User.Two@Example.test"},
		},
	}
}

func TestLoadConfigFillsDefaultsAndKeepsWhatIsSet(t *testing.T) {
	c := good()
	c.Limits.Recipients = 3
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mailnode.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultLimits()
	want.Recipients = 3
	if got.Limits != want || got.Index != 7 || got.Accounts[1].ID != id2 {
		t.Errorf("got %+v", got)
	}
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	var b strings.Builder
	if err := Describe(&b); err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`(?m)^\s*//.*\n`).ReplaceAllString(b.String(), "")
	c, err := ParseConfig("example", []byte(plain))
	if err != nil {
		t.Fatalf("the described example is not a good configuration: %v\n%s", err, plain)
	}
	if c.Limits != DefaultLimits() {
		t.Errorf("described %+v, in force %+v", c.Limits, DefaultLimits())
	}
	for _, key := range []string{"index", "local", "scram", "app_passwords", "quota_bytes", "off", "expires", "connections_per_address", "password_hash", "retry", "expire", "catch_all", "dkim", "away_partial", "forward", "blocklists", "on_failure"} {
		if !regexp.MustCompile(`// .{20,}\n\s+"` + key + `": `).MatchString(b.String()) {
			t.Errorf("%s is not explained in:\n%s", key, b.String())
		}
	}
}

func TestUnreadableFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.json")
	_, err := LoadConfig(path)
	if err == nil || err.Error() != path+": cannot read the configuration: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestUnusableCertificateIsNamedWithItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailnode.json")
	c := good()
	c.TLS = TLS{Cert: filepath.Join(t.TempDir(), "no.crt"), Key: "no.key"}
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = LoadConfig(path)
	if bad, ok := errors.AsType[*ConfigError](err); !ok || bad.Line != 17 || !strings.Contains(bad.Problem, "no.crt: no such file") {
		t.Errorf("got %v", err)
	}
}

func TestBadFileIsNamedWithLineAndColumn(t *testing.T) {
	for name, test := range map[string]struct{ file, want string }{
		"unknown key": {"{\n  \"acounts\": []\n}", `f:2:3: unknown key "acounts" in the configuration`},
		"unknown key deep down": {"{\"accounts\": [\n{},\n{\"mail\": 1}]}",
			`f:3:2: unknown key "mail" in accounts[1]`},
		"key in another case": {`{"Index": 1}`, `f:1:2: unknown key "Index" in the configuration`},
		"key twice":           {"{\"index\": 1,\n\"index\": 2}", `f:2:1: the key "index" is there twice in the configuration`},
		"wrong type":          {"{\"listeners\":\n  {}}", "f:2:3: listeners must be a list"},
		"list for a string":   {`{"server": ["a"]}`, "f:1:12: server must be a string"},
		"string for a number": {`{"index": "1"}`, "f:1:11: index must be a whole number"},
		"negative index":      {`{"index": -1}`, "f:1:13: index cannot be number -1"},
		"comment":             {"{\n// hello\n}", "f:2:1: this is not JSON: invalid character '/'"},
		"cut off":             {`{"server": "a"`, "f:1:15: this is not JSON: it ends too early"},
		"empty":               {``, "f:1:1: this is not JSON: it ends too early"},
		"not an object":       {`[]`, "f:1:1: the configuration must be an object"},
		"two documents":       {"{}\n{}", "f:2:1: there is something after the end of the configuration"},
		"bad value": {"{\"server\": \"s\", \"hostname\": \"h\", \"listeners\": [\n {\"protocol\": \"smtp\", \"address\": \"127.0.0.1:25\"},\n {\"protocol\": \"pop3\",\n  \"address\": \"127.0.0.1:70000\"}]}",
			`f:4:14: listeners[1].address: "70000" is not a port: it must be a number from 0 to 65535`},
		"no time":           {`{"accounts": [{"app_passwords": [{"expires": "tomorrow"}]}]}`, "f:1:46: accounts[0].app_passwords[0].expires must be a time such as"},
		"number for a time": {`{"accounts": [{"app_passwords": [{"expires": 1}]}]}`, "f:1:46: accounts[0].app_passwords[0].expires must be a string"},
		"missing value":     {"\n{\"hostname\": \"h\"}", "f:2:1: server: the server needs a name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseConfig("f", []byte(test.file))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		`hostname: "a_b" is not a host name`:                   func(c *Config) { c.Hostname = "a_b" },
		`listeners: at least one`:                              func(c *Config) { c.Listeners = nil },
		`listeners[0].protocol: "nntp" is not one of`:          func(c *Config) { c.Listeners[0].Protocol = "nntp" },
		`listeners[1].protocol: pop3s needs tls.cert`:          func(c *Config) { c.Listeners[1].Protocol = POP3S },
		`listeners[0].address: "25" is not an address`:         func(c *Config) { c.Listeners[0].Address = "25" },
		`listeners[0].address: "x" is not an IP address`:       func(c *Config) { c.Listeners[0].Address = "x:25" },
		`listeners[1].address: 127.0.0.1:1025 is already`:      func(c *Config) { c.Listeners[1].Address = "127.0.0.1:1025" },
		`tls: there is a cert but no key`:                      func(c *Config) { c.TLS.Cert = "x" },
		`tls: there is a key but no cert`:                      func(c *Config) { c.TLS.Key = "x" },
		`limits.message_bytes: -1 is not between`:              func(c *Config) { c.Limits.MessageBytes = -1 },
		`limits.free_bytes: 1 is not between`:                  func(c *Config) { c.Limits.FreeBytes = 1 },
		`limits.recipients: 100001 is not between`:             func(c *Config) { c.Limits.Recipients = 100001 },
		`domains[0].name: "-" is not a domain`:                 func(c *Config) { c.Domains[0].Name = "-" },
		`domains[1].name: the domain EXAMPLE.test`:             func(c *Config) { c.Domains = append(c.Domains, Domain{Name: "EXAMPLE.test"}) },
		`accounts[0].id: "1" is not a UUID`:                    func(c *Config) { c.Accounts[0].ID = "1" },
		`accounts[1].id: the account ` + id1:                   func(c *Config) { c.Accounts[1].ID = id1 },
		`accounts[1].address: the address USER1@example.test`:  func(c *Config) { c.Accounts[1].Address = "USER1@example.test" },
		`accounts[0].address: "user1" is not a mail address`:   func(c *Config) { c.Accounts[0].Address = "user1" },
		`accounts[0].address: "a..b@example.test" is not`:      func(c *Config) { c.Accounts[0].Address = "a..b@example.test" },
		`accounts[0].address: the domain of a@other.test`:      func(c *Config) { c.Accounts[0].Address = "a@other.test" },
		`accounts[0].password_hash: it is not an argon2id`:     func(c *Config) { c.Accounts[0].PasswordHash = "secret" },
		`accounts[0].password_hash: the argon2id parameters a`: func(c *Config) { c.Accounts[0].PasswordHash = strings.Replace(hash, "65536", "99999999", 1) },
		`accounts[0].password_hash: the argon2id salt`:         func(c *Config) { c.Accounts[0].PasswordHash = hash + "=" },
		`accounts[0].scram: it is not of the form`:             func(c *Config) { c.Accounts[0].SCRAM = "secret" },
		`accounts[0].scram: the SCRAM iterations are outside`:  func(c *Config) { c.Accounts[0].SCRAM = strings.Replace(scram, "4096", "1", 1) },
		`accounts[0].scram: the SCRAM salt must be`:            func(c *Config) { c.Accounts[0].SCRAM = strings.Replace(scram, "$AAAA", "$AAA", 1) },
		`accounts[0].app_passwords[0].id: "1" is not a UUID`:   func(c *Config) { c.Accounts[0].AppPasswords = []AppPassword{{ID: "1"}} },
		`accounts[0].app_passwords[0].hash: it is not $sha`:    func(c *Config) { c.Accounts[0].AppPasswords = []AppPassword{{ID: id2, Hash: "x"}} },
		`accounts[0].app_passwords[0].scram: it is not of`:     func(c *Config) { c.Accounts[0].AppPasswords = []AppPassword{{ID: id2, Hash: fast, SCRAM: "x"}} },
		`accounts[0].app_passwords[1].id: the application`: func(c *Config) {
			c.Accounts[0].AppPasswords = []AppPassword{{ID: id2, Hash: fast}, {ID: id2, Hash: fast}}
		},
		`listeners[0].address: only lmtp is spoken on`:         func(c *Config) { c.Listeners[0].Address = "unix:/run/x" },
		`listeners[0].address: the path of a socket must`:      func(c *Config) { c.Listeners[0] = Listener{Protocol: LMTP, Address: "unix:run/x"} },
		`mail.milters[0].address: "x" is not where a milter`:   func(c *Config) { c.Mail.Milters = []inventory.Milter{{Address: "x"}} },
		`mail.sending.resolvers: "ns" is not a DNS server`:     func(c *Config) { c.Mail.Sending.Resolvers = []string{"ns"} },
		`domains[0].mail.catch_all: catch_all "x" is not`:      func(c *Config) { c.Domains[0].Mail.CatchAll = "x" },
		`domains[0].mail.route.tls: a password is not sent`:    func(c *Config) { c.Domains[0].Mail.Route = inventory.Route{Host: "h", User: "u", TLS: "opportunistic"} },
		`domains[0].dkim[0].private: the key is not in PEM`:    func(c *Config) { c.Domains[0].DKIM = []DKIMKey{{Selector: "s", Private: "?"}} },
		`accounts[1].aliases[0]: the address user1@example.t`:  func(c *Config) { c.Accounts[1].Aliases = []string{"user1@example.test"} },
		`accounts[0].aliases[0]: the domain of a@other.test`:   func(c *Config) { c.Accounts[0].Aliases = []string{"a@other.test"} },
		`accounts[0].forward.to[0]: "x" is not a mail address`: func(c *Config) { c.Accounts[0].Forward.To = []string{"x"} },
		`accounts[0].language: "fr" is not one of`:             func(c *Config) { c.Accounts[0].Language = "fr" },
		`groups[0].address: the address user1@example.test`:    func(c *Config) { c.Groups = []Group{{Address: "user1@example.test"}} },
		`groups[0].members[0]: "x" is not a mail address`:      func(c *Config) { c.Groups = []Group{{Address: "g@example.test", Members: []string{"x"}}} },
		`groups[0].writers: "" is not one of anyone`:           func(c *Config) { c.Groups = []Group{{Address: "g@example.test"}} },
		`away[0].server: name its home server`:                 func(c *Config) { c.Away = []Away{{Address: "a@example.test"}} },
		`peers[0].address: "x" is not an IP address and port`:  func(c *Config) { c.Peers = []Peer{{Name: "s2", Address: "x"}} },
		`postmaster: nobody@example.test is not the address`:   func(c *Config) { c.Postmaster = "nobody@example.test" },
	} {
		c := good()
		spoil(&c)
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if want != "" {
			if _, ok := errors.AsType[*FieldError](err); !ok {
				t.Errorf("%v is not a FieldError", err)
			}
		}
	}
	c := good()
	if err := c.Validate(); err != nil {
		t.Errorf("a good configuration is refused: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	data, err := json.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"accounts":[{"id":null}],"limits":{}}`))
	f.Add([]byte(`{"index":1e400}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("f", data)
		if err != nil {
			bad, ok := errors.AsType[*ConfigError](err)
			if !ok || bad.Line < 1 || bad.Column < 1 || bad.Problem == "" {
				t.Fatalf("an error without a place: %#v", err)
			}
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseConfig("f", again); err != nil {
			t.Fatalf("a loaded configuration is refused when written again: %v\n%s", err, again)
		}
	})
}

func TestProtocolsHaveFeatures(t *testing.T) {
	for p, want := range map[Protocol]inventory.Feature{
		Submission: inventory.FeatureSMTP, Submissions: inventory.FeatureSMTP, POP3S: inventory.FeaturePOP3, POP3: inventory.FeaturePOP3,
		IMAP: inventory.FeatureIMAP, IMAPS: inventory.FeatureIMAP,
	} {
		if got := p.Feature(); got != want {
			t.Errorf("%s: got %s", p, got)
		}
	}
}

func TestLMTPListensOnASocket(t *testing.T) {
	for address, want := range map[string]string{"unix:/run/mail/lmtp": "", "127.0.0.1:24": "", "lmtp": `listeners[0].address: "lmtp" is not an address`} {
		c := Config{Listeners: []Listener{{Protocol: LMTP, Address: address}}}
		err := c.checkListeners()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v", address, err)
		}
	}
	c := Config{Listeners: []Listener{{Protocol: LMTP, Address: "unix:/a"}, {Protocol: LMTP, Address: "unix:/a"}}}
	if err := c.checkListeners(); err == nil {
		t.Error("one socket was taken twice")
	}
	if err := (&Config{Listeners: []Listener{{Protocol: SMTP, Address: "unix:/a"}}}).checkListeners(); err == nil {
		t.Error("SMTP listens on a socket")
	}
}

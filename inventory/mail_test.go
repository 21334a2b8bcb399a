package inventory

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseAddress(t *testing.T) {
	for s, want := range map[string]string{
		"user1@example.test":                "user1@example.test",
		" User.One@Example.TEST ":           "user.one@example.test",
		"a+b@x.test":                        "a+b@x.test",
		strings.Repeat("l", 64) + "@x.test": strings.Repeat("l", 64) + "@x.test",
	} {
		address, domain, err := ParseAddress("address", s)
		if err != nil || address != want || domain != want[strings.IndexByte(want, '@')+1:] {
			t.Errorf("ParseAddress(%q): %q, %q, %v", s, address, domain, err)
		}
	}
	long := strings.Repeat("d", 60)
	for _, s := range []string{
		"", "a", "@x.test", "a@", "a@b@c.test", "a b@x.test", `"a b"@x.test`, `"a"@x.test`, "<a@x.test>", "A <a@x.test>",
		"a@x.test (c)", "a@x.test, b@x.test", "a@[127.0.0.1]", "a@-x.test", "a@x..test", "a@x_y.test", "a@x.test\r\nRCPT TO:<b@x.test>",
		strings.Repeat("l", 65) + "@x.test",
		strings.Repeat("l", 60) + "@" + strings.Join([]string{long, long, long, long}, "."), // 304 octets
	} {
		address, domain, err := ParseAddress("address", s)
		if !Is(err, Invalid) || address != "" || domain != "" {
			t.Errorf("ParseAddress(%q): %q, %q, %v", s, address, domain, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"user1@example.test", "A <a@b>", `"a\"b"@x.test`, "\u212a@x.test", "a@\u212a.test", "(c)a@x.test", "a@[::1]", "=?utf-8?q?x?= <a@b.c>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, domain, err := ParseAddress("address", s)
		if err != nil {
			if !Is(err, Invalid) || address != "" || domain != "" {
				t.Errorf("%q, %q, %v", address, domain, err)
			}
			return
		}
		local, ok := strings.CutSuffix(address, "@"+domain)
		if !ok || local == "" || len(local) > 64 || len(address) > 254 {
			t.Errorf("ParseAddress(%q): %q, %q", s, address, domain)
		}
		if strings.ContainsAny(address, " \r\n\t\x00<>") || !utf8.ValidString(address) {
			t.Errorf("ParseAddress(%q) lets %q through", s, address)
		}
		if err := CheckName("domain", domain); err != nil {
			t.Error(err)
		}
		again, _, err := ParseAddress("address", address)
		if err != nil || again != address {
			t.Errorf("ParseAddress(%q) is %q, %v", address, again, err)
		}
	})
}

func TestAListenerSaysWhatItsServerDoesNot(t *testing.T) {
	r := Receiving{Greylisting: On, Tarpit: Off, Listeners: []Listener{{Port: 2525, Greylisting: Off, Tarpit: On, Blocklists: Off, Connections: 9, AddressConnections: 3}}, Connections: 200, AddressConnections: 20, NetworkConnections: 30}
	if got, want := r.Listener(25), (Listener{25, On, On, Off, On, On, On, On, 0, 20, 30}); got != want {
		t.Errorf("of the server's own %+v, want %+v", got, want)
	}
	if got, want := r.Listener(2525), (Listener{2525, On, On, On, On, On, Off, Off, 9, 3, 30}); got != want {
		t.Errorf("of the other %+v, want %+v", got, want)
	}
	for field, r := range map[string]Receiving{
		"receiving.listeners[0].port":   {Listeners: []Listener{{}}},
		"receiving.listeners[1].port":   {Listeners: []Listener{{Port: 1}, {Port: 1}}},
		"receiving.listeners[0].tarpit": {Listeners: []Listener{{Port: 1, Tarpit: "sometimes"}}},
		"receiving.rates":               {Rates: "maybe"},

		"receiving.connections":                      {Connections: -1},
		"receiving.address_connections":              {AddressConnections: 1_000_001},
		"receiving.network_connections":              {AddressConnections: 20, NetworkConnections: 19},
		"receiving.listeners[0].connections":         {Listeners: []Listener{{Port: 1, Connections: -1}}},
		"receiving.listeners[0].network_connections": {Listeners: []Listener{{Port: 1, AddressConnections: 2, NetworkConnections: 1}}},
		"receiving.listeners[1].network_connections": {NetworkConnections: 30, Listeners: []Listener{{Port: 1}, {Port: 2, AddressConnections: 31}}},
	} {
		f := MailFlow{Receiving: r}
		if err := f.Check(); err == nil || err.(*Error).Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	c := ServiceConfig{Ports: map[string]int{"smtp": 25, "imap": 143}, Mail: &MailFlow{Receiving: Receiving{Listeners: []Listener{{Port: 25}, {Port: 143}}}}}
	if err := c.Check(KindMailnode); err == nil || err.(*Error).Field != "mail.receiving.listeners[1].port" {
		t.Errorf("a port of another protocol: %v", err)
	}
}

package outbound

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/mailnode/resolve/resolvetest"
)

// wasSecure tells how the last message came; none: no message came.
func (r *remote) wasSecure() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.secure) == 0:
		return "none"
	case r.secure[len(r.secure)-1]:
		return "tls"
	}
	return "clear"
}

func TestOpportunisticTLS(t *testing.T) {
	ca := newAuthority(t)
	for name, x := range map[string]struct {
		change func(*remote)
		want   string
	}{
		"unknown authority, other name": {func(r *remote) { r.tls = ca.server(t, "other.test") }, "tls"},
		"not offered":                   {func(*remote) {}, "clear"},
		"STARTTLS is refused":           {func(r *remote) { r.tls = ca.server(t, "x.test"); r.answers["STARTTLS"] = "454 4.7.0 not now" }, "clear"},
		"STARTTLS closes":               {func(r *remote) { r.tls = ca.server(t, "x.test"); r.answers["STARTTLS"] = "CLOSE" }, "clear"},
		"STARTTLS hangs":                {func(r *remote) { r.tls = ca.server(t, "x.test"); r.answers["STARTTLS"] = "HANG" }, "clear"},
		"no certificate":                {func(r *remote) { r.tls = &tls.Config{} }, "clear"},
		"a reply put in before TLS": {func(r *remote) {
			r.tls = ca.server(t, "x.test")
			r.answers["STARTTLS"] = "220 go on\r\n250 injected"
		}, "clear"},
		"an old version": {func(r *remote) {
			r.tls = ca.server(t, "x.test")
			r.tls.MaxVersion, r.tls.MinVersion = tls.VersionTLS10, tls.VersionTLS10
		}, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, "127.0.0.2", 0, x.change)
			d := resolvetest.New(t, "remote.test. 300 IN A 127.0.0.2")
			c := client(t, d, r.addr.Port(), func(s *Settings) {
				s.Idle = time.Nanosecond
				if r.answers["STARTTLS"] == "HANG" {
					impatient(s)
				}
			})
			for range 2 { // the second time it is known
				o := c.Send(t.Context(), "remote.test", nil, letter(text, "x@remote.test"))[0]
				if got := r.wasSecure(); o.State != Sent || got != x.want {
					t.Errorf("got %s, want %s: %+v", got, x.want, o)
				}
			}
			if results := c.Results("9999"); len(results) > 1 || x.want == "tls" && results[0].Success != 2 {
				t.Errorf("the results are %+v", results)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	ca := newAuthority(t)
	for name, x := range map[string]struct {
		route  Route
		change func(*remote)
		want   string
		heard  string
		text   string
	}{
		"plain":                       {route: Route{}, change: func(*remote) {}, want: "clear"},
		"required and offered":        {route: Route{TLS: Required}, change: func(r *remote) { r.tls = ca.server(t, "other.test") }, want: "tls"},
		"required and not offered":    {route: Route{TLS: Required}, change: func(*remote) {}, want: "none", text: "smart.test [127.0.0.2] offers no TLS, without which nothing may be sent there (the route wants it)"},
		"verified":                    {route: Route{TLS: Verified}, change: func(r *remote) { r.tls = ca.server(t, "smart.test") }, want: "tls"},
		"verified, with another name": {route: Route{TLS: Verified}, change: func(r *remote) { r.tls = ca.server(t, "other.test") }, want: "none", text: "certificate is valid for other.test, not smart.test"},
		"never":                       {route: Route{TLS: Clear}, change: func(r *remote) { r.tls = ca.server(t, "smart.test") }, want: "clear"},
		"PLAIN": {
			route: Route{User: "u", Password: "p"}, want: "clear", heard: "AUTH PLAIN AHUAcA==",
			change: func(r *remote) { r.extensions = []string{"AUTH LOGIN PLAIN"} },
		},
		"LOGIN": {
			route: Route{User: "u", Password: "p"}, want: "clear", heard: "AUTH LOGIN",
			change: func(r *remote) { r.extensions = []string{"AUTH LOGIN"} },
		},
		"a wrong password": {
			route: Route{User: "u", Password: "p"}, want: "none", text: "refused the user name and password of the route: 535 5.7.8 no",
			change: func(r *remote) { r.extensions = []string{"AUTH PLAIN"}; r.answers["AUTH"] = "535 5.7.8 no" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, "127.0.0.2", 0, x.change)
			d := resolvetest.New(t, "smart.test. 300 IN A 127.0.0.2")
			c := client(t, d, 1, func(s *Settings) { s.Roots = ca.pool })
			x.route.Host, x.route.Port = "smart.test", int(r.addr.Port())
			o := c.Send(t.Context(), "far.test", &x.route, letter(text, "x@far.test"))[0]
			if got := r.wasSecure(); got != x.want || !strings.Contains(o.Text, x.text) || x.heard != "" && r.heard(x.heard) == 0 {
				t.Errorf("got %s, want %s: %+v; heard %q", got, x.want, o, r.commands)
			}
			if strings.Contains(o.Text, "AHUAcA") {
				t.Error("the password is in the text")
			}
		})
	}
	t.Run("TLS from the first byte", func(t *testing.T) {
		r := serve(t, "127.0.0.2", 0, nil)
		l, err := tls.Listen("tcp", "127.0.0.3:0", ca.server(t, "smart.test"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		go func() { // it ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go r.session(c, 1)
			}
		}()
		d := resolvetest.New(t, "smart.test. 300 IN A 127.0.0.3")
		c := client(t, d, 1, func(s *Settings) { s.Roots = ca.pool })
		route := &Route{Host: "smart.test", Port: l.Addr().(*net.TCPAddr).Port, TLS: Implicit}
		if o := c.Send(t.Context(), "far.test", route, letter(text, "x@far.test"))[0]; o.State != Sent || len(r.taken()) != 1 {
			t.Errorf("got %+v", o)
		}
	})
}

// published is a domain with an MTA-STS policy, served as it should be.
func published(t *testing.T, ca *authority, policy *atomic.Value) (port int, fetched *atomic.Int64) {
	fetched = &atomic.Int64{}
	l, err := tls.Listen("tcp", "127.0.0.9:0", ca.server(t, "mta-sts.x.test"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		text := policy.Load().(string)
		if r.URL.Path != "/.well-known/mta-sts.txt" || text == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(text))
	})}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port, fetched
}

func TestMTASTS(t *testing.T) {
	ca := newAuthority(t)
	const head = "version: STSv1\nmax_age: 86400\n"
	for name, x := range map[string]struct {
		policy string
		cert   string // name in the server's certificate; "" for no TLS
		want   string
		result string
	}{
		"enforced and good":         {head + "mode: enforce\r\nmx: mx.x.test\n", "mx.x.test", "tls", ""},
		"enforced with a wildcard":  {head + "mode: enforce\nmx: *.x.test\n", "mx.x.test", "tls", ""},
		"enforced, another name":    {head + "mode: enforce\nmx: mx.x.test\n", "other.test", "none", "certificate-host-mismatch"},
		"enforced, no TLS":          {head + "mode: enforce\nmx: mx.x.test\n", "", "none", "starttls-not-supported"},
		"enforced, not in the list": {head + "mode: enforce\nmx: *.mx.x.test\n", "mx.x.test", "none", "validation-failure"},
		"testing, another name":     {head + "mode: testing\nmx: mx.x.test\n", "other.test", "tls", "certificate-host-mismatch"},
		"testing, no TLS":           {head + "mode: testing\nmx: mx.x.test\n", "", "clear", "starttls-not-supported"},
		"none":                      {head + "mode: none\n", "", "clear", ""},
		"a policy that is none":     {"<html>", "", "clear", "sts-policy-fetch-error"},
		"a policy too long":         {head + "mode: enforce\nmx: mx.x.test\n" + strings.Repeat("x: y\n", 20000), "", "clear", "sts-policy-fetch-error"},
		"no policy":                 {"", "", "clear", "sts-policy-fetch-error"},
	} {
		t.Run(name, func(t *testing.T) {
			var policy atomic.Value
			policy.Store(x.policy)
			port, fetched := published(t, ca, &policy)
			r := serve(t, "127.0.0.2", 0, func(r *remote) {
				if x.cert != "" {
					r.tls = ca.server(t, x.cert)
				}
			})
			d := resolvetest.New(t, "x.test. 300 IN MX 1 mx.x.test.", "mx.x.test. 300 IN A 127.0.0.2",
				`_mta-sts.x.test. 0 IN TXT "v=STSv1; id=1;"`, "mta-sts.x.test. 300 IN A 127.0.0.9")
			c := client(t, d, r.addr.Port(), func(s *Settings) { s.Roots, s.HTTPSPort = ca.pool, port })
			for range 2 {
				o := c.Send(t.Context(), "x.test", nil, letter(text, "u@x.test"))[0]
				if got := r.wasSecure(); got != x.want || (o.State == Sent) != (x.want != "none") || o.State == Permanent {
					t.Errorf("got %s, want %s: %+v", got, x.want, o)
				}
			}
			if fetched.Load() != 1 {
				t.Errorf("the policy was fetched %d times", fetched.Load())
			}
			found := ""
			for _, result := range c.Results("9999") {
				for _, f := range result.Failures {
					found = f.Type
				}
			}
			if found != x.result {
				t.Errorf("counted was %q, want %q", found, x.result)
			}
			// A policy in force stays when its record is gone or cannot be looked up.
			policy.Store("")
			d.Refuse("_mta-sts.x.test", dns.RcodeServerFailure)
			before := len(r.taken())
			c.Send(t.Context(), "x.test", nil, letter(text, "u@x.test"))
			if got := len(r.taken()) > before; got != (x.want != "none") {
				t.Errorf("with the record gone, that mail went was %v", got)
			}
		})
	}
}

func TestDANE(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.server(t, "mx.x.test")
	leaf := good.Certificates[0].Leaf
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	for name, x := range map[string]struct {
		tlsa   string
		tls    *tls.Config
		secure bool
		want   string
	}{
		"key of the server":                  {"3 1 1 " + sum(leaf.RawSubjectPublicKeyInfo), good, true, "tls"},
		"certificate of the server":          {"3 0 0 " + hex.EncodeToString(leaf.Raw), good, true, "tls"},
		"authority":                          {"2 0 1 " + sum(ca.cert.Raw), good, true, "tls"},
		"authority, whole":                   {"2 0 0 " + hex.EncodeToString(ca.cert.Raw), good, true, "tls"},
		"another authority":                  {"2 0 1 " + sum(other.cert.Raw), good, true, "none"},
		"authority, another name":            {"2 1 1 " + sum(ca.cert.RawSubjectPublicKeyInfo), ca.server(t, "evil.test"), true, "none"},
		"another key":                        {"3 1 1 " + sum(leaf.Raw), good, true, "none"},
		"no TLS offered":                     {"3 1 1 " + sum(leaf.RawSubjectPublicKeyInfo), nil, true, "none"},
		"nothing usable: TLS, unchecked":     {"0 0 1 " + sum([]byte("x")), ca.server(t, "evil.test"), true, "tls"},
		"nothing usable and no TLS":          {"0 0 1 " + sum([]byte("x")), nil, true, "none"},
		"not secure: as if it did not exist": {"3 1 1 " + sum(leaf.Raw), nil, false, "clear"},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, "127.0.0.2", 0, func(r *remote) { r.tls = x.tls })
			d := resolvetest.New(t, "x.test. 300 IN MX 1 mx.x.test.", "mx.x.test. 300 IN A 127.0.0.2",
				"_"+port(r)+"._tcp.mx.x.test. 300 IN TLSA "+x.tlsa)
			d.Secure(x.secure)
			c := client(t, d, r.addr.Port(), nil)
			o := c.Send(t.Context(), "x.test", nil, letter(text, "u@x.test"))[0]
			if got := r.wasSecure(); got != x.want || o.State == Permanent {
				t.Errorf("got %s, want %s: %+v", got, x.want, o)
			}
		})
	}
	t.Run("nobody knows", func(t *testing.T) {
		r := serve(t, "127.0.0.2", 0, func(r *remote) { r.tls = good })
		d := resolvetest.New(t, "x.test. 300 IN A 127.0.0.2")
		d.Secure(true)
		d.Silence("_" + port(r) + "._tcp.x.test")
		c := client(t, d, r.addr.Port(), nil)
		o := c.Send(t.Context(), "x.test", nil, letter(text, "u@x.test"))[0]
		if o.State != Temporary || o.Enhanced != "4.7.5" || r.wasSecure() != "none" {
			t.Errorf("got %+v", o)
		}
	})
}

func port(r *remote) string { _, p, _ := net.SplitHostPort(r.addr.String()); return p }

func TestRequireTLS(t *testing.T) {
	ca := newAuthority(t)
	send := func(t *testing.T, secure bool, names string, extensions ...string) (Outcome, *remote) {
		t.Helper()
		r := serve(t, "127.0.0.2", 0, func(r *remote) { r.extensions, r.tls = extensions, ca.server(t, names) })
		d := resolvetest.New(t, "x.test. 300 IN MX 1 mx.x.test.", "mx.x.test. 300 IN A 127.0.0.2")
		d.Secure(secure)
		m := letter(text, "u@x.test")
		m.RequireTLS = true
		return client(t, d, r.addr.Port(), func(s *Settings) { s.Roots = ca.pool }).Send(t.Context(), "x.test", nil, m)[0], r
	}
	if o, r := send(t, true, "mx.x.test", "REQUIRETLS"); o.State != Sent || r.heard("MAIL FROM:<a@out.test> REQUIRETLS") != 1 {
		t.Errorf("all is well: got %+v", o)
	}
	if o, _ := send(t, false, "mx.x.test", "REQUIRETLS"); o.State != Permanent || o.Enhanced != "5.7.30" {
		t.Errorf("nothing proves the host: got %+v", o)
	}
	if o, _ := send(t, true, "mx.x.test"); o.State != Permanent || o.Enhanced != "5.7.30" {
		t.Errorf("it is not offered: got %+v", o)
	}
	if o, r := send(t, true, "evil.test", "REQUIRETLS"); o.State != Temporary || r.wasSecure() != "none" {
		t.Errorf("the certificate has another name: got %+v", o)
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 2.0.0 b\r\n", "250\n", "2500 x\r\n", "25\r\n", "250-x\r\n251 y\r\n", "550 5.1.1 \x00\xff\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readReply(newReader(s))
		if err != nil {
			return
		}
		if got.code < 200 || got.code > 599 || len(got.lines) == 0 || len(got.lines) > replyLines {
			t.Fatalf("%q is %+v", s, got)
		}
		if text := got.String(); strings.ContainsAny(text, "\r\n\x00") || len(text) > replyText+10 {
			t.Fatalf("%q is %q", s, text)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add("version: STSv1\nmode: enforce\nmx: *.x.test\nmax_age: 1\n")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseSTS([]byte(s))
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > stsLongest || p.Mode != "none" && len(p.MX) == 0 {
			t.Fatalf("%q is %+v", s, p)
		}
		_ = p.allows("mx.x.test")
	})
}

// What a remote reads as lines of DATA is the message, and the message ends nowhere else.
func FuzzStuffer(f *testing.F) {
	for _, s := range []string{text, "", ".", "a\r\n.\r\nb", "a\n.\nb", "a\r.\rb", "\r", "\r\r\n..", "a\r\n.\r", "x\n.\r\nMAIL FROM:<e>\r\n"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, step int) {
		var b strings.Builder
		w := stuffer{w: &b, last: '\n'}
		step = min(max(step, 1), 100)
		for rest := s; rest != ""; rest = rest[min(step, len(rest)):] {
			if _, err := w.Write([]byte(rest[:min(step, len(rest))])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		sent, ok := strings.CutSuffix(b.String(), ".\r\n")
		if !ok || strings.Contains("\n"+sent, "\n.\r\n") {
			t.Fatalf("%q is sent as %q", s, b.String())
		}
		if rest := strings.ReplaceAll(sent, "\r\n", ""); strings.ContainsAny(rest, "\r\n") {
			t.Fatalf("%q is sent with bare line ends: %q", s, sent)
		}
		got := strings.ReplaceAll("\n"+strings.ReplaceAll(sent, "\r\n", "\n"), "\n..", "\n.")[1:]
		if got != want {
			t.Fatalf("%q is read as %q, want %q", s, got, want)
		}
	})
}

package outbound

import (
	"strings"
	"sync/atomic"
	"testing"

	"mailfleet/mailnode/resolve/resolvetest"
)

// Who writes TLS-Required: No gets the message delivered where the domain's policy would
// not have it.
func TestTLSNotRequired(t *testing.T) {
	const no = "TLS-Required: No\r\n" + text
	ca := newAuthority(t)
	var policy atomic.Value
	policy.Store("version: STSv1\nmax_age: 86400\nmode: enforce\nmx: mx.x.test\n")
	httpsPort, _ := published(t, ca, &policy)
	send := func(t *testing.T, message, cert string, requireTLS bool) (Outcome, *remote, *Client) {
		t.Helper()
		r := serve(t, "127.0.0.2", 0, func(r *remote) {
			if r.extensions = []string{"REQUIRETLS"}; cert != "" {
				r.tls = ca.server(t, cert)
			}
		})
		d := resolvetest.New(t, "x.test. 300 IN MX 1 mx.x.test.", "mx.x.test. 300 IN A 127.0.0.2", "mta-sts.x.test. 300 IN A 127.0.0.9",
			`_mta-sts.x.test. 0 IN TXT "v=STSv1; id=1;"`)
		m := letter(message, "u@x.test")
		m.RequireTLS = requireTLS
		c := client(t, d, r.addr.Port(), func(s *Settings) { s.Roots, s.HTTPSPort = ca.pool, httpsPort })
		return c.Send(t.Context(), "x.test", nil, m)[0], r, c
	}
	for name, x := range map[string]struct {
		message, cert string
		require       bool
		want          string
	}{
		"not said":                    {text, "evil.test", false, "none"},
		"said, another name":          {no, "evil.test", false, "tls"},
		"said, no TLS":                {no, "", false, "clear"},
		"said, all is well":           {no, "mx.x.test", false, "tls"},
		"said, and the opposite":      {no, "evil.test", true, "none"},
		"said in the body":            {text + no, "evil.test", false, "none"},
		"said twice":                  {"TLS-Required: No\r\n" + no, "evil.test", false, "none"},
		"something else":              {"TLS-Required: Yes\r\n" + text, "evil.test", false, "none"},
		"in small letters, long head": {"X: " + strings.Repeat("x", 9000) + "\r\ntls-required:no\r\n" + text, "evil.test", false, "tls"},
		"in a long line":              {"X: " + strings.Repeat("x", replyLine-3) + no, "evil.test", false, "none"},
	} {
		t.Run("MTA-STS, "+name, func(t *testing.T) {
			o, r, c := send(t, x.message, x.cert, x.require)
			if got := r.wasSecure(); got != x.want || (o.State == Sent) != (x.want != "none") {
				t.Errorf("got %s, want %s: %+v", got, x.want, o)
			}
			if counted := len(c.Results("9999")) > 0; counted == (x.want != "none") {
				t.Errorf("that it was counted is %v", counted)
			}
		})
	}
	t.Run("DANE", func(t *testing.T) {
		for message, want := range map[string]string{text: "none", no: "tls"} {
			r := serve(t, "127.0.0.2", 0, func(r *remote) { r.tls = ca.server(t, "mx.x.test") })
			d := resolvetest.New(t, "x.test. 300 IN MX 1 mx.x.test.", "mx.x.test. 300 IN A 127.0.0.2",
				"_"+port(r)+"._tcp.mx.x.test. 300 IN TLSA 3 1 1 "+strings.Repeat("00", 32))
			d.Secure(true)
			o := client(t, d, r.addr.Port(), nil).Send(t.Context(), "x.test", nil, letter(message, "u@x.test"))[0]
			if got := r.wasSecure(); got != want {
				t.Errorf("got %s, want %s: %+v", got, want, o)
			}
		}
	})
	t.Run("a host that is not in the policy", func(t *testing.T) {
		policy.Store("version: STSv1\nmax_age: 86400\nmode: enforce\nmx: other.x.test\n")
		if o, _, _ := send(t, no, "evil.test", false); o.State != Sent {
			t.Errorf("got %+v", o)
		}
		if o, _, _ := send(t, text, "mx.x.test", false); o.State != Temporary {
			t.Errorf("got %+v", o)
		}
	})
}

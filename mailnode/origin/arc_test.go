package origin

import (
	"strings"
	"testing"

	"mailfleet/inventory/domainkey"
)

// sealed is a message that mailauth has sealed, once for each domain, as lists do
// that change nothing.
func sealed(t *testing.T, server, message string, domains ...string) string {
	t.Helper()
	k := keys(t)[0]
	pem, err := domainkey.Encode(k.Signer)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range domains {
		answers := mailauth(t, server, []peerAsk{{
			Message: []byte(message), IP: peer.String(), Helo: "h.test", Sender: "b@elsewhere.test", ARC: true,
			Seal: &peerKey{d, k.Selector, string(pem)},
		}})
		message = answers[0].Headers + message
	}
	return message
}

func TestARC(t *testing.T) {
	j, z, server := judging(t)
	dmarcZone(t, z)
	for _, d := range []string{"list.test", "second.test"} {
		publish(t, z, d, keys(t))
	}
	j.settings.Sealers = New(Settings{Sealers: []string{"Second.TEST."}}, nil).settings.Sealers
	original := dmarcMessage(t, "a@reject.test", "reject.test")
	one := sealed(t, server, original, "list.test")
	two := sealed(t, server, one, "second.test")
	// The list puts its name into the subject before it seals; mailauth does not, so
	// the original signature goes instead.
	unsigned := func(s string) string {
		return s[:strings.LastIndex(s, "DKIM-Signature: v=1; a=rsa")] + s[strings.LastIndex(s, "From: a@reject"):]
	}
	change := func(s, old, with string) string {
		out := strings.Replace(s, old, with, 1)
		if out == s {
			t.Fatalf("%q is not in\n%s", old, s)
		}
		return out
	}
	m := Message{Peer: peer, Helo: "h.test", From: "b@elsewhere.test"}
	cases := []struct {
		name, message string
		want          Result
		sets          int
		refused       Action
	}{
		{"none", original, None, 0, Accept},
		{"one", one, Pass, 1, Accept},
		{"two", two, Pass, 2, Accept},
		{"one, not trusted, without the signature", unsigned(one), Pass, 1, Refuse},
		{"two, trusted, without the signature", unsigned(two), Pass, 2, Accept},
		{"the body changed", two + "more\r\n", Fail, 2, Refuse},
		{"the subject changed", change(two, "Subject: x", "Subject: y"), Fail, 2, Refuse},
		{"results changed", change(two, "ARC-Authentication-Results: i=1; mx.example.test", "ARC-Authentication-Results: i=1; my.example.test"), Fail, 2, Accept},
		{"a set is missing", change(two, "ARC-Seal: i=1", "X-Seal: i=1"), Fail, 0, Accept},
		{"a set twice", change(two, "ARC-Seal: i=1", "ARC-Seal: i=2"), Fail, 0, Accept},
		{"no number", change(two, "ARC-Seal: i=1", "ARC-Seal: i=x"), Fail, 0, Accept},
		{"too many", change(two, "ARC-Seal: i=1", "ARC-Seal: i=51"), Fail, 0, Accept},
		{"a chain that was broken", change(two, "cv=pass", "cv=fail"), Fail, 2, Accept},
	}
	var asks []peerAsk
	for _, c := range cases {
		v := j.test(t, m, c.message)
		if v.ARC.Result != c.want || c.sets > 0 && v.ARC.Sets != c.sets || (v.ARC.Reason == "") != (c.want == Pass || c.want == None) {
			t.Errorf("%s: %+v", c.name, v.ARC)
		}
		if got := v.Disposition(Refuse); got != c.refused {
			t.Errorf("%s: %s, %+v, %+v", c.name, got, v.DMARC, v.ARC)
		}
		if strings.Contains(v.Header, "arc="+string(c.want)) != (c.want != None) {
			t.Errorf("%s: %s", c.name, v.Header)
		}
		asks = append(asks, peerAsk{Message: []byte(c.message), IP: peer.String(), Helo: "h.test", Sender: m.From, ARC: true})
	}
	for i, got := range mailauth(t, server, asks) {
		if c := cases[i]; (got.ARC == Pass) != (c.want == Pass) {
			t.Errorf("%s: mailauth says %s", c.name, got.ARC)
		}
	}
	z.set(domainkey.Name(keys(t)[0].Selector, "list.test"), "SERVFAIL")
	if v := j.test(t, m, two); v.ARC.Result != TempError {
		t.Errorf("without DNS: %+v", v.ARC)
	}
}

func TestPassedDMARC(t *testing.T) {
	for results, want := range map[string]bool{
		" i=1; mx.a.test;\r\n\tspf=pass; dmarc=pass (p=none) header.from=a.test": true,
		" i=1; mx.a.test; (x) dmarc = pass":                                      true,
		" i=1; mx.a.test; dmarc=fail; dkim=pass":                                 false,
		" i=1; dmarc.pass; xdmarc=pass":                                          false,
		" i=1":                                                                   false,
	} {
		if got := passedDMARC([]byte(results)); got != want {
			t.Errorf("%s: %v", results, got)
		}
	}
}

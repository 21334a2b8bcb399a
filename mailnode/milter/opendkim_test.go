package milter

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory/domainkey"
	"mailfleet/mailnode/origin"
	"mailfleet/mailnode/resolve/resolvetest"
)

// A real milter, on a library of sendmail's: it signs, and marks what is no message.
func TestOpendkim(t *testing.T) {
	path := peers.Find(t, "opendkim", "/usr/sbin/opendkim")
	key, err := domainkey.Generate(domainkey.RSA)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := domainkey.Encode(key)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "opendkim") // the path of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	for name, content := range map[string]string{
		"key": string(pem),
		"conf": fmt.Sprintf("Mode sv\nDomain example.org\nSelector sel\nKeyFile %s/key\nSocket local:%s\nPidFile %s/pid\nSyslog no\n"+
			"Canonicalization relaxed/simple\nInternalHosts 192.0.2.1\nRequiredHeaders yes\nBackground no\nRequireSafeKeys no\n", dir, socket, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "-x", filepath.Join(dir, "conf"), "-f")
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	deadline := time.Now().Add(time.Minute)
	for {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("opendkim does not listen: %v\n%s", err, out)
		}
	}
	c := chain(t, Settings{Name: "opendkim", Address: "unix:" + socket, Required: true})

	const good = "From: ann@example.org\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\nSubject: one\r\n\ttwo\r\nTo: bob@example.test\r\n"
	session, r := c.Connect(t.Context(), peer)
	defer session.Close()
	if r.Refusal != nil {
		t.Fatal(r.Refusal)
	}
	session.Helo(t.Context(), peer)
	for range 2 { // two messages of one session
		session.Mail(t.Context(), "ann@example.org", nil)
		session.Recipient(t.Context(), "bob@example.test", nil)
		r = session.Message(t.Context(), message(good, strings.Repeat(body, 5000)))
		if r.Refusal != nil || len(r.Changes.Header) == 0 {
			t.Fatalf("%+v\n%s", r, out)
		}
	}
	signed := splitFields([]byte(good))
	w := &work{fields: signed, open: func() io.Reader { return nil }}
	for _, h := range r.Changes.Header {
		w.change(h)
	}
	record, err := domainkey.TXT(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	server := resolvetest.New(t, fmt.Sprintf("sel._domainkey.example.org. 300 IN TXT %q %q", record[:200], record[200:]))
	judge := origin.New(origin.Settings{ID: "mx.example.test"}, server.Resolver(t))
	v, err := judge.Judge(t.Context(), origin.Message{}, strings.NewReader(strings.Join(w.fields, "")+"\r\n"+strings.Repeat(body, 5000)))
	if err != nil || len(v.DKIM) != 1 || v.DKIM[0].Result != origin.Pass {
		t.Errorf("what opendkim signed: %+v, %v\n%q", v.DKIM, err, w.fields)
	}

	session.Mail(t.Context(), "ann@example.org", nil)
	session.Recipient(t.Context(), "bob@example.test", nil)
	r = session.Message(t.Context(), message("Subject: no date\r\n", body))
	if len(r.Changes.Header) != 1 || r.Changes.Header[0].Op != InsertField || !strings.Contains(r.Changes.Header[0].Value, "permerror") {
		t.Errorf("a message without From and Date: %+v\n%s", r, out)
	}
}

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/api"
)

// peer runs another's program against ours and returns what it printed.
func peer(t *testing.T, debianPackage, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), peers.Find(t, debianPackage, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// withTLS gives the fixture a certificate and returns the file to trust it by.
func (f *fixture) withTLS() (ca string) {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.example.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		f.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	f.config.TLS = api.TLS{Cert: filepath.Join(f.dir, "crt"), Key: filepath.Join(f.dir, "key")}
	for path, block := range map[string]*pem.Block{
		f.config.TLS.Cert: {Type: "CERTIFICATE", Bytes: cert}, f.config.TLS.Key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.POP3S, Address: "127.0.0.1:0"})
	f.write()
	return f.config.TLS.Cert
}

func TestSwaksDeliversAndCurlReads(t *testing.T) {
	f := newFixture(t)
	ca := f.withTLS()
	f.start()
	out := peer(t, "swaks", "swaks", "--server", f.address(api.SMTP), "--to", "User1+tag@Example.Test",
		"--from", "a@outside.test", "--header", "Subject: from swaks", "--body", "in the clear")
	if !strings.Contains(out, "250 2.6.0") {
		t.Errorf("swaks:\n%s", out)
	}
	file := filepath.Join(f.dir, "message")
	if err := os.WriteFile(file, []byte("Subject: from curl\r\n\r\nby TLS\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	peer(t, "curl", "curl", "-sS", "--ssl-reqd", "--cacert", ca, "smtp://"+f.address(api.SMTP),
		"--mail-from", "a@outside.test", "--mail-rcpt", "user1@example.test", "--upload-file", file)
	login := "user1@example.test:" + password
	plain := peer(t, "curl", "curl", "-sS", "-u", login, "pop3://"+f.address(api.POP3)+"/1")
	if !strings.Contains(plain, "Subject: from swaks\r\n") || !strings.Contains(plain, "in the clear") || !strings.Contains(plain, "with ESMTP id") {
		t.Errorf("curl pop3:// got\n%s", plain)
	}
	for _, url := range []string{"pop3s://" + f.address(api.POP3S), "pop3://" + f.address(api.POP3)} {
		got := peer(t, "curl", "curl", "-sS", "--ssl-reqd", "--cacert", ca, "-u", login, url+"/2")
		if !strings.Contains(got, "by TLS") || !strings.Contains(got, "with ESMTPS (TLS 1.3") {
			t.Errorf("curl %s got\n%s", url, got)
		}
	}
	list := peer(t, "curl", "curl", "-sS", "-u", login, "pop3://"+f.address(api.POP3)+"/")
	if strings.Count(list, "\n") != 2 {
		t.Errorf("curl lists\n%s", list)
	}
}

const pythonClient = `
import poplib, smtplib, ssl, sys
smtp, pop3, pop3s, ca, user, password = sys.argv[1:7]
context = ssl.create_default_context(cafile=ca)
def address(s):
    host, port = s.rsplit(":", 1)
    return host, int(port)

with smtplib.SMTP(*address(smtp)) as s:
    s.starttls(context=context)
    s.ehlo()
    assert s.has_extn("pipelining") and s.has_extn("8bitmime") and s.esmtp_features["size"] == "52428800"
    for body in ("one\r\n.\r\n..two", "\r\n".join(["天气" * 300] * 200)):
        refused = s.sendmail("a@outside.test", [user, "nobody@example.test"], ("Subject: python\r\n\r\n" + body).encode(), ["BODY=8BITMIME"])
        assert refused["nobody@example.test"][0] == 550, refused
    try:
        s.sendmail("a@outside.test", ["x@elsewhere.test"], "no")
        assert False, "relayed"
    except smtplib.SMTPRecipientsRefused as e:
        assert e.recipients["x@elsewhere.test"][0] == 550

def plain(): return poplib.POP3(*address(pop3), timeout=20)
def implicit(): return poplib.POP3_SSL(*address(pop3s), context=context, timeout=20)
def upgraded():
    p = plain()
    assert "STLS" in p.capa()
    p.stls(context=context)
    return p

uidls = []
for connect in (plain, implicit, upgraded):
    p = connect()
    p.user(user)
    p.pass_(password)
    count, size = p.stat()
    assert count == 2, count
    sizes = [int(line.split()[1]) for line in p.list()[1]]
    assert sum(sizes) == size
    for i in (1, 2):
        lines = p.retr(i)[1]
        assert sum(len(line) + 2 for line in lines) == sizes[i - 1], i
    assert p.retr(1)[1][-4:] == [b"", b"one", b".", b"..two"], p.retr(1)[1]
    assert p.retr(2)[1][-1].decode() == "天气" * 300
    assert b"Subject: python" in p.top(1, 0)[1] and p.top(1, 0)[1][-1] == b""
    uidls.append(p.uidl()[1])
    p.noop()
    p.dele(1)
    p.rset()
    p.quit()
assert uidls[0] == uidls[1] == uidls[2], uidls

p = plain()
p.user(user)
p.pass_(password)
other = plain()
other.user(user)
try:
    other.pass_(password)
    assert False, "two sessions hold one maildrop"
except poplib.error_proto as e:
    assert b"[IN-USE]" in e.args[0], e
p.dele(1)
p.quit()
other.user(user)
other.pass_(password)
assert other.uidl()[1] == [uidls[0][1].replace(b"2 ", b"1 ", 1)]
other.quit()
p = plain()
try:
    p.user(user)
    p.pass_("wrong")
    assert False, "signed in with a wrong password"
except poplib.error_proto as e:
    assert b"[AUTH]" in e.args[0], e
print("done")
`

func TestPythonDeliversAndReads(t *testing.T) {
	f := newFixture(t)
	ca := f.withTLS()
	f.start()
	out := peer(t, "python3", "python3", "-c", pythonClient,
		f.address(api.SMTP), f.address(api.POP3), f.address(api.POP3S), ca, "user1@example.test", password)
	if out != "done\n" {
		t.Errorf("python3 said\n%s", out)
	}
}

func TestCurlDeliversALargeMessage(t *testing.T) {
	f := newFixture(t)
	f.start()
	file := filepath.Join(f.dir, "large")
	text := append([]byte("Subject: large\r\n\r\n"), bytes.Repeat([]byte(".seventy-six octets of text on each line, with a dot at its very beginning..\r\n"), 300_000)...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	peer(t, "curl", "curl", "-sS", "smtp://"+f.address(api.SMTP), "--mail-from", "a@outside.test",
		"--mail-rcpt", "user1@example.test", "--mail-rcpt", "user2@example.test", "--upload-file", file)
	for _, user := range []string{"user1", "user2"} {
		got := peer(t, "curl", "curl", "-sS", "-u", user+"@example.test:"+password, "pop3://"+f.address(api.POP3)+"/1")
		if !strings.HasSuffix(got, string(text)) {
			t.Errorf("%s got %d bytes of %d", user, len(got), len(text))
		}
	}
	if left, err := os.ReadDir(filepath.Join(f.dir, "data", "spool")); err != nil || len(left) > 0 {
		t.Error(fmt.Sprint("the spool holds ", left), err)
	}
}

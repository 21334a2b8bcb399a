package main

import (
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/mailnode/api"
)

const pythonSubmitter = `
import smtplib, ssl, sys
submission, submissions, lmtp, ca, user, other, password = sys.argv[1:8]
context = ssl.create_default_context(cafile=ca)
def address(s):
    host, port = s.rsplit(":", 1)
    return host, int(port)

def send(s, text):
    s.login(user, password)
    assert s.esmtp_features["futurerelease"].startswith("31622400 "), s.esmtp_features
    try:
        s.sendmail(other, [other], "not mine")
        assert False, "sent as another"
    except smtplib.SMTPSenderRefused as e:
        assert e.smtp_code == 553, e
    s.sendmail(user, [other], "From: %s\r\nBcc: x@elsewhere.test\r\nSubject: %s\r\n\r\n%s\r\n" % (user, text, text))
    s.quit()

s = smtplib.SMTP(*address(submission))
s.ehlo()
code, text = s.mail(user)
assert code == 530, text
s.starttls(context=context)
send(s, "by submission")
send(smtplib.SMTP_SSL(*address(submissions), context=context), "by submissions")
s = smtplib.LMTP(lmtp)
s.ehlo_or_helo_if_needed()
s.sendmail("a@outside.test", [other], "Subject: by lmtp\r\n\r\nby lmtp\r\n")
s.quit()
print("done")
`

// Users submit on both ports, and a server on this machine hands over by LMTP.
func TestPythonSubmitsAndHandsOver(t *testing.T) {
	f := newFixture(t)
	ca := f.withTLS()
	socket := filepath.Join(f.dir, "lmtp")
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.Submission, Address: "127.0.0.1:0"},
		api.Listener{Protocol: api.Submissions, Address: "127.0.0.1:0"}, api.Listener{Protocol: api.LMTP, Address: "unix:" + socket})
	f.write()
	f.start()
	if out := peer(t, "python3", "python3", "-c", pythonSubmitter, f.address(api.Submission), f.address(api.Submissions), socket,
		ca, "user1@example.test", "user2@example.test", password); out != "done\n" {
		t.Errorf("python3 said\n%s", out)
	}
	got := fetch(t, f.address(api.POP3), "user2@example.test", false)
	if len(got) != 3 {
		t.Fatalf("got %v", got)
	}
	for i, want := range []string{"with ESMTPSA (TLS 1.3", "with ESMTPSA (TLS 1.3", "with LMTP id"} {
		text := got[i].text
		if !strings.Contains(text, want) || !strings.HasPrefix(text, "Return-Path: <") || strings.Contains(text, "Bcc:") || i < 2 && !strings.Contains(text, "\r\nMessage-ID: <") {
			t.Errorf("message %d: %q", i, text)
		}
	}
}

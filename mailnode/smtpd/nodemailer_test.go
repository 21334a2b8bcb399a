package smtpd

import (
	"strconv"
	"strings"
	"testing"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/envelope"
)

// nodemailer submits with attachments and DSN options, and over a pool of connections
// that carry several messages each.
func TestNodemailerSubmits(t *testing.T) {
	const folder = "../testdata/node"
	peers.Node(t, folder, "nodemailer")
	shared, accounts := elsewhere(t)
	same := func(o *Options) { o.Recipients, o.Deliverer, o.Auth = shared, shared, accounts }
	begun, _ := submission(t, Submission, same)
	secure, _ := submission(t, Submissions, same)
	cmd := program(t, "nodejs", "node", "submit.mjs", begun.addr, secure.addr, "user1@example.test", "secret")
	cmd.Dir = folder
	connections, err := strconv.Atoi(strings.TrimSpace(mustRun(t, cmd)))
	if err != nil || connections < 1 || connections > 3 {
		t.Errorf("the pool made %d connections, %v", connections, err)
	}
	if len(shared.mail) != 4+30 {
		t.Fatalf("%d messages came", len(shared.mail))
	}
	attached, pooled := 0, 0
	for i, e := range shared.envelopes {
		got := shared.mail[i]
		if e.Account != user1 || !strings.Contains(got, "with ESMTPSA (TLS") || strings.Contains(got, "Bcc:") {
			t.Errorf("message %d, of %s: %.300q", i, e.Account, got)
		}
		if strings.Contains(got, "Subject: pool ") {
			pooled++
			continue
		}
		attached++
		if len(e.Recipients) != 3 || e.EnvID != "node+2Bmailer" || e.Return != envelope.ReturnHeaders ||
			e.Recipients[0].Notify != envelope.NotifySuccess|envelope.NotifyFailure || e.Recipients[0].Original != "rfc822;user1@example.test" {
			t.Errorf("the envelope is %+v", e)
		}
		if strings.Count(got, "paWlpaWlpaWl") < 1000 || !strings.Contains(got, "note.txt") {
			t.Errorf("the attachments are not there: %d bytes", len(got))
		}
	}
	if attached != 4 || pooled != 30 {
		t.Errorf("%d messages with attachments, %d by the pool", attached, pooled)
	}
}

package main

import (
	"fmt"
	"io"
	"net/smtp"
	"strings"
	"testing"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// talk is a caller whose server greets and may say more than one asks for.
type talk struct{ *caller }

func (f *fixture) talk(p api.Protocol) *talk {
	f.t.Helper()
	k := &talk{f.call(p)}
	k.line()
	return k
}

func (k *talk) line() string {
	k.t.Helper()
	line, err := k.r.ReadString('\n')
	if err != nil {
		k.t.Fatal(err)
	}
	return strings.TrimRight(line, "\r\n")
}

// do sends a line and expects that of its answer which does not begin with * to
// begin in a way. It returns the lines before.
func (k *talk) do(command, want string) (untagged string) {
	k.t.Helper()
	if _, err := fmt.Fprintf(k, "%s\r\n", command); err != nil {
		k.t.Fatal(err)
	}
	line := k.line()
	for ; strings.HasPrefix(line, "* "); line = k.line() {
		untagged += line + "\n"
	}
	if !strings.HasPrefix(line, want) {
		k.t.Errorf("%q was answered %q, want %q", command, line, want)
	}
	return untagged
}

// withIMAP is a mailnode that speaks IMAP too.
func withIMAP(t *testing.T) *fixture {
	f := newFixture(t)
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.IMAP, Address: "127.0.0.1:0", Local: true})
	f.write()
	return f
}

// reload puts a changed configuration in force.
func (f *fixture) reload(change func(*api.Config)) {
	f.t.Helper()
	change(&f.config)
	f.config.Index++
	f.write()
	if done, err := f.client.Reload(f.t.Context()); err != nil || done.Index != f.config.Index {
		f.t.Fatalf("got %+v, %v", done, err)
	}
}

func TestWhatIsSwitchedOffIsRefusedAtSignIn(t *testing.T) {
	f := withIMAP(t)
	f.start()
	imap, pop := f.talk(api.IMAP), f.talk(api.POP3)
	imap.do(`a LOGIN user1@example.test "`+password+`"`, "a OK")
	pop.do("USER user1@example.test", "+OK")
	pop.do("PASS "+password, "+OK")

	f.reload(func(c *api.Config) { c.Accounts[0].Off = []inventory.Feature{inventory.FeatureIMAP} })
	if line := imap.line(); !strings.HasPrefix(line, "* BYE") {
		t.Errorf("the open IMAP session got %q", line)
	}
	pop.do("NOOP", "+OK") // that one goes on
	pop.do("QUIT", "+OK")
	imap = f.talk(api.IMAP)
	imap.do(`a LOGIN user1@example.test "wrong"`, "a NO [AUTHENTICATIONFAILED]")
	imap.do(`b LOGIN user1@example.test "`+password+`"`, "b NO [CONTACTADMIN] IMAP is switched off for this account")
	imap.do(`c LOGIN user2@example.test "`+password+`"`, "c OK")
	signIns, err := f.client.SignIns(t.Context(), inventory.ID(f.config.Accounts[0].ID))
	if err != nil || signIns[0].Reason != "switched off" || signIns[0].Protocol != "imap" {
		t.Errorf("the history tells %+v, %v", signIns, err)
	}

	f.reload(func(c *api.Config) { c.Accounts[0].Off = []inventory.Feature{inventory.FeaturePOP3} })
	pop = f.talk(api.POP3)
	pop.do("LANG zh", "+OK")
	pop.do("USER user1@example.test", "+OK")
	pop.do("PASS "+password, "-ERR [AUTH] 该账户未开通 POP3")
	f.talk(api.IMAP).do(`a LOGIN user1@example.test "`+password+`"`, "a OK")

	f.reload(func(c *api.Config) { c.Accounts[0].Suspended = true })
	if page, err := f.client.Sessions(t.Context(), inventory.MailSessionQuery{Account: inventory.ID(f.config.Accounts[0].ID)}); err != nil || page.Total > 0 && page.Sessions[0].Protocol != "imap" {
		t.Errorf("%+v, %v", page, err)
	}
	f.talk(api.IMAP).do(`a LOGIN user1@example.test "`+password+`"`, "a NO [CONTACTADMIN] the account is suspended")
}

// offer sends what comes before the message, and the message when it may come. It
// returns what refused it.
func offer(address string, to []string, size int, message string) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.Hello("mx.example.test"); err != nil {
		return err
	}
	parameters := ""
	if size > 0 {
		parameters = fmt.Sprintf(" SIZE=%d", size)
	}
	id, err := c.Text.Cmd("MAIL FROM:<a@outside.test>%s", parameters)
	if err != nil {
		return err
	}
	c.Text.StartResponse(id)
	_, _, err = c.Text.ReadResponse(250)
	c.Text.EndResponse(id)
	if err != nil {
		return err
	}
	for _, one := range to {
		if err := c.Rcpt(one); err != nil {
			return fmt.Errorf("%s: %w", one, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, message); err != nil {
		return err
	}
	return w.Close()
}

func TestLimitsOfAnAccountHoldAtDelivery(t *testing.T) {
	f := withIMAP(t)
	f.config.Accounts[0].MessageBytes = 2000
	f.config.Accounts[1].QuotaMessages = 2
	f.write()
	f.start()
	one, two := "user1@example.test", "user2@example.test"
	small, large := "Subject: s\r\n\r\nhello\r\n", "Subject: l\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 40)
	const tooLarge, apart, full = "552 5.2.3 The message is larger than the recipient takes", "452 4.5.3 Send to this recipient in a transaction of its own", "452 4.2.2 The mailbox is full"
	for _, c := range []struct {
		to      []string
		size    int
		message string
		want    string
	}{
		{[]string{one}, 0, large, tooLarge},
		{[]string{one}, 2881, large, one + ": " + tooLarge},
		{[]string{two, one}, 2881, large, one + ": " + tooLarge},
		{[]string{two, one}, 0, large, one + ": " + apart},
		{[]string{one, two}, 100, small, ""},
		{[]string{two}, 0, large, ""},
		{[]string{two}, 0, small, two + ": " + full},
		{[]string{one}, 0, small, ""},
	} {
		err := offer(f.address(api.SMTP), c.to, c.size, c.message)
		if (c.want == "") != (err == nil) || err != nil && !strings.HasPrefix(strings.ReplaceAll(err.Error(), `"`, ""), c.want) {
			t.Errorf("to %q of size %d: %v, want %q", c.to, c.size, err, c.want)
		}
	}
	imap := f.talk(api.IMAP)
	imap.do(`a LOGIN user2@example.test "`+password+`"`, "a OK")
	// The literal is refused before it is sent.
	imap.do("b APPEND INBOX {21}", "b NO [OVERQUOTA]")
	if told := imap.do("c GETQUOTAROOT INBOX", "c OK"); !strings.Contains(told, `* QUOTA "" (MESSAGE 2 2)`) {
		t.Errorf("the quota is told as %s", told)
	}
	imap = f.talk(api.IMAP)
	imap.do(`a LOGIN user1@example.test "`+password+`"`, "a OK")
	if told := imap.do("b CAPABILITY", "b OK"); !strings.Contains(told, " APPENDLIMIT=2000") {
		t.Errorf("capabilities %s", told)
	}
	imap.do("c APPEND INBOX {2001}", "c NO [TOOBIG]")
	imap.do("d APPEND INBOX {2000}", "+ ")

	f.reload(func(c *api.Config) { c.Accounts[1].QuotaMessages, c.Accounts[1].QuotaBytes = 0, 1<<20 })
	if err := send(f.address(api.SMTP), two, small); err != nil {
		t.Errorf("with a larger quota: %v", err)
	}
}

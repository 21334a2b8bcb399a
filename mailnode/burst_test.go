package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// braking is a mailnode that holds what is sent to more than five in an hour.
func braking(t *testing.T) *fixture {
	t.Helper()
	f := withIMAP(t)
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.Submission, Address: "127.0.0.1:0", Local: true})
	f.config.Mail.Submission = inventory.Submission{BrakeLeast: 5}
	f.write()
	f.start()
	return f
}

// submit sends a message of user1 to so many sub-addresses of user2.
func (f *fixture) submit(n int) error {
	var to []string
	for i := range n {
		to = append(to, fmt.Sprintf("user2+%d@example.test", i))
	}
	auth := smtp.PlainAuth("", "user1@example.test", password, "127.0.0.1")
	return smtp.SendMail(f.address(api.Submission), auth, "user1@example.test", to, []byte("From: user1@example.test\r\n\r\nx\r\n"))
}

func (f *fixture) mustSubmit(n int) {
	f.t.Helper()
	if err := f.submit(n); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) asked() *api.Status {
	f.t.Helper()
	s, err := f.client.Status(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// arrived is how many messages user2 has.
func (f *fixture) arrived() int {
	f.t.Helper()
	return len(fetch(f.t, f.address(api.POP3), "user2@example.test", false))
}

func (f *fixture) awaitArrived(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); f.arrived() != n; <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("what was released does not arrive: there are %d messages, want %d", f.arrived(), n)
		}
	}
}

// A burst is held and its account named until an operator releases the mail; then it
// arrives, and the account may send again.
func TestABurstIsHeldUntilItIsReleased(t *testing.T) {
	f := braking(t)
	f.mustSubmit(5)
	if s := f.asked(); s.Held != nil || f.arrived() != 1 {
		t.Fatalf("held are %v, arrived %d, within the limit", s.Held, f.arrived())
	}
	f.mustSubmit(1)
	if s := f.asked(); len(s.Held) != 1 || s.Held[0].Account != inventory.ID(f.config.Accounts[0].ID) || s.Held[0].Address != "user1@example.test" || f.arrived() != 1 {
		t.Fatalf("held are %v, arrived %d, after a burst", s.Held, f.arrived())
	}
	page, err := f.client.Queue(t.Context(), inventory.QueueQuery{Limit: 10})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].State != inventory.QueueHeld {
		t.Fatalf("in the queue are %+v, %v", page, err)
	}
	if n, err := f.client.ActOnQueue(t.Context(), inventory.ActRelease, inventory.QueueOrder{}); n != 1 || err != nil {
		t.Fatalf("released %d, %v", n, err)
	}
	f.awaitArrived(2)
	f.mustSubmit(1)
	if s := f.asked(); s.Held != nil || len(s.Released) != 1 || s.Released[0] != "user1@example.test" || f.arrived() != 3 {
		t.Errorf("held are %v, released %v, arrived %d, after the release", s.Held, s.Released, f.arrived())
	}
}

// Who looks at a hold is told why, can delete what is held, and lets the account go on
// whether or not anything is held still; what an operator holds by hand stays.
func TestAHoldIsToldOfAndActedOn(t *testing.T) {
	f := braking(t)
	id := inventory.ID(f.config.Accounts[0].ID)
	for _, n := range []int{6, 3, 2} {
		f.mustSubmit(n)
	}
	list, err := f.client.Holds(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if h := list[0]; h.Account != id || h.Sent != 11 || h.Usual != 0 || h.Messages != 3 || h.Recipients != 11 || h.Bytes == 0 || time.Since(h.Since) > time.Minute {
		t.Errorf("told was %+v", h)
	}
	if n, err := f.client.DeleteHeld(t.Context(), id); n != 3 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if list, err = f.client.Holds(t.Context()); err != nil || len(list) != 1 || list[0].Messages != 0 {
		t.Errorf("after the deletion: %+v, %v", list, err)
	}
	if n, err := f.client.ReleaseHold(t.Context(), id); n != 0 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if list, err = f.client.Holds(t.Context()); err != nil || len(list) != 0 || f.arrived() != 0 {
		t.Errorf("after the release: %+v, %v", list, err)
	}
	for _, act := range []func() (int, error){
		func() (int, error) { return f.client.ReleaseHold(t.Context(), id) },
		func() (int, error) { return f.client.DeleteHeld(t.Context(), id) },
	} {
		if n, err := act(); err == nil || err.Error() != "the mail of the account "+string(id)+" is not held" {
			t.Errorf("of one that is not held: %d, %v", n, err)
		}
	}
	f.mustSubmit(1)
	f.awaitArrived(1)
}

// A suspended account is out at once, on every face; what is held of its mail stays.
func TestASuspendedAccountIsOutAtOnce(t *testing.T) {
	f := braking(t)
	id := inventory.ID(f.config.Accounts[0].ID)
	f.mustSubmit(6)
	imap, pop, submission := f.talk(api.IMAP), f.talk(api.POP3), f.talk(api.Submission)
	imap.do(`a LOGIN user1@example.test "`+password+`"`, "a OK")
	pop.do("USER user1@example.test", "+OK")
	pop.do("PASS "+password, "+OK")
	plain := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00user1@example.test\x00"+password))
	submission.do("EHLO client.test", "250-")
	for line := ""; !strings.HasPrefix(line, "250 "); {
		line = submission.line()
	}
	submission.do("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00user1@example.test\x00wrong")), "535 5.7.8")
	submission.do("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00nobody@example.test\x00wrong")), "535 5.7.8")
	submission.do(plain, "235 2.7.0")
	submission.do("MAIL FROM:<user1@example.test>", "250 ")

	f.reload(func(c *api.Config) { c.Accounts[0].Suspended = true })
	for _, session := range []struct{ got, want string }{
		{imap.line(), "* BYE "}, {pop.line(), "-ERR [SYS/TEMP] "}, {submission.line(), "421 4.3.2 "},
	} {
		if !strings.HasPrefix(session.got, session.want) {
			t.Errorf("a session ended with %q, want %q", session.got, session.want)
		}
	}
	again := f.talk(api.Submission)
	again.do("EHLO client.test", "250-")
	for line := ""; !strings.HasPrefix(line, "250 "); {
		line = again.line()
	}
	again.do(plain, "525 5.7.13 ")
	if list, err := f.client.Holds(t.Context()); err != nil || len(list) != 1 || list[0].Messages != 1 || f.arrived() != 0 {
		t.Errorf("held are %+v, %v, arrived %d", list, err, f.arrived())
	}

	counters := f.asked().Counters
	for name, want := range map[string]float64{
		api.SMTPLogins: 2, api.SMTPLoginFailures: 3, api.SMTPLoginFailures + "_" + api.LoginRefused: 1,
		api.SMTPLoginFailures + "_" + api.LoginUnknown: 1, api.SMTPLoginFailures + "_" + api.LoginSuspended: 1,
		api.SMTPLoginFailures + "_" + api.LoginThrottled: 0, api.IMAPLogins: 1, api.POP3LoginFailures: 0,
	} {
		if got, there := counters[name]; got != want || !there {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	signIns, err := f.client.SignIns(t.Context(), id)
	if err != nil || !slices.ContainsFunc(signIns, func(s inventory.MailSignIn) bool { return s.Protocol == "smtp" && !s.OK && s.Reason == "suspended" }) {
		t.Errorf("the history tells %+v, %v", signIns, err)
	}
}

// Besides the day's limit there is one of an hour, the server's where the account has none
// of its own; who is over it is told when to go on.
func TestAnHourHasItsLimits(t *testing.T) {
	f := braking(t)
	f.reload(func(c *api.Config) {
		c.Mail.Submission = inventory.Submission{BrakeLeast: 1000, SentAnHour: 4, MessagesAnHour: 100}
		c.Accounts[0].MessagesAnHour = 2
	})
	want := func(err error, text string) {
		t.Helper()
		refusal, ok := errors.AsType[*textproto.Error](err)
		if !ok || refusal.Code != 450 || !strings.HasPrefix(refusal.Msg, "4.7.1 "+text) || !strings.HasSuffix(refusal.Msg, ":00 UTC") {
			t.Errorf("got %v, want 450 4.7.1 %s", err, text)
		}
	}
	f.mustSubmit(3)
	want(f.submit(2), "you may write to 4 recipients an hour and have written to 3: send the rest after ")
	f.mustSubmit(1)
	f.reload(func(c *api.Config) { c.Accounts[0].SentAnHour = 50 })
	want(f.submit(1), "you may send 2 messages an hour and have sent 2: send the rest after ")
	f.reload(func(c *api.Config) { c.Accounts[0].MessagesAnHour = 0 })
	f.mustSubmit(5)
	f.awaitArrived(3)
}

package main

import (
	"net/smtp"
	"strings"
	"testing"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// Who may not write to a group hears it before the message is sent.
func TestGroupsTakeMailFromTheirWritersOnly(t *testing.T) {
	f := newFixture(t)
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.Submission, Address: "127.0.0.1:0", Local: true})
	f.config.Groups = []api.Group{{Address: "team@example.test", Members: []string{"user1@example.test", "user2@example.test"}, Writers: inventory.WritersMembers}}
	f.write()
	f.start()
	c, err := smtp.Dial(f.address(api.SMTP))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Mail("a@outside.test"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("team@example.test"); err == nil || !strings.Contains(err.Error(), "5.7.2 You may not write to this group") {
		t.Errorf("a stranger was answered %v", err)
	}
	if err := c.Rcpt("user1@example.test"); err != nil {
		t.Errorf("the others are refused too: %v", err)
	}
	auth := smtp.PlainAuth("", "user1@example.test", password, "127.0.0.1")
	if err := smtp.SendMail(f.address(api.Submission), auth, "user1@example.test", []string{"team@example.test"}, []byte("From: user1@example.test\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	for _, member := range f.config.Groups[0].Members {
		if got := fetch(t, f.address(api.POP3), member, false); len(got) != 1 {
			t.Errorf("%s has %d messages", member, len(got))
		}
	}
}

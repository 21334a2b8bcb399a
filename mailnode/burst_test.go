package main

import (
	"fmt"
	"net/smtp"
	"slices"
	"testing"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// A burst is held and its account named until an operator releases the mail; then it
// arrives, and the account may send again.
func TestABurstIsHeldUntilItIsReleased(t *testing.T) {
	f := newFixture(t)
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.Submission, Address: "127.0.0.1:0", Local: true})
	f.config.Mail.Submission = inventory.Submission{BrakeLeast: 5}
	f.write()
	f.start()
	submit := func(n int) {
		t.Helper()
		var to []string
		for i := range n {
			to = append(to, fmt.Sprintf("user2+%d@example.test", i))
		}
		auth := smtp.PlainAuth("", "user1@example.test", password, "127.0.0.1")
		if err := smtp.SendMail(f.address(api.Submission), auth, "user1@example.test", to, []byte("From: user1@example.test\r\n\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	held := func() []string {
		t.Helper()
		s, err := f.client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Held
	}
	arrived := func() int { t.Helper(); return len(fetch(t, f.address(api.POP3), "user2@example.test", false)) }

	submit(5)
	if got := held(); got != nil || arrived() != 1 {
		t.Fatalf("held are %v, arrived %d, within the limit", got, arrived())
	}
	submit(1)
	if got := held(); !slices.Equal(got, []string{f.config.Accounts[0].ID}) || arrived() != 1 {
		t.Fatalf("held are %v, arrived %d, after a burst", got, arrived())
	}
	page, err := f.client.Queue(t.Context(), inventory.QueueQuery{Limit: 10})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].State != inventory.QueueState("held") {
		t.Fatalf("in the queue are %+v, %v", page, err)
	}
	if n, err := f.client.ActOnQueue(t.Context(), inventory.ActRelease, inventory.QueueOrder{}); n != 1 || err != nil {
		t.Fatalf("released %d, %v", n, err)
	}
	for deadline := time.Now().Add(20 * time.Second); arrived() != 2; <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what was released does not arrive")
		}
	}
	submit(1)
	if got := held(); got != nil || arrived() != 3 {
		t.Errorf("held are %v, arrived %d, after the release", got, arrived())
	}
}

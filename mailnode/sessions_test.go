package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// signedIn is a POP3 connection on which an account has signed in.
func signedIn(t *testing.T, address, user string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for _, command := range []string{"", "USER " + user + "\r\n", "PASS " + password + "\r\n"} {
		if _, err := io.WriteString(c, command); err != nil {
			t.Fatal(err)
		}
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
			t.Fatalf("%q was answered %q, %v", command, line, err)
		}
	}
	return c, r
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	f := newFixture(t)
	f.start()
	_, first := signedIn(t, f.address(api.POP3), "user1@example.test")
	_, second := signedIn(t, f.address(api.POP3), "user2@example.test")
	idle, err := net.Dial("tcp", f.address(api.SMTP))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }()
	if _, err := bufio.NewReader(idle).ReadString('\n'); err != nil {
		t.Fatal(err)
	}

	protocols, after := map[string]int{}, ""
	var mine inventory.MailSession
	for {
		page, err := f.client.Sessions(t.Context(), inventory.MailSessionQuery{After: after, Limit: 2})
		if err != nil || len(page.Sessions) > 2 {
			t.Fatalf("got %+v, %v", page, err)
		}
		for _, s := range page.Sessions {
			protocols[s.Protocol]++
			if s.User == "user1@example.test" {
				mine = s
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if fmt.Sprint(protocols) != "map[pop3:2 smtp:1]" || mine.Account != inventory.ID(f.config.Accounts[0].ID) || mine.Address != "127.0.0.1" {
		t.Errorf("listed %v, of user1 %+v", protocols, mine)
	}
	for _, c := range []struct {
		q    inventory.MailSessionQuery
		want int
	}{
		{inventory.MailSessionQuery{Within: []string{"other.test"}}, 0},
		{inventory.MailSessionQuery{Account: mine.Account, Within: []string{"example.test"}}, 1},
		{inventory.MailSessionQuery{Within: []string{"example.test"}, Limit: 1}, 2},
		{inventory.MailSessionQuery{Limit: 1}, 3},
		{inventory.MailSessionQuery{Who: "USER1@"}, 1},
		{inventory.MailSessionQuery{Protocols: []string{"smtp"}}, 1},
		{inventory.MailSessionQuery{ID: mine.ID}, 1},
	} {
		page, err := f.client.Sessions(t.Context(), c.q)
		if err != nil || page.Total != c.want || c.q.Limit == 1 && len(page.Sessions) != 1 || c.q.Limit == 0 && len(page.Sessions) != c.want {
			t.Errorf("%+v: got %+v, %v", c.q, page, err)
		}
	}
	if err := f.client.EndSession(t.Context(), mine.ID); err != nil {
		t.Fatal(err)
	}
	const farewell = "-ERR [SYS/TEMP] the session was ended by an administrator\r\n"
	if line, err := first.ReadString('\n'); line != farewell {
		t.Errorf("the session ended with %q, %v", line, err)
	}
	if n, err := f.client.EndSessions(t.Context(), inventory.MailSessionQuery{Within: []string{"user2@example.test"}}); n != 1 || err != nil {
		t.Errorf("ended %d, %v", n, err)
	}
	if line, err := second.ReadString('\n'); line != farewell {
		t.Errorf("the account's session ended with %q, %v", line, err)
	}
	status, err := f.client.Status(t.Context())
	if err != nil || status.Connections[api.SMTP] != 1 {
		t.Errorf("connections %v, %v", status.Connections, err)
	}
}

func TestSignInsAreRememberedThroughARestart(t *testing.T) {
	f := newFixture(t)
	f.start()
	signedIn(t, f.address(api.POP3), "user1@example.test")
	account := inventory.ID(f.config.Accounts[0].ID)
	before, err := f.client.SignIns(t.Context(), account)
	if err != nil || len(before) != 1 || !before[0].OK || before[0].Address != "127.0.0.1" || before[0].Mechanism != "USER" || before[0].Count != 1 {
		t.Fatalf("got %+v, %v", before, err)
	}
	if err := f.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	f.start()
	after, err := f.client.SignIns(t.Context(), account)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
	if other, err := f.client.SignIns(t.Context(), inventory.ID(f.config.Accounts[1].ID)); err != nil || len(other) != 0 {
		t.Errorf("the other account: %+v, %v", other, err)
	}
}

func TestMailboxesAreListedWithWhatTheyHold(t *testing.T) {
	f := newFixture(t)
	f.start()
	account := inventory.ID(f.config.Accounts[0].ID)
	if err := send(f.address(api.SMTP), "user1@example.test", "one"); err != nil {
		t.Fatal(err)
	}
	all, err := f.client.Mailboxes(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]string{}
	var bytes int64
	for _, m := range all.Mailboxes {
		uses[m.Name], bytes = m.Use, bytes+m.Bytes
	}
	inbox := all.Mailboxes[0]
	if inbox.Name != "INBOX" || inbox.Messages != 1 || inbox.Unseen != 1 || all.Messages != 1 || all.Bytes == 0 || all.Bytes != bytes || uses["Sent"] != `\Sent` {
		t.Errorf("got %+v", all)
	}
	empty, err := f.client.Mailboxes(t.Context(), inventory.ID(f.config.Accounts[1].ID))
	if err != nil || len(empty.Mailboxes) != 1 || empty.Mailboxes[0].Name != "INBOX" || empty.Messages != 0 {
		t.Errorf("of an account that never got a message: %+v, %v", empty, err)
	}
	if none, err := f.client.Mailboxes(t.Context(), "0198c0de-0000-7000-8000-00000000ffff"); err != nil || len(none.Mailboxes) != 0 || none.Bytes != 0 {
		t.Errorf("nobody's: %+v, %v", none, err)
	}
}

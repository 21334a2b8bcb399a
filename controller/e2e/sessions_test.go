package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/dev"
)

// signedIn is a connection to a server on which a user has signed in by POP3 or IMAP.
func signedIn(t *testing.T, protocol string, server serverInfo, user dev.UserInfo) *bufio.Reader {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(server.Address, strconv.Itoa(server.Ports[protocol])))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	commands, ok := []string{"", "USER " + user.Address, "PASS " + user.Password}, "+OK"
	if protocol == "imap" {
		commands, ok = []string{"", "a LOGIN " + user.Address + " " + user.Password}, " OK "
	}
	for _, command := range commands {
		if command != "" {
			if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
				t.Fatal(err)
			}
		}
		if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, ok) {
			t.Fatalf("%q: %q, %v", command, line, err)
		}
	}
	return r
}

func TestMailSessionsAreSeenAndEndedFromTheController(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	home := func(u dev.UserInfo) serverInfo {
		return f.Info.Servers[slices.IndexFunc(f.Info.Servers, func(s serverInfo) bool { return s.ID == u.Server })]
	}
	// Two users of two servers, so that one listing comes from both.
	one := f.Info.Users[0]
	other := f.Info.Users[slices.IndexFunc(f.Info.Users, func(u dev.UserInfo) bool { return u.Server != one.Server })]
	first, second, third := signedIn(t, "pop3", home(one), one), signedIn(t, "imap", home(one), one), signedIn(t, "pop3", home(other), other)

	list := s.get("/api/v1/sessions?kind=pop3,imap")
	servers := map[string]int{}
	for _, v := range items(list) {
		if v["who"] == one.Address || v["who"] == other.Address {
			servers[fmt.Sprint(v["server"])]++
		}
	}
	if servers[home(one).Name] != 2 || servers[home(other).Name] != 1 || list["partial"] != false {
		t.Fatalf("the listing is %v", list)
	}
	account := s.get("/api/v1/accounts/" + one.Address)
	mine := items(s.get("/api/v1/sessions?account=" + one.Address))
	if len(mine) != 2 || mine[0]["account"] != account["id"] {
		t.Fatalf("the account's are %v", mine)
	}
	signIns := items(s.get("/api/v1/accounts/" + one.Address + "/sign-ins"))
	for _, want := range []string{"USER", "LOGIN"} {
		if !slices.ContainsFunc(signIns, func(v map[string]any) bool { return v["mechanism"] == want && v["ok"] == true }) {
			t.Errorf("by %s nobody signed in: %v", want, signIns)
		}
	}
	held := s.get("/api/v1/accounts/" + one.Address + "/mailboxes")
	boxes, _ := held["mailboxes"].([]any)
	if box, _ := boxes[0].(map[string]any); box["name"] != "INBOX" || len(boxes) < 5 {
		t.Errorf("the mailboxes are %v", held)
	}

	eventually(t, "a sample of the connections of each protocol", func() bool {
		at := "/api/v1/servers/" + string(home(one).ID) + "/samples"
		names, _ := s.get(at)["metrics"].([]any)
		for _, protocol := range []string{"smtp", "pop3", "imap"} {
			if !slices.Contains(names, any("mailnode_"+protocol+"_connections")) {
				return false
			}
		}
		return true
	})

	audited := func() map[string]int {
		actions := map[string]int{}
		for _, v := range items(s.get("/api/v1/audit?action=session.end,session.end-all&limit=1000")) {
			actions[fmt.Sprint(v["action"])]++
		}
		return actions
	}
	before := audited()

	const farewell = "was ended by an administrator\r\n"
	s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/sessions/"+fmt.Sprint(mine[0]["id"]), nil)
	ended := s.do(http.StatusOK, http.MethodDelete, "/api/v1/sessions?account="+one.Address, nil)
	if ended["ended"] != 1.0 || ended["partial"] != false {
		t.Errorf("of the account %v", ended)
	}
	for _, r := range []*bufio.Reader{first, second} {
		if line, err := r.ReadString('\n'); !strings.HasSuffix(line, farewell) {
			t.Errorf("the session ended with %q, %v", line, err)
		}
	}
	env := []string{"MAILFLEET_ADDRESS=" + f.Info.Console, "MAILFLEET_CA=" + f.Info.CA, "MAILFLEET_TOKEN=" + f.Info.Token}
	if out, code := program(t, env, "mailfleet-controller", "account", "show", other.Address); code != 0 || !strings.Contains(out, "INBOX") || !strings.Contains(out, "pop3") {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, code := program(t, env, "mailfleet-controller", "session", "end", "--domain", "example.test", "--output", "json"); code != 0 || !strings.Contains(out, `"partial": false`) {
		t.Errorf("exit %d: %s", code, out)
	}
	if line, err := third.ReadString('\n'); !strings.HasSuffix(line, farewell) {
		t.Errorf("the domain's session ended with %q, %v", line, err)
	}
	actions := audited()
	if actions["session.end"] != before["session.end"]+1 || actions["session.end-all"] != before["session.end-all"]+2 {
		t.Errorf("the audit log had %v and has %v", before, actions)
	}
}

func TestWhatAPlanSwitchesOffIsRefusedByTheAccountsServer(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	user := f.Info.Users[len(f.Info.Users)-1]
	home := f.Info.Servers[slices.IndexFunc(f.Info.Servers, func(s serverInfo) bool { return s.ID == user.Server })]
	plan := s.do(http.StatusCreated, http.MethodPost, "/api/v1/plans", map[string]any{"name": "pop only", "features": map[string]bool{"imap": false}})
	put := func(plan string) {
		s.do(http.StatusOK, http.MethodPatch, "/api/v1/accounts/"+user.Address, map[string]any{"plan": plan})
	}
	put("pop only")
	t.Cleanup(func() {
		put("")
		s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/plans/"+fmt.Sprint(plan["id"]), nil)
	})
	eventually(t, "IMAP switched off", func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort(home.Address, strconv.Itoa(home.Ports["imap"])))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := fmt.Fprintf(c, "a LOGIN %s %s\r\nb LOGOUT\r\n", user.Address, user.Password); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		return err == nil && strings.Contains(string(answer), "a NO [CONTACTADMIN] IMAP is switched off for this account")
	})
	signedIn(t, "pop3", home, user)
}

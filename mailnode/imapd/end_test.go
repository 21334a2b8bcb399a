package imapd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// alone is a session without a connection that has selected a large mailbox which is not
// read. do carries a command out and returns the answer; read tells whether the mailbox
// has been read for it.
func (n *fixture) alone(t *testing.T, who int) (do func(command string) []string, read func() bool) {
	t.Helper()
	place := store.Place{Account: account(who), Mailbox: store.Inbox}
	open, err := n.store.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(open.Close)
	var out strings.Builder
	s := &session{srv: n.Server, set: n.settings.Load(), w: wire.NewWriter(&out), condstore: true}
	s.user = &user{directory.Account{ID: account(who), Address: address(who)}}
	s.box = &box{target: target{Mailbox: open.Mailbox, place: place, rights: allRights}, open: open}
	do = func(command string) []string {
		s.r = wire.NewReader(strings.NewReader(command + "\r\n"))
		s.r.Limits = userLimits
		if err := s.r.Begin(); err != nil {
			t.Fatal(err)
		}
		s.command()
		if err := s.w.Flush(); err != nil {
			t.Fatal(err)
		}
		defer out.Reset()
		return strings.Split(strings.TrimSuffix(out.String(), "\r\n"), "\r\n")
	}
	return do, func() bool { return s.box.told != nil || open.Ready() }
}

// Commands that name the end of a large mailbox only do not wait for the rest of it.
func TestTheEndOfALargeMailboxIsEnough(t *testing.T) {
	n := start(t, unread)
	n.fill(t, 1, large, same)
	do, read := n.alone(t, 1)
	for _, command := range endOnly {
		if strings.HasPrefix(command, "FETCH 1:") {
			continue // which would name others too
		}
		if lines := do("a " + command); read() {
			t.Fatalf("for %s, which is answered %.200q, the mailbox is read", command, lines)
		}
	}
	want := func(command string, want ...string) {
		t.Helper()
		if got := do("a " + command); !slices.EqualFunc(got, want, func(got, want string) bool {
			return got == want || strings.HasSuffix(want, "…") && strings.HasPrefix(got, strings.TrimSuffix(want, "…"))
		}) || read() {
			t.Fatalf("%s is answered %q, want %q; read: %t", command, got, want, read())
		}
	}
	m := func() uint64 {
		m, err := n.store.Status(t.Context(), store.Place{Account: account(1), Mailbox: store.Inbox})
		if err != nil {
			t.Fatal(err)
		}
		return m.HighestModSeq
	}
	modseq := m()
	want(`STORE * +FLAGS (\Seen work)`, `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft work)`, fmt.Sprintf(`* 32768 FETCH (UID 32768 FLAGS (\Seen work) MODSEQ (%d))`, modseq+1), "a OK done")
	want("FETCH 32767:* FLAGS", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft work)`, "* 32767 FETCH (FLAGS ())", `* 32768 FETCH (FLAGS (\Seen work))`, "a OK done")
	want(`UID STORE 32767:* +FLAGS.SILENT (\Deleted)`, fmt.Sprintf("* 32767 FETCH (UID 32767 MODSEQ (%d))", modseq+2), fmt.Sprintf("* 32768 FETCH (UID 32768 MODSEQ (%d))", modseq+2), "a OK done")
	want(fmt.Sprintf(`UID STORE 32766:* (UNCHANGEDSINCE %d) -FLAGS.SILENT (\Deleted)`, modseq+1), fmt.Sprintf(`* 32767 FETCH (UID 32767 FLAGS (\Deleted) MODSEQ (%d))`, modseq+2),
		fmt.Sprintf(`* 32768 FETCH (UID 32768 FLAGS (\Deleted \Seen work) MODSEQ (%d))`, modseq+2), "a OK [MODIFIED 32767:32768] some had been changed and were left alone")
	want("SEARCH DELETED", "* SEARCH 32767 32768", "a OK done")
	want("SEARCH OR DELETED *", "* SEARCH 32767 32768", "a OK done")
	want("SEARCH * KEYWORD work SEEN", "* SEARCH 32768", "a OK done")
	want("SEARCH RETURN (MAX) UNSEEN", `* ESEARCH (TAG "a") MAX 32767`, "a OK done")
	want("FETCH 32766 BODY[TEXT]", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft work)`, "* 32766 FETCH (BODY[TEXT] {3}", "x", ")", fmt.Sprintf(`* 32766 FETCH (UID 32766 FLAGS (\Seen) MODSEQ (%d))`, modseq+3), "a OK done")
	want("SEARCH RETURN (SAVE) 32766:*", "a OK done")
	want("FETCH $ UID", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft work)`, "* 32766 FETCH (UID 32766)", "* 32767 FETCH (UID 32767)", "* 32768 FETCH (UID 32768)", "a OK done")
	want("COPY 32767:* INBOX", "a OK [COPYUID …")
	want("UID COPY 32768 nowhere", "a NO [TRYCREATE] …")
	want("STATUS INBOX (MESSAGES)", `* STATUS INBOX (MESSAGES 32770)`, "a OK done")
	if lines := do("a STORE 1 +FLAGS.SILENT (\\Flagged)"); !read() || lines[len(lines)-1] != "a OK done" {
		t.Errorf("STORE of the first is answered %q, read: %t", lines, read())
	}
	// Now what happened is told, but for what this peer did itself and was answered.
	lines := do("a NOOP")
	if want := []string{"a OK done"}; !slices.Equal(lines, want) {
		t.Errorf("NOOP is answered %q, want %q", lines, want)
	}
	if lines := do("a SEARCH UNDELETED 32765:*"); !slices.Equal(lines, []string{"* SEARCH 32765 32766", "a OK done"}) {
		t.Errorf("a search is answered %q", lines)
	}
}

// That all messages with a flag are at the end is known whatever happens to them.
func TestASearchForFlagsAtTheEnd(t *testing.T) {
	n := start(t, unread)
	n.fill(t, 1, large, same)
	place := store.Place{Account: account(1), Mailbox: store.Inbox}
	flag := func(op store.FlagOp, flags store.Flags, from, to uint32) {
		t.Helper()
		var uids []uint32
		for uid := from; uid <= to; uid++ {
			uids = append(uids, uid)
		}
		if _, err := n.store.StoreFlags(t.Context(), place, store.FlagChange{UIDs: uids, Op: op, Flags: flags}); err != nil {
			t.Fatal(err)
		}
	}
	flag(store.AddFlags, store.Seen, 1, large)
	flag(store.RemoveFlags, store.Seen, large-10, large-9)
	do, read := n.alone(t, 1)
	for i, want := range []string{"32758 32759", "32758 32759", "32759", "", "5"} {
		switch i {
		case 1: // one comes that the peer does not know
			n.fill1(t, place)
		case 2:
			if _, err := n.store.Expunge(t.Context(), place, []uint32{large - 10}); err != nil {
				t.Fatal(err)
			}
		case 3:
			flag(store.AddFlags, store.Seen, large-9, large+1)
		case 4:
			flag(store.RemoveFlags, store.Seen, 5, 5)
		}
		lines := do("a SEARCH UNSEEN")
		if lines[0] != strings.TrimSpace("* SEARCH "+want) || read() != (i == 4) {
			t.Errorf("search %d is answered %q, want %q; read: %t", i, lines[0], want, read())
		}
	}
}

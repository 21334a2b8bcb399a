package imapd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/store"
)

// large is from how many messages on a mailbox is selected before it is read.
const large = 32 << 10

func same(int) string { return "Subject: x\r\n\r\nx\r\n" }

// endOnly are commands that need no more of a large mailbox than its end.
var endOnly = []string{
	"FETCH * FLAGS", "FETCH *:* (UID FLAGS)", "UID FETCH * (FLAGS MODSEQ)",
	fmt.Sprintf("FETCH %d (UID INTERNALDATE RFC822.SIZE)", large),
	fmt.Sprintf("FETCH %d:* (UID FLAGS)", large-300),
	fmt.Sprintf("FETCH %d:%d,* UID", large-40, large-20),
	fmt.Sprintf("UID FETCH %d:* FLAGS", large-10),
	fmt.Sprintf("UID FETCH %d:* FLAGS", large+10), // the last one
	fmt.Sprintf("UID FETCH %d FLAGS", large+10),   // none
	fmt.Sprintf("UID FETCH %d:%d FLAGS", large-3, large+10),
	fmt.Sprintf("UID FETCH %d:* UID (PARTIAL -1:-2)", large-30),
	fmt.Sprintf("UID FETCH %d:* UID (PARTIAL 2:3)", large-30),
	fmt.Sprintf("FETCH %d:* UID (CHANGEDSINCE 1)", large-2),
	fmt.Sprintf("FETCH %d:* UID (CHANGEDSINCE 99999999)", large-2),
	"FETCH * (ENVELOPE BODYSTRUCTURE PREVIEW)", "FETCH * BODY.PEEK[]", "FETCH * BODY.PEEK[HEADER.FIELDS (Subject)]", "FETCH * (EMAILID THREADID SAVEDATE)",
	fmt.Sprintf("UID SEARCH UID %d:*", large-8), fmt.Sprintf("SEARCH %d:* UNSEEN", large-8), "SEARCH * SUBJECT x", "SEARCH * BODY zzz", "SEARCH OR * UID 32767",
	"SEARCH DELETED", "SEARCH RETURN (MAX) UNSEEN", "UID SEARCH RETURN (PARTIAL -1:-20) ALL", fmt.Sprintf("SEARCH %d MODSEQ 1", large), "SEARCH 32760:* KEYWORD none",
	fmt.Sprintf("SEARCH %d:*", large+1), fmt.Sprintf("UID SEARCH UID %d", large+9), "SEARCH (* NOT DELETED) SINCE 1-Jan-2020", "SEARCH RETURN (MIN MAX COUNT ALL) 32700:*",
	fmt.Sprintf("FETCH %d FLAGS", large+1),     // there is no such number
	fmt.Sprintf("FETCH %d:0 FLAGS", large),     // nor that
	fmt.Sprintf("FETCH 1:%d FLAGS", large+100), // nor those
}

// beyondEnd are commands that need more.
var beyondEnd = []string{
	"FETCH 1 FLAGS", "FETCH 1,* (UID FLAGS)", "FETCH *:32000 UID", "UID FETCH 2,32768 FLAGS", "FETCH $ FLAGS", "UID FETCH 0:* FLAGS",
	"SEARCH 32000:*", "SEARCH OR 1 *", "SEARCH UNSEEN", "UID SEARCH RETURN (MAX COUNT) ALL", "UID SEARCH RETURN (PARTIAL -1:-600) ALL", "SEARCH NOT 1:32767", "STORE 1,* +FLAGS.SILENT (\\Answered)",
	"SORT (SUBJECT) UTF-8 *", "THREAD REFERENCES UTF-8 *", "MOVE * INBOX",
}

// unread is a configuration with which a large mailbox is not read by itself.
func unread(c *config) { c.store.Lull = time.Hour }

// What is told of the end of a mailbox is the same before the whole is read and after it.
func TestTheEndOfALargeMailbox(t *testing.T) {
	n := start(t, unread)
	n.fill(t, 1, large, same)
	ask := func(command string, read bool) []string {
		p := n.signedIn(t, 1)
		defer p.do("x LOGOUT", "x OK")
		if selected := p.do("s SELECT INBOX (CONDSTORE)", "s OK"); !read && slices.ContainsFunc(selected, func(line string) bool { return strings.HasPrefix(line, "* OK [UNSEEN") }) {
			t.Errorf("before %s the mailbox was read", command)
		}
		if read {
			p.do("r SEARCH RETURN (COUNT) 1", "r OK")
		}
		lines := p.all("a " + command)
		if again := p.all("a " + command); !slices.Equal(again, lines) && !strings.Contains(command, "BODY[") {
			t.Errorf("%s is answered %q, then %q", command, lines, again)
		}
		return lines
	}
	before := map[string][]string{}
	for _, command := range endOnly {
		before[command] = ask(command, false)
	}
	for _, command := range endOnly {
		if after := ask(command, true); !slices.Equal(after, before[command]) {
			t.Errorf("%s is answered %q before the mailbox is read and %q after it", command, before[command], after)
		}
	}
	if lines := before["FETCH * FLAGS"]; !slices.Equal(lines, []string{"* 32768 FETCH (FLAGS ())", "a OK done"}) {
		t.Errorf("the last is told as %q", lines)
	}
}

// all sends a command tagged "a" and reads its answer to the tagged line.
func (p *peer) all(command string) (lines []string) {
	p.t.Helper()
	p.send(command + "\r\n")
	for {
		lines = append(lines, p.line())
		if strings.HasPrefix(lines[len(lines)-1], "a ") {
			return lines
		}
	}
}

// Commands that need the whole of a large mailbox wait for it, whatever was asked before.
func TestMoreThanTheEndOfALargeMailbox(t *testing.T) {
	n := start(t, unread)
	n.fill(t, 1, large, same)
	want := map[string]string{
		"FETCH 1 FLAGS": "* 1 FETCH (FLAGS ())", "FETCH 1,* (UID FLAGS)": "* 1 FETCH (UID 1 FLAGS ())", "FETCH *:32000 UID": "* 32000 FETCH (UID 32000)",
		"UID FETCH 2,32768 FLAGS": "* 2 FETCH (UID 2 FLAGS ())", "FETCH $ FLAGS": "a OK", "UID FETCH 0:* FLAGS": "a BAD",
		"SEARCH 32000:*": "* SEARCH 32000 32001", "SEARCH OR 1 *": "* SEARCH 1 32768", "SEARCH UNSEEN": "* SEARCH 1 2 3", "SEARCH NOT 1:32767": "* SEARCH 32768",
		"UID SEARCH RETURN (MAX COUNT) ALL": `* ESEARCH (TAG "a") UID MAX 32768 COUNT 32768`, "UID SEARCH RETURN (PARTIAL -1:-600) ALL": `* ESEARCH (TAG "a") UID PARTIAL (-1:-600 32169:32768)`,
		`STORE 1,* +FLAGS.SILENT (\Answered)`: "a OK", "SORT (SUBJECT) UTF-8 *": "* SORT 32768", "THREAD REFERENCES UTF-8 *": "* THREAD (32768)", "MOVE * INBOX": "* OK [COPYUID ",
	}
	for _, command := range beyondEnd {
		p := n.signedIn(t, 1)
		p.do("s SELECT INBOX", "s OK")
		p.do("f FETCH * FLAGS", "f OK")
		if lines := p.all("a " + command); !strings.HasPrefix(lines[0], want[command]) || want[command] == "" {
			t.Errorf("%s is answered %.200q, want %q", command, lines[0], want[command])
		}
		p.do("x LOGOUT", "x OK")
	}
}

// While only the end of a mailbox is known others change it: numbers stay what they were
// until the peer is told, and then it is told all.
func TestALargeMailboxChangesBeforeItIsRead(t *testing.T) {
	n := start(t, unread)
	for i, qresync := range []bool{false, true} {
		user := i + 1
		n.fill(t, user, large, same)
		place := store.Place{Account: account(user), Mailbox: store.Inbox}
		p := n.signedIn(t, user)
		if qresync {
			p.do("e ENABLE QRESYNC", "e OK")
		}
		p.do("s SELECT INBOX", "s OK")
		if _, err := n.store.Expunge(t.Context(), place, []uint32{5, large - 1}); err != nil {
			t.Fatal(err)
		}
		n.fill1(t, place)
		if _, err := n.store.StoreFlags(t.Context(), place, store.FlagChange{UIDs: []uint32{large - 7}, Op: store.AddFlags, Flags: store.Flagged}); err != nil {
			t.Fatal(err)
		}
		modseq := ""
		if qresync {
			modseq = " MODSEQ"
		}
		got := p.do(fmt.Sprintf("a FETCH %d:* UID", large-2), "a OK")
		if want := []string{
			fmt.Sprintf("* %d FETCH (UID %d)", large-2, large-2), fmt.Sprintf("* %d FETCH (UID %d)", large-1, large-1), fmt.Sprintf("* %d FETCH (UID %d)", large, large),
		}; !slices.Equal(got, want) && !slices.Equal(got, []string{want[0], want[2]}) {
			// The one that is gone may be told or not; the numbers are those that were told.
			t.Errorf("the last three are %q", got)
		}
		p.do(fmt.Sprintf("b FETCH %d FLAGS", large+1), "b BAD")
		p.do("r SEARCH RETURN (COUNT) 1", "r OK")
		got = p.do("c NOOP", "c OK")
		gone := []string{fmt.Sprintf("* %d EXPUNGE", large-1), "* 5 EXPUNGE"}
		if qresync {
			gone = []string{fmt.Sprintf("* VANISHED 5,%d", large-1)}
		}
		want := append(gone, fmt.Sprintf("* %d EXISTS", large-1), fmt.Sprintf(`* %d FETCH (UID %d FLAGS (\Flagged)%s`, large-8, large-7, modseq))
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("what happened is told as %q, want %q", got, want)
		}
		if got := p.do("d FETCH * UID", "d OK"); !slices.Equal(got, []string{fmt.Sprintf("* %d FETCH (UID %d)", large-1, large+1)}) {
			t.Errorf("the last one is now %q", got)
		}
	}
}

// fill1 delivers one message more.
func (n *fixture) fill1(t *testing.T, place store.Place) {
	t.Helper()
	text := small(0)
	if _, err := n.store.Append(t.Context(), store.Delivery{Places: []store.Place{place}, Body: strings.NewReader(text), Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
}

// Envelopes of many messages are told as those of a few are, without those that are gone
// and with those that were never kept.
func TestEnvelopesOfManyMessages(t *testing.T) {
	n := start(t, nil)
	const count = 3 * fetchBatch
	n.fill(t, 1, count, small)
	place := store.Place{Account: account(1), Mailbox: store.Inbox}
	p := n.signedIn(t, 1)
	p.do("s SELECT INBOX", "s OK")
	var want []string
	for from := 1; from <= count; from += fetchBatch / 2 {
		want = append(want, p.do(fmt.Sprintf("a FETCH %d:%d (UID ENVELOPE BODYSTRUCTURE PREVIEW)", from, from+fetchBatch/2-1), "a OK")...)
	}
	if len(want) != count {
		t.Fatalf("there are %d messages", len(want))
	}
	if got := p.do("a FETCH 1:* (UID ENVELOPE BODYSTRUCTURE PREVIEW)", "a OK"); !slices.Equal(got, want) {
		t.Errorf("%d messages are told otherwise than few", len(got))
	}
	if _, err := n.store.Expunge(t.Context(), place, []uint32{2, count}); err != nil {
		t.Fatal(err)
	}
	left := slices.Concat(want[:1], want[2:count-1])
	if got := p.do("a FETCH 1:* (ENVELOPE)", "a NO [EXPUNGEISSUED]"); len(got) != len(left) {
		t.Errorf("of those that are left %d are told", len(got))
	}
	if got := p.do("a UID FETCH 1:* (ENVELOPE BODYSTRUCTURE PREVIEW)", "a OK"); !slices.Equal(got[:len(left)], left) || len(got) != len(left)+2 {
		t.Errorf("of those that are left %d are told by UID", len(got))
	}
}

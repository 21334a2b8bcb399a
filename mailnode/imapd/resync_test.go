package imapd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailfleet/mailnode/store"
)

var (
	vanishedLine = regexp.MustCompile(`^\* VANISHED `)
	changedLine  = regexp.MustCompile(`^\* \d+ FETCH `)
	validityLine = regexp.MustCompile(`^\* OK \[UIDVALIDITY (\d+)\]`)
	modSeqLine   = regexp.MustCompile(`^\* OK \[HIGHESTMODSEQ (\d+)\]`)
)

// those are the lines that match any of some patterns.
func those(lines []string, patterns ...*regexp.Regexp) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(line) })
	})
}

func captured(t *testing.T, lines []string, pattern *regexp.Regexp) string {
	t.Helper()
	for _, line := range lines {
		if m := pattern.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	t.Fatalf("nothing in %q is %s", lines, pattern)
	return ""
}

// knowing is a peer that has QRESYNC.
func (n *fixture) knowing(t *testing.T, user int) *peer {
	t.Helper()
	p := n.signedIn(t, user)
	p.do("e ENABLE QRESYNC", "e OK")
	return p
}

// A client leaves a large mailbox of which it saw the end, and comes back after others
// changed it.
func TestComingBackToALargeMailbox(t *testing.T) {
	n := start(t, nil)
	n.fill(t, 1, large, same)
	place := store.Place{Account: account(1), Mailbox: store.Inbox}
	p := n.knowing(t, 1)
	selected := p.do("s SELECT INBOX", "s OK")
	validity, since := captured(t, selected, validityLine), captured(t, selected, modSeqLine)
	p.do(fmt.Sprintf("f UID FETCH %d:* FLAGS", large-300), "f OK")
	p.do("x LOGOUT", "x OK")
	for _, uids := range [][]uint32{{5}, {large - 1}, {100, 101, 102}, {large + 1}} {
		if uids[0] > large {
			n.fill1(t, place)
		}
		if _, err := n.store.Expunge(t.Context(), place, uids); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.store.StoreFlags(t.Context(), place, store.FlagChange{UIDs: []uint32{large - 7}, Op: store.AddFlags, Flags: store.Flagged}); err != nil {
		t.Fatal(err)
	}
	n.fill1(t, place)
	type back struct{ since, knows, vanished string }
	flagged := fmt.Sprintf(`* %d FETCH (UID %d FLAGS (\Flagged) MODSEQ (`, large-11, large-7)
	came := fmt.Sprintf(`* %d FETCH (UID %d FLAGS () MODSEQ (`, large-4, large+2)
	check := func(b back, changed ...string) {
		t.Helper()
		p := n.knowing(t, 1)
		defer p.do("x LOGOUT", "x OK")
		command := fmt.Sprintf("SELECT INBOX (QRESYNC (%s%s))", b.since, b.knows)
		lines := p.do("s "+command, "s OK")
		if b.vanished != "" {
			changed = append([]string{"* VANISHED (EARLIER) " + b.vanished}, changed...)
		}
		if got := those(lines, vanishedLine, changedLine); !slices.EqualFunc(got, changed, strings.HasPrefix) {
			t.Errorf("%s is answered %.300q, want %.300q", command, got, changed)
		}
		if lines := p.do("n NOOP", "n OK"); len(lines) > 0 {
			t.Errorf("after %s it is told %q", command, lines)
		}
	}
	status := func() *store.Mailbox {
		m, err := n.store.Status(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		return &m
	}
	then, now := validity+" "+since, fmt.Sprintf("%s %d", validity, status().HighestModSeq)
	check(back{then, "", "5,100:102,32767,32769"}, flagged, came)
	check(back{then, " 1:100", "5,100"})
	check(back{then, " 101:32768", "101:102,32767"}, flagged)
	check(back{then, " 1:32768 (4,90 4,90)", "5,100:102,32767"}, flagged)
	check(back{then, " 1:4,6:99", ""})
	check(back{now, "", ""})
	check(back{validity + " 99999999", "", ""})
	check(back{"7 1", "", ""})

	// The store no longer knows what was removed.
	if err := n.store.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := status()
	unknown := fmt.Sprintf("32769,32771:%d", m.UIDNext-1) // which never were, for all it knows
	check(back{then, "", "5,100:102,32767," + unknown}, flagged, came)
	check(back{then, " 1:32768", "5,100:102,32767"}, flagged)
	check(back{then, " 1:32768 (1,4,90 1,4,90)", "5,100:102,32767"}, flagged)
	check(back{then, " 1:32768 (4:5,95 4,6,96)", "100:102,32767"}, flagged) // it knows that the fifth is gone
	check(back{then, " 1:32768 (4:5,95,200 4,6,96,200)", "100:102,32767"}, flagged)
	check(back{then, " 1:32768 (4,95,200,32763 4,96,204,32768)", ""}, flagged) // and that all are
	check(back{then, " 1:32768 (1:4294967295 1:4294967295)", "5,100:102,32767"}, flagged)
	check(back{then, " 1:32768 (9:1,* 9:1,*)", "5,100:102,32767"}, flagged)
	check(back{fmt.Sprintf("%s %d", validity, m.Floor-1), " 1:32768", "5,100:102,32767"})
	check(back{fmt.Sprintf("%s %d", validity, m.Floor), "", ""})

	p = n.knowing(t, 1)
	p.do("s SELECT INBOX", "s OK")
	for _, set := range []string{"1:*", "1:4294967295"} {
		got := p.do(fmt.Sprintf("f UID FETCH %s (FLAGS) (CHANGEDSINCE %s VANISHED)", set, since), "f OK")
		if want := []string{"* VANISHED (EARLIER) 5,100:102,32767," + unknown, flagged[:9], came[:9]}; !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("what vanished of %s is told as %.300q, want %.300q", set, got, want)
		}
	}
}

// A message that goes while a client catches up is told once, and not as if it had gone
// before the client counted it.
func TestMessagesGoWhileAClientCatchesUp(t *testing.T) {
	n := start(t, nil)
	for i, count := range []int{large, 100} {
		user := i + 1
		n.fill(t, user, count, same)
		place := store.Place{Account: account(user), Mailbox: store.Inbox}
		p := n.knowing(t, user)
		since := captured(t, p.do("s SELECT INBOX", "s OK"), modSeqLine)
		p.do("f FETCH * FLAGS", "f OK")
		expunge := func(uids ...uint32) {
			if _, err := n.store.Expunge(t.Context(), place, uids); err != nil {
				t.Fatal(err)
			}
		}
		expunge(7, uint32(count)-2)
		got := p.do(fmt.Sprintf("g UID FETCH 1:* (UID) (CHANGEDSINCE %s VANISHED)", since), "g OK")
		if want := []string{fmt.Sprintf("* VANISHED 7,%d", count-2)}; !slices.Equal(got, want) {
			t.Errorf("of %d messages the removal is told as %q, want %q", count, got, want)
		}
		expunge(8)
		got = p.do(fmt.Sprintf("h UID FETCH 1:* (UID) (CHANGEDSINCE %s VANISHED)", since), "h OK")
		if want := []string{fmt.Sprintf("* VANISHED (EARLIER) 7,%d", count-2), "* VANISHED 8"}; !slices.Equal(got, want) {
			t.Errorf("of %d messages the removals are told as %q, want %q", count, got, want)
		}
		if got := p.do("i FETCH * UID", "i OK"); !slices.Equal(got, []string{fmt.Sprintf("* %d FETCH (UID %d)", count-3, count)}) {
			t.Errorf("the last is %q", got)
		}
	}
}

// A client that only looks whether there is something new hears of it, although it asks for
// nothing that would have a large mailbox read.
func TestNoopTellsOfALargeMailbox(t *testing.T) {
	n := start(t, nil)
	n.fill(t, 1, large, same)
	p := n.signedIn(t, 1)
	p.do("s SELECT INBOX", "s OK")
	n.fill1(t, store.Place{Account: account(1), Mailbox: store.Inbox})
	for told := []string(nil); len(told) == 0; { // the connection has a deadline
		if told = p.do("n NOOP", "n OK"); len(told) > 0 && !slices.Equal(told, []string{fmt.Sprintf("* %d EXISTS", large+1)}) {
			t.Errorf("it is told %q", told)
		}
	}
}

package imapd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/imapd/wire"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		reference, pattern string
		yes, no            string
	}{
		{"", "*", "INBOX,a/b,", ""},
		{"", "%", "INBOX,a", "a/b"},
		{"", "a/%", "a/b,a/", "a,a/b/c,b/a"},
		{"a/", "%", "a/b", "b,a/b/c"},
		{"a/", "/b", "/b", "a/b"},
		{"", "*b", "b,a/b,bb", "a"},
		{"", "%/%", "a/b", "a,a/b/c"},
		{"", "a*c%e", "abcde,a/c/cde,ace", "ac/e,abcd"},
		{"", "inbox", "INBOX", "inbox,INBOX/a"},
		{"", "inbox/%", "INBOX/a", "INBOX"},
		{"", "中%", "中文", "文"},
	} {
		p := newPattern(c.reference, c.pattern)
		for name := range strings.SplitSeq(c.yes, ",") {
			if name != "" && !p.match(name) {
				t.Errorf("%q does not match %q", p, name)
			}
		}
		for name := range strings.SplitSeq(c.no, ",") {
			if name != "" && p.match(name) {
				t.Errorf("%q matches %q", p, name)
			}
		}
	}
	start := time.Now()
	newPattern("", strings.Repeat("*a", 500)).match(strings.Repeat("a", 1000))
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("a costly pattern took %v", d)
	}
}

// messages are "number:id<references subject" apart from each other.
func messages(list ...string) (ms []threaded) {
	for i, s := range list {
		head, subject, _ := strings.Cut(s, " ")
		head, refs, _ := strings.Cut(head, "<")
		m := threaded{number: uint32(i + 1), id: head, date: time.Unix(int64(i), 0)}
		if refs != "" {
			m.references = strings.Split(refs, ",")
		}
		m.subject, m.reply = strings.CutPrefix(subject, "Re: ")
		ms = append(ms, m)
	}
	return ms
}

func written(roots []*node) string {
	var b strings.Builder
	w := wire.NewWriter(&b)
	writeThreads(w, roots)
	_ = w.Flush()
	return b.String()
}

func TestReferences(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"none", nil, ""},
		{"a chain", []string{"a s", "b<a Re: s", "c<a,b Re: s"}, "(1 2 3)"},
		{"two answers", []string{"a s", "b<a Re: s", "c<a Re: s"}, "(1 (2)(3))"},
		{"one that is not there", []string{"b<a x", "c<a y"}, "((1)(2))"},
		{"one child of none", []string{"b<a x"}, "(1)"},
		{"by subject", []string{"a s", "b Re: s", "c t"}, "(1 2)(3)"},
		{"equals by subject", []string{"a s", "b s"}, "((1)(2))"},
		{"a loop", []string{"a<b x", "b<a y"}, "(2 1)"},
		{"an id twice", []string{"a x", "a y"}, "(1)(2)"},
		{"answer first", []string{"b<a Re: s", "a s"}, "(2 1)"},
		{"itself", []string{"a<a x"}, "(1)"},
		{"a branch deeper", []string{"a s", "b<a Re: s", "c<a,b Re: s", "d<a,b Re: s"}, "(1 2 (3)(4))"},
	} {
		if got := written(references(messages(c.in...))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	long := make([]string, 20_000)
	for i := range long {
		long[i] = fmt.Sprintf("m%d<m%d s", i+1, i)
	}
	start := time.Now()
	references(messages(long...))
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("a long chain took %v", d)
	}
}

func TestOrderedSubject(t *testing.T) {
	if got := written(orderedSubject(messages("a s", "b t", "c Re: s", "d Re: s"))); got != "(1 (3)(4))(2)" {
		t.Error(got)
	}
}

func TestMessageURLs(t *testing.T) {
	for s, want := range map[string]string{
		"/INBOX/;UID=20/;SECTION=1.2":             "INBOX 0 20 1.2 <nil>",
		"/a%20b;UIDVALIDITY=7/;uid=3":             "a b 7 3  <nil>",
		";UID=3/;SECTION=HEADER":                  " 0 3 HEADER <nil>",
		"imap://u@h/a/b/;UID=3/;PARTIAL=5.10":     "a/b 0 3  &{5 10}",
		"/INBOX/;UID=1/;SECTION=TEXT/;PARTIAL=10": "INBOX 0 1 TEXT &{10 9223372036854775797}",
	} {
		u, ok := parseURL(s)
		if got := fmt.Sprint(u.mailbox, " ", u.uidValidity, " ", u.uid, " ", u.section, " ", u.partial); !ok || got != want {
			t.Errorf("%q: %q, %v", s, got, ok)
		}
		if _, ok := u.item(); !ok {
			t.Errorf("%q has no section", s)
		}
	}
	for _, s := range []string{"", "/", "/INBOX", "/INBOX/;UID=0", "/INBOX/;UID=x", "http://x/;UID=1", "/a%zz/;UID=1", "/a;UIDVALIDITY=0/;UID=1", "/a/;UID=1/;FOO=1", "imap://x"} {
		if u, ok := parseURL(s); ok {
			t.Errorf("%q: %v", s, u)
		}
	}
}

func FuzzMessageURL(f *testing.F) {
	f.Add("/INBOX;UIDVALIDITY=1/;UID=20/;SECTION=1.2/;PARTIAL=0.5")
	f.Fuzz(func(t *testing.T, s string) {
		if u, ok := parseURL(s); ok && u.uid == 0 {
			t.Errorf("%q: %+v", s, u)
		} else if ok {
			u.item()
		}
	})
}

package imapd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/search"
)

// hint is an index that knows little.
type hint struct {
	search.Answer
	asked []search.Query
}

func (h *hint) Candidates(_ context.Context, _ search.Place, q search.Query) (search.Answer, error) {
	h.asked = append(h.asked, q)
	return h.Answer, nil
}

func (h *hint) Touch(search.Place) {}

// What the index is sure of is not looked at; what may be, and what it does not know, is.
func TestIndexIsAPrefilter(t *testing.T) {
	h := &hint{Answer: search.Answer{Sure: []uint32{1}, Maybe: []uint32{2, 3}, Through: 4}}
	n := start(t, func(c *config) { c.Texts = h })
	p := n.signedIn(t, 1)
	p.do("a SELECT INBOX", "a OK")
	for _, text := range []string{"nothing", "needle", "nothing", "needle", "needle", "nothing"} {
		p.append("INBOX", "Subject: x\r\nX-Needle: "+text+"\r\n\r\n"+text+"\r\n")
	}
	for command, want := range map[string]string{
		"SEARCH BODY NEEDLE":            "* SEARCH 1 2 5",
		"SEARCH TEXT needle":            "* SEARCH 1 2 3 5 6", // X-Needle
		"SEARCH HEADER X-Needle needle": "* SEARCH 2 5",       // that a header has it is not enough
		"SEARCH NOT BODY needle":        "* SEARCH 3 4 6",
		"SEARCH OR BODY needle UID 4":   "* SEARCH 1 2 4 5",
		"SEARCH BODY needle UID 2:4":    "* SEARCH 2",
		"SEARCH SUBJECT needle":         "* SEARCH",
		`SEARCH BODY ""`:                "* SEARCH 1 2 3 4 5 6",
	} {
		if got := p.do("b "+command, "b OK"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if !slices.ContainsFunc(h.asked, func(q search.Query) bool { return q.Needle == "NEEDLE" }) {
		t.Errorf("asked %v", h.asked)
	}
}

// Every search is answered as a plain look at all messages would be, whatever keys are
// combined.
func TestKeysCombine(t *testing.T) {
	n := start(t, nil)
	p := n.signedIn(t, 1)
	p.do("a SELECT INBOX", "a OK")
	for i := range 16 {
		flags := ""
		for bit, f := range []string{`\Seen`, `\Flagged`, `\Draft`, `$Work`} {
			if i>>bit&1 == 1 {
				flags += " " + f
			}
		}
		text := fmt.Sprintf("Subject: s%d\r\n\r\n%s", i, strings.Repeat("x", i))
		p.do(fmt.Sprintf("a APPEND INBOX (%s) {%d+}\r\n%s", strings.TrimSpace(flags), len(text), text), "a OK")
	}
	has := func(bit int) func(int) bool { return func(i int) bool { return i>>bit&1 == 1 } }
	for _, c := range []struct {
		keys string
		want func(i int) bool
	}{
		{"SEEN FLAGGED", func(i int) bool { return has(0)(i) && has(1)(i) }},
		{"OR SEEN FLAGGED", func(i int) bool { return has(0)(i) || has(1)(i) }},
		{"NOT (SEEN FLAGGED)", func(i int) bool { return !(has(0)(i) && has(1)(i)) }},
		{"OR (SEEN KEYWORD $work) NOT DRAFT", func(i int) bool { return has(0)(i) && has(3)(i) || !has(2)(i) }},
		{"SUBJECT s1 UNSEEN", func(i int) bool { return !has(0)(i) && (i == 1 || i >= 10) }},
		{"OR SUBJECT s1 BODY xxxxxxxx", func(i int) bool { return i == 1 || i >= 8 }},
		{"NOT BODY xxxx 3:10", func(i int) bool { return i < 4 && i >= 2 }},
		{"UID 1:5,9 NOT 2", func(i int) bool { return i != 1 && (i < 5 || i == 8) }},
	} {
		want := "* SEARCH"
		for i := range 16 {
			if c.want(i) {
				want += fmt.Sprintf(" %d", i+1)
			}
		}
		if got := p.do("b SEARCH "+c.keys, "b OK"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", c.keys, got, want)
		}
	}
}

func TestProgressIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		s := &session{w: wire.NewWriter(&b)}
		p := newProgress(s, &call{tag: "a1"}, 1000)
		p.tell(10)
		time.Sleep(progressPause)
		p.tell(500)
		p.tell(510)
		if got := b.String(); got != "* OK [INPROGRESS (\"a1\" 500 1000)] still at work\r\n" {
			t.Errorf("%q", got)
		}
	})
}

package imapd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Messages made to break readers of MIME are taken, kept as they are and shown with a
// structure of bounded depth and width, in a time that grows with their size alone.
func TestMIMEWithoutEndIsTakenAndCapped(t *testing.T) {
	deep := func(levels int) string {
		var b strings.Builder
		b.WriteString("Subject: deep\r\n")
		for i := range levels {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		b.WriteString("\r\nbottom\r\n")
		return b.String()
	}
	wide := func(parts int) string {
		return "Subject: wide\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", parts) + "--b--\r\n"
	}
	n := start(t, nil)
	p := n.signedIn(t, 1)
	ask := func(command string) string {
		t.Helper()
		p.send("b " + command + "\r\n")
		var all strings.Builder
		for {
			line := p.line()
			if strings.HasPrefix(line, "b ") {
				if !strings.HasPrefix(line, "b OK") {
					t.Errorf("%s: %s", command, line)
				}
				return all.String()
			}
			all.WriteString(line + "\r\n")
		}
	}
	p.do("a SELECT INBOX", "a OK")
	for i, text := range []string{deep(10_000), wide(100_000)} {
		begun := time.Now()
		p.append("INBOX", text)
		for _, item := range []string{"BODYSTRUCTURE", "ENVELOPE", "PREVIEW", "BODY[1]", "BODY[1.1.1.1]", "BODY[99999]"} {
			got := ask(fmt.Sprintf("FETCH %d %s", i+1, item))
			if len(got) > 4<<20 {
				t.Errorf("message %d: %s has %d bytes", i+1, item, len(got))
			}
			if depth := strings.Count(got, "(("); item == "BODYSTRUCTURE" && depth > 1000 {
				t.Errorf("message %d: its structure has %d levels", i+1, depth)
			}
		}
		for _, key := range []string{"BODY", "TEXT"} {
			if got, want := ask("UID SEARCH "+key+" bottom"), "* SEARCH 1\r\n"; got != want {
				t.Errorf("the bottom by %s: %q", key, got)
			}
		}
		if got := ask("UID SEARCH BODY x"); i == 1 && !strings.Contains(got, " 2") {
			t.Errorf("the wide message is not found: %q", got)
		}
		if got := ask(fmt.Sprintf("FETCH %d BODY.PEEK[]", i+1)); !strings.Contains(got, text) {
			t.Errorf("message %d is another than was put in", i+1)
		}
		took := time.Since(begun)
		t.Logf("message %d of %d bytes took %v", i+1, len(text), took)
		if took > time.Minute {
			t.Errorf("message %d took %v", i+1, took)
		}
	}
}

package smtpd

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

func (n *node) only(t *testing.T, account string) string {
	t.Helper()
	got := n.mail(t, account)
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	_, body, _ := strings.Cut(got[0], "+0000\r\n")
	return body
}

func TestChunks(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.Send("MAIL FROM:<a@b.test>\r\nRCPT TO:<user1@example.test>\r\nBDAT 14\r\nSubject: x\r\n\r\nBDAT 6\r\n.\r\n..\rBDAT 8 LAST\r\n\nNOOP\r\n.QUIT\r\n")
	for _, want := range []string{"250 2.1.0", "250 2.1.5", "250 2.0.0 14 octets", "250 2.0.0 6 octets", "250 2.6.0", "221"} {
		p.want(want)
	}
	p.WantClosed()
	if got, want := n.only(t, user1), "Subject: x\r\n\r\n.\r\n..\r\nNOOP\r\n.\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChunksOutOfOrder(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	evil := "MAIL FROM:<evil@b.test>\r\n"
	chunk := fmt.Sprintf("%d\r\n%s", len(evil), evil)
	p.Send("BDAT " + chunk) // a chunk is never run, wherever it stands
	p.want("503 5.5.1")
	p.do("MAIL FROM:<a@b.test>", "250")
	p.Send("BDAT " + chunk)
	p.want("503 5.5.1")
	p.do("RCPT TO:<user1@example.test>", "250")
	p.Send("BDAT " + chunk)
	p.want("250 2.0.0")
	p.do("DATA", "503 5.5.1")
	p.do("RCPT TO:<user2@example.test>", "503 5.5.1")
	p.do("MAIL FROM:<a@b.test>", "503 5.5.1")
	p.do("RSET", "250")
	p.Send("BDAT 0 LAST\r\n")
	p.want("503 5.5.1")
	p.recipient()
	p.Send("BDAT 0 LAST\r\n")
	p.want("250 2.6.0")
	if got := n.only(t, user1); got != "\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestChunksWithBareLineEndsAreRefused(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	for _, text := range []string{"a\n", "a\rb\r\n", "\r", "\n", "a\r\n\r", "\r\n\n"} {
		p.recipient()
		p.Send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text))
		p.want("554 5.6.0 The message has a CR")
	}
	p.recipient()
	p.Send("BDAT 1\r\n\rBDAT 1 LAST\r\n\n") // whole where it is cut
	p.want("250 2.0.0")
	p.want("250 2.6.0")
	if got := n.only(t, user1); got != "\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestNULIsRefusedWithTheRestRead(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.data()
	p.Send("a\x00b\r\n.\r\n")
	p.want("554 5.6.0 The message has NUL")
	p.recipient()
	p.Send("BDAT 5 LAST\r\na\x00b\r\n")
	p.want("554 5.6.0 The message has NUL")
	p.do("NOOP", "250")
	if got := n.mail(t, user1); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestBinaryMessage(t *testing.T) {
	s := newShelf()
	n := start(t, func(o *Options) { o.Recipients, o.Deliverer = s, s })
	p := n.greeted(t)
	binary := func(text string) {
		p.do("MAIL FROM:<a@b.test> BODY=binarymime", "250")
		p.do("RCPT TO:<user1@example.test>", "250")
		p.Send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text))
	}
	binary("Subject: x\r\n\r\n\x00\n\r\xff.")
	p.want("250 2.6.0")
	if len(s.mail) != 1 || !strings.HasSuffix(s.mail[0], "+0000\r\nSubject: x\r\n\r\n\x00\n\r\xff.") || s.envelopes[0].Body != "BINARYMIME" {
		t.Errorf("got %q, %v", s.mail, s.envelopes)
	}
	binary("Subject: x\nReceived: y\r\n\r\n") // a header is of lines always
	p.want("554 5.6.0")
	binary("Subject: x")
	p.want("554 5.6.0")
	p.do("MAIL FROM:<a@b.test> BODY=BINARYMIME", "250")
	p.do("RCPT TO:<user1@example.test>", "250")
	p.do("DATA", "503 5.5.1 A message with BODY=BINARYMIME comes by BDAT")
}

func TestEmptyChunksWithoutEndAreEnded(t *testing.T) {
	p := start(t, nil).greeted(t)
	p.recipient()
	for range maxIdle - 1 {
		p.do("BDAT 0", "250 2.0.0")
	}
	p.do("BDAT 0", "421 4.7.0")
	p.WantClosed()
}

func TestChunksOverTheLimit(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	part := strings.Repeat(strings.Repeat("x", 1022)+"\r\n", 600)
	p.recipient()
	for range 2 {
		p.Send(fmt.Sprintf("BDAT %d\r\n%s", len(part), part))
	}
	p.want("250 2.0.0")
	p.want("552 5.3.4")
	p.Send("BDAT 0 LAST\r\n")
	p.want("503")
	p.recipient()
	p.Send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(part), part))
	p.want("250 2.6.0")
	if got := n.only(t, user1); got != part {
		t.Errorf("got %d bytes", len(got))
	}
	p.recipient()
	p.Send("BDAT 9000000000 LAST\r\n") // who announces so much is not listened to
	p.want("552 5.3.4")
	p.WantClosed()
	if left, err := os.ReadDir(n.o.SpoolDir); err != nil || len(left) > 0 {
		t.Errorf("the spool holds %v, %v", left, err)
	}
}

func TestDecodedMessages(t *testing.T) {
	for raw, want := range map[string]string{
		".\r\n":                  "",
		"\r\n.\r\n":              "\r\n",
		"..\r\n.\r\n":            ".\r\n",
		"...\r\n.\r\n":           "..\r\n",
		".x\r\n.\r\n":            "x\r\n",
		"a\r\n\r\nb.\r\n.c\r\n.": "a\r\n\r\nb.\r\nc\r\n",
	} {
		for size := 1; size <= len(raw); size++ { // cut anywhere
			var state dots
			var got []byte
			v := goesOn
			for rest := []byte(raw); len(rest) > 0 && v == goesOn; {
				var n int
				piece := rest[:min(size, len(rest))]
				got, n, v = state.decode(got, piece)
				rest = rest[n:]
			}
			if string(got) != want || (v == ended) != strings.HasSuffix(raw, "\r\n.\r\n") && raw != ".\r\n" {
				t.Errorf("%q in pieces of %d: got %q, %v", raw, size, got, v)
			}
		}
	}
}

// However a message is cut, it is decoded to the same, or refused, as by a plain
// reading of the rules.
func FuzzDots(f *testing.F) {
	f.Add([]byte("a\r\n..b\r\n.\r\nQUIT\r\n"), 3)
	f.Add([]byte("a\r\n.\rb"), 1)
	f.Add([]byte("\n.\n"), 2)
	f.Fuzz(func(t *testing.T, raw []byte, size int) {
		if size < 1 {
			return
		}
		want, left, v := plain(raw)
		var state dots
		var got []byte
		verdict, rest := goesOn, raw
		for len(rest) > 0 && verdict == goesOn {
			var n int
			piece := rest[:min(size, len(rest))]
			if got, n, verdict = state.decode(got, piece); n > len(piece) {
				t.Fatalf("%d of %d bytes", n, len(piece))
			}
			rest = rest[n:]
		}
		if verdict != v || v == ended && (!bytes.Equal(got, want) || len(rest) != left) {
			t.Fatalf("%q in pieces of %d: %q and %d left (%v), want %q and %d (%v)", raw, size, got, len(rest), verdict, want, left, v)
		}
	})
}

// plain reads a message line by line.
func plain(raw []byte) (text []byte, left int, v verdict) {
	for {
		end := bytes.IndexByte(raw, '\n')
		line := raw[:max(end, 0)]
		if end < 0 {
			if cr := bytes.IndexByte(raw, '\r'); cr >= 0 && cr < len(raw)-1 {
				return nil, 0, broken
			}
			return nil, 0, goesOn
		}
		if bytes.IndexByte(line, '\r') != len(line)-1 || len(line) == 0 {
			return nil, 0, broken
		}
		if raw = raw[end+1:]; string(line) == ".\r" {
			return text, len(raw), ended
		}
		text = append(append(text, bytes.TrimPrefix(line, []byte("."))...), '\n')
	}
}

// However a message is cut into chunks it arrives as it is, or is refused as a whole, and
// what follows it is a command again.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("Subject: x\r\n\r\na\r\n.\r\n"), 3, true)
	f.Add([]byte("a\rb\n\x00"), 1, false)
	f.Add([]byte(""), 1, true)
	f.Fuzz(func(t *testing.T, text []byte, size int, binary bool) {
		if size < 1 || len(text)/size > 1000 {
			return
		}
		said := bytes.NewBufferString("EHLO a\r\nMAIL FROM:<a@b>" + map[bool]string{true: " BODY=BINARYMIME"}[binary] + "\r\nRCPT TO:<user1@example.test>\r\n")
		for rest := text; ; {
			n := min(size, len(rest))
			last := n == len(rest)
			fmt.Fprintf(said, "BDAT %d%s\r\n%s", n, map[bool]string{true: " LAST"}[last], rest[:n])
			if rest = rest[n:]; last {
				break
			}
		}
		said.WriteString("QUIT\r\n")
		answers, s := conversation(t, said.Bytes())
		taken := strings.Contains(answers, "\r\n250 2.6.0 ")
		if taken != (len(s.mail) == 1) || !strings.HasSuffix(answers, "\r\n221 2.0.0 Goodbye\r\n") {
			t.Fatalf("%q in chunks of %d: %q and %d messages", text, size, answers, len(s.mail))
		}
		if !taken {
			return
		}
		_, got, _ := strings.Cut(s.mail[0], "+0000\r\n")
		if got = strings.TrimSuffix(got, "\r\n"); got != strings.TrimSuffix(string(text), "\r\n") {
			t.Fatalf("got %q of %q", got, text)
		}
		if !binary && (bytes.Contains(text, []byte{0}) || strings.ContainsAny(strings.ReplaceAll(string(text), "\r\n", ""), "\r\n")) {
			t.Fatalf("%q was taken", text)
		}
	})
}

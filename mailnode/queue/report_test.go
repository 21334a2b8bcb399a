package queue

import (
	"io"
	"strings"
	"testing"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/recode"
)

// A report that gives a whole message back can be converted for every server, and what it
// gives back is the message to the byte.
func TestReportsCanBeConverted(t *testing.T) {
	const head = "MIME-Version: 1.0\n"
	for name, x := range map[string]struct {
		text string
		utf8 bool // announced
		kind string
	}{
		"ASCII":         {head + "\nx\n", false, "message/rfc822"},
		"eight bits":    {head + "Content-Type: text/plain; charset=utf-8\n\n你好\n", false, ""}, // is converted itself
		"signed":        {head + "Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n", false, "message/global"},
		"a part's head": {head + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\nContent-Description: Grüße\n\nx\n--b--\n", false, "message/global"},
		"its header":    {head + "Subject: Grüße\n\nx\n", false, "message/global"},
		"announced":     {head + "Subject: Grüße\n\nx\n", true, "message/global"},
		"Latin-1":       {head + "Subject: Gr\xfc\xdfe\n\nx\n", false, "text/rfc822-headers"},
		"an encoding":   {head + "Content-Transfer-Encoding: x-uuencode\n\n\xff\xfe\n", false, "message/global"},
		"deep":          {head + deep(98) + "\nGrüße\n", false, "message/global"},
		"header only":   {head + "Subject: Grüße\n", false, "message/global"},
		"partial":       {head + "Content-Type: message/partial; id=x; number=1\n\nSubject: x\n\nGrüße\n", false, "message/global"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.answer = always(never)
			e := from("alice@here.test")
			e.Return, e.UTF8, e.Body = envelope.ReturnFull, x.utf8, envelope.Body8Bit
			given := strings.ReplaceAll(x.text, "\n", "\r\n")
			w.putText(given, e, rcpt("x@far.test"))
			w.empty()
			reports := w.inbox()
			if len(reports) != 1 {
				t.Fatalf("%d reports came", len(reports))
			}
			r, err := recode.Message(func() io.Reader { return strings.NewReader(reports[0]) }, recode.SevenBit, nil)
			if err != nil {
				t.Fatalf("the report cannot be converted: %v", err)
			}
			b, err := io.ReadAll(r.Open())
			if err != nil || !ascii(b) {
				t.Fatalf("converted it is %q, %v", b, err)
			}
			if x.kind == "" {
				return
			}
			kind, back := lastPart(t, string(b))
			want := "Received: first\r\n" + given
			if x.kind == "text/rfc822-headers" {
				want, _, _ = strings.Cut(want, "\r\n\r\n")
				want += "\r\n"
			}
			if kind != x.kind || strings.TrimRight(back, "\r\n") != strings.TrimRight(want, "\r\n") {
				t.Errorf("given back is %s %q", kind, back)
			}
		})
	}
}

// deep is the header of parts in parts.
func deep(levels int) string {
	var b strings.Builder
	for range levels {
		b.WriteString("Content-Type: message/rfc822\n\n")
	}
	return b.String()
}

// lastPart is the type of the last part of a message, and what it says.
func lastPart(t *testing.T, raw string) (kind, text string) {
	t.Helper()
	digest, err := message.Parse(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	parts := digest.Structure.Parts
	p := parts[len(parts)-1]
	r, err := message.Open(strings.NewReader(raw), digest.Structure).Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ToLower(p.Type + "/" + p.Subtype), string(b)
}

// What others say in letters that the fields for programs may not have stands in the text
// for people, and the fields stay ASCII.
func TestReportOfAReplyInOtherLetters(t *testing.T) {
	w := newWorld(t)
	o := never
	o.Reply = "550 5.1.1 用户不存在"
	w.answer = always(o)
	w.put(from("alice@here.test"), rcpt("x@far.test"))
	w.empty()
	_, human, status, _ := readReport(t, w.inbox()[0])
	if !strings.Contains(human, "用户不存在") || !strings.Contains(status, "Diagnostic-Code: smtp; 550 5.1.1 ?????\r\n") || !ascii([]byte(status)) {
		t.Errorf("the report says %q and %q", human, status)
	}
}

package queue

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/recode"
)

// action is what a report says of a recipient (RFC 3464 §2.3.3).
type action string

const (
	failed    action = "failed"
	delayed   action = "delayed"
	delivered action = "delivered"
	relayed   action = "relayed"
	expanded  action = "expanded"
)

// line is a recipient in a report.
type line struct {
	*decision
	action
}

// action is what is to be said to the sender of a recipient, "" for nothing.
func (c *change) action(d *decision) action {
	success := d.to.Notify&envelope.NotifySuccess != 0
	switch {
	case d.State == outbound.Permanent && d.to.Notify.Wants(envelope.NotifyFailure):
		return failed
	case d.State == outbound.Temporary && c.tell && d.to.Notify.Wants(envelope.NotifyDelay):
		return delayed
	case d.State != outbound.Sent || !success:
	case d.placed == nil && !d.DSN:
		return relayed
	case d.placed != nil && d.placed.Expanded:
		return expanded
	case d.placed != nil && len(d.placed.Into) > 0:
		return delivered
	}
	return ""
}

// headerMost is how much of a header is given back.
const headerMost = 64 << 10

// report writes the report of a change (RFC 3461 §6, RFC 3464) and says to whom it goes; nil
// when none is due.
func (q *Queue) report(c *change) (text []byte, to string) {
	to = cmp.Or(c.p.From, c.m.Envelope.From)
	if to == "" { // RFC 5321 §4.5.5: nothing answers a report
		return nil, ""
	}
	var lines []line
	worst := action("")
	for i := range c.done {
		if a := c.action(&c.done[i]); a != "" {
			lines = append(lines, line{&c.done[i], a})
			if worst == "" || a == failed || a == delayed && worst != failed {
				worst = a
			}
		}
	}
	if len(lines) == 0 {
		return nil, ""
	}
	language := "zh-CN"
	if q.o.Language != nil {
		language = q.o.Language(to)
	}
	words := wordsOf(language)
	set := q.set.Load()
	boundary := rand.Text()
	var b []byte
	b = message.AppendField(b, "From", words.daemon+" <MAILER-DAEMON@"+set.Hostname+">")
	b = append(b, "To: <"+to+">\r\n"...)
	b = message.AppendField(b, "Subject", words.subject(worst))
	b = message.AppendField(b, "Date", message.FormatDate(c.now))
	b = message.AppendField(b, "Message-ID", message.NewMessageID(set.Hostname))
	b = append(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"...)
	b = append(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""+boundary+"\"\r\n\r\n"...)
	b = append(b, "--"+boundary+"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Language: "+language+"\r\nContent-Transfer-Encoding: base64\r\n\r\n"...)
	b = appendBase64(b, []byte(words.body(set.Hostname, lines, c)))
	kind, fields := "message/delivery-status", status(set.Hostname, lines, c)
	if global(to, lines) { // RFC 6533
		kind = "message/global-delivery-status"
	} else {
		fields = masked(fields)
	}
	b = append(b, "\r\n--"+boundary+"\r\n"...)
	b = appendPart(b, kind, fields)
	b = append(b, "\r\n--"+boundary+"\r\n"...)
	b = q.giveBack(b, c, worst)
	return append(b, "\r\n--"+boundary+"--\r\n"...), to
}

// masked puts a question mark in place of each character that is not ASCII, as replies of
// others may have (RFC 3464 §2.1).
func masked(fields []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r >= 0x80 {
			return '?'
		}
		return r
	}, fields)
}

// global tells that a report is of addresses in other letters than ASCII.
func global(to string, lines []line) bool {
	for _, l := range lines {
		to += l.to.Address
	}
	return strings.IndexFunc(to, func(r rune) bool { return r >= 0x80 }) >= 0
}

func appendBase64(b, text []byte) []byte {
	const width = 76
	for s := base64.StdEncoding.EncodeToString(text); s != ""; {
		n := min(width, len(s))
		b = append(append(b, s[:n]...), "\r\n"...)
		s = s[n:]
	}
	return b
}

// status is the part for programs (RFC 3464 §2).
func status(hostname string, lines []line, c *change) []byte {
	var b bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, oneLine(value))
		}
	}
	e := &c.m.Envelope
	field("Reporting-MTA", "dns; "+hostname)
	field("Original-Envelope-Id", unxtext(e.EnvID))
	field("Arrival-Date", message.FormatDate(c.m.Received))
	for _, l := range lines {
		b.WriteString("\r\n")
		if kind, original, ok := strings.Cut(l.to.Original, ";"); ok {
			field("Original-Recipient", kind+"; "+unxtext(original))
		}
		kind := "rfc822; "
		if global(l.to.Address, nil) {
			kind = "utf-8; "
		}
		field("Final-Recipient", kind+l.to.Address)
		field("Action", string(l.action))
		field("Status", statusOf(l))
		if host, _, ok := strings.Cut(l.Host, " ["); ok {
			field("Remote-MTA", "dns; "+host)
		}
		if l.Reply != "" {
			field("Diagnostic-Code", "smtp; "+l.Reply)
		} else if l.action == failed || l.action == delayed {
			field("Diagnostic-Code", "x-mailfleet; "+l.Text)
		}
		field("Last-Attempt-Date", message.FormatDate(c.now))
		if l.action == delayed {
			field("Will-Retry-Until", message.FormatDate(c.m.Expires))
		}
	}
	return b.Bytes()
}

func statusOf(l line) string {
	switch {
	case l.expired && l.Enhanced == "":
		return "4.4.7"
	case l.Enhanced != "":
		return l.Enhanced
	case l.action == failed:
		return "5.0.0"
	case l.action == delayed:
		return "4.0.0"
	}
	return "2.0.0"
}

// oneLine keeps a value within its line and a sane length.
func oneLine(s string) string {
	const most = 900
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// unxtext decodes xtext (RFC 3461 §4); what is none stays as it is.
func unxtext(s string) string {
	if text, err := envelope.DecodeXtext(s); err == nil {
		return text
	}
	return s
}

// giveBack appends the message, or its header, as the last part of a report.
func (q *Queue) giveBack(b []byte, c *change, worst action) []byte {
	e := &c.m.Envelope
	open, err := q.open(c.it.id, c.m)
	if err != nil {
		return appendPart(b, "text/rfc822-headers", nil)
	}
	// What wants TLS all the way is not to go back without (RFC 8689 §5).
	whole := e.Return == envelope.ReturnFull && !e.RequireTLS && worst == failed && c.m.Size <= q.set.Load().ReportBytes && e.Body != envelope.BodyBinary
	header := headerOf(open())
	if whole && utf8.Valid(header) {
		if text, err := io.ReadAll(io.LimitReader(open(), c.m.Size)); err == nil {
			return appendPart(b, enclosed(b, e, text), text)
		}
	}
	kind := "text/rfc822-headers"
	if e.UTF8 {
		kind = "message/global-headers"
	}
	return appendPart(b, kind, header)
}

// enclosed is the type of a whole message as the next part of a report. One that must not be
// changed, or has a header in letters nobody announced, could not be converted for a server
// without 8BITMIME, and the report would be lost there. As an internationalized message it
// may be encoded as it is, signatures and all (RFC 6532 §3.7).
func enclosed(report []byte, e *envelope.Envelope, text []byte) string {
	const kind = "message/rfc822"
	if e.UTF8 {
		return "message/global"
	}
	if ascii(text) {
		return kind
	}
	part := appendPart(nil, kind, nil)
	open := func() io.Reader {
		return io.MultiReader(bytes.NewReader(report), bytes.NewReader(part), bytes.NewReader(text))
	}
	if _, err := recode.Message(open, recode.SevenBit, nil); err != nil {
		return "message/global"
	}
	return kind
}

// appendPart appends a part after its boundary.
func appendPart(b []byte, kind string, text []byte) []byte {
	b = append(b, "Content-Type: "+kind+"\r\n"...)
	if !ascii(text) {
		b = append(b, "Content-Transfer-Encoding: 8bit\r\n"...)
	}
	return append(append(b, "\r\n"...), text...)
}

func ascii(text []byte) bool {
	return bytes.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0
}

// headerOf reads the header of a message, as whole lines.
func headerOf(r io.Reader) []byte {
	var header []byte
	for in := bufio.NewReader(io.LimitReader(r, headerMost)); ; {
		l, err := in.ReadBytes('\n')
		if err != nil || len(bytes.TrimRight(l, "\r\n")) == 0 {
			return header
		}
		header = append(header, l...)
	}
}

// words are the texts of reports in a language.
type words struct {
	daemon                     string
	subjects, intro            map[action]string
	until                      string // how long it is tried on
	expired, greeting, machine string
	said, saidBy, server       string // before what a remote said; a remote that said nothing
	choose                     func(reason) string
	details                    bool // what this server itself notes of a failure is in this language
}

func (w *words) subject(a action) string { return w.subjects[a] }

// body is the part for humans: what happened to whom, and what that means.
func (w *words) body(hostname string, lines []line, c *change) string {
	var b strings.Builder
	fmt.Fprintf(&b, w.greeting+"\r\n\r\n", hostname)
	for _, a := range []action{failed, delayed, relayed, expanded, delivered} {
		first := true
		for _, l := range lines {
			if l.action != a {
				continue
			}
			if first {
				b.WriteString(w.intro[a] + "\r\n\r\n")
				first = false
			}
			fmt.Fprintf(&b, "    <%s>\r\n", oneLine(l.to.Address))
			if a == failed || a == delayed {
				if l.expired {
					b.WriteString("        " + w.expired + "\r\n")
				}
				for _, text := range w.because(&l) {
					b.WriteString("        " + oneLine(text) + "\r\n")
				}
			}
		}
		if !first {
			b.WriteString("\r\n")
		}
		if !first && a == delayed {
			fmt.Fprintf(&b, w.until+"\r\n\r\n", when(c.m.Expires))
		}
	}
	b.WriteString(w.machine + "\r\n")
	return b.String()
}

func wordsOf(language string) *words {
	if strings.HasPrefix(strings.ToLower(language), "en") {
		return &english
	}
	return &chinese
}

var chinese = words{
	daemon: "邮件系统",
	subjects: map[action]string{
		failed: "邮件未能送达", delayed: "邮件延迟送达（仍在尝试）", relayed: "邮件已转交", expanded: "邮件已分发", delivered: "邮件已送达",
	},
	intro: map[action]string{
		failed:    "您的邮件未能送达以下收件人，系统不会再次尝试：",
		delayed:   "您的邮件尚未送达以下收件人。您无需重新发送，系统会继续尝试：",
		relayed:   "您的邮件已转交给以下收件人的邮件服务器，该服务器不会再提供送达报告：",
		expanded:  "您的邮件已分发给以下地址的所有成员：",
		delivered: "您的邮件已送达以下收件人的邮箱：",
	},
	until:    "系统将继续尝试到 %s。",
	expired:  "尝试的时间已到期限。最后一次尝试的结果：",
	greeting: "这是邮件服务器 %s 自动发出的通知。",
	machine:  "以下附有供程序读取的详细信息，以及您的邮件或其信头。",
	said:     "对方服务器 %s 的答复：",
	saidBy:   "对方服务器的答复：",
	server:   "对方服务器：%s",
	choose:   func(r reason) string { return r.chinese },
}

var english = words{
	daemon: "Mail Delivery System",
	subjects: map[action]string{
		failed: "Your mail could not be delivered", delayed: "Your mail is delayed (still trying)", relayed: "Your mail was passed on",
		expanded: "Your mail was distributed", delivered: "Your mail was delivered",
	},
	intro: map[action]string{
		failed:    "Your mail could not be delivered to these recipients, and will not be tried again:",
		delayed:   "Your mail has not yet reached these recipients. You need not send it again; it is still being tried:",
		relayed:   "Your mail was passed on to the mail servers of these recipients, which do not report on delivery:",
		expanded:  "Your mail was distributed to all members of these addresses:",
		delivered: "Your mail is in the mailboxes of these recipients:",
	},
	until:    "It will be tried until %s.",
	expired:  "The time for trying is over. The last attempt ended so:",
	greeting: "This is an automatic notice of the mail server %s.",
	machine:  "Details for programs, and your mail or its header, are attached.",
	said:     "The server %s said:",
	saidBy:   "The server said:",
	server:   "The server is %s.",
	choose:   func(r reason) string { return r.english },
	details:  true,
}

// when writes a time for humans of any place.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

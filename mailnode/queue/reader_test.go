package queue

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
)

// pythonReader reads a report as a mail reader does, with Python's own parser.
const pythonReader = `
import email, email.policy, email.utils, json, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
defects = [str(d) for part in m.walk() for d in part.defects]
defects += [str(d) for part in m.walk() for h in part.values() for d in getattr(h, "defects", ())]
human, machine, original = m.get_payload()
def block(b):
    for name in b:
        if name.endswith("-Date") or name == "Will-Retry-Until":
            email.utils.parsedate_to_datetime(b[name])
    return {name: str(value) for name, value in b.items()}
if original.get_content_type() == "message/rfc822":
    inner = original.get_payload()[0]
    back = inner["Subject"] + "|" + inner.get_content()
else:
    back = original.get_payload()
json.dump({
    "type": m.get_content_type(), "report": m.get_param("report-type"), "parts": [p.get_content_type() for p in m.get_payload()],
    "subject": m["Subject"], "from": str(m["From"].addresses[0].display_name), "to": m["To"].addresses[0].addr_spec,
    "date": m["Date"].datetime.isoformat(), "id": m["Message-ID"], "auto": m["Auto-Submitted"],
    "language": human["Content-Language"], "human": human.get_content(), "blocks": [block(b) for b in machine.get_payload()],
    "original": original.get_content_type(), "back": back, "defects": defects,
}, sys.stdout)
`

type readerSaw struct {
	Type, Report, Subject, From, To, Date, ID, Auto, Language, Human, Original, Back string

	Parts, Defects []string
	Blocks         []map[string]string
}

// Every kind of report, in every language, is for a real mail reader what it is to be: three
// parts, a text for people, and the fields of RFC 3464.
func TestMailReadersReadReports(t *testing.T) {
	python := peers.Find(t, "python3", "python3")
	texts := map[string]map[string][3]string{ // language, action: sender, subject, words
		"zh-CN": {
			"failed":    {"邮件系统", "邮件未能送达", "您的邮件未能送达以下收件人，系统不会再次尝试："},
			"delayed":   {"邮件系统", "邮件延迟送达（仍在尝试）", "您的邮件尚未送达以下收件人。"},
			"delivered": {"邮件系统", "邮件已送达", "您的邮件已送达以下收件人的邮箱："},
			"relayed":   {"邮件系统", "邮件已转交", "您的邮件已转交给以下收件人的邮件服务器"},
		},
		"en": {
			"failed":    {"Mail Delivery System", "Your mail could not be delivered", "could not be delivered to these recipients, and will not be tried again:"},
			"delayed":   {"Mail Delivery System", "Your mail is delayed (still trying)", "has not yet reached these recipients."},
			"delivered": {"Mail Delivery System", "Your mail was delivered", "is in the mailboxes of these recipients:"},
			"relayed":   {"Mail Delivery System", "Your mail was passed on", "was passed on to the mail servers of these recipients"},
		},
	}
	for action, x := range map[string]struct {
		to      string
		outcome outbound.Outcome
		notify  envelope.Notify
		whole   bool
		status  string
	}{
		"failed":    {"x@far.test", never, envelope.NotifyFailure, true, "5.1.1"},
		"delayed":   {"x@far.test", later, envelope.NotifyDelay, false, "4.3.0"},
		"delivered": {"alice@here.test", taken, envelope.NotifySuccess, false, "2.1.5"},
		"relayed":   {"x@far.test", taken, envelope.NotifySuccess, false, "2.0.0"},
	} {
		for language := range texts {
			t.Run(action+" "+language, func(t *testing.T) {
				w := newWorld(t)
				w.language = language
				w.answer = always(x.outcome)
				e := from("alice@here.test")
				e.EnvID, e.Body = "QQ+2B314", envelope.Body8Bit
				if x.whole {
					e.Return = envelope.ReturnFull
				}
				to := rcpt(x.to, x.notify)
				to.Original = "rfc822;the+2Bfirst@far.test"
				w.putText("Subject: =?utf-8?B?5L2g5aW9?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n正文\r\n", e, to)
				if action == "delayed" {
					w.tries(1)
					w.pass(5 * time.Hour)
				}
				raw := ""
				w.await("the report came", func() bool {
					list := w.inbox()
					if i := slices.IndexFunc(list, func(m string) bool { return strings.Contains(m, "multipart/report") }); i >= 0 {
						raw = list[i]
					}
					return raw != ""
				})
				cmd := exec.CommandContext(t.Context(), python, "-c", pythonReader)
				cmd.Stdin = strings.NewReader(raw)
				var said strings.Builder
				cmd.Stderr = &said
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, said.String())
				}
				var saw readerSaw
				if err := json.Unmarshal(out, &saw); err != nil {
					t.Fatal(err)
				}
				checkReport(t, &saw, texts[language][action], language, x.whole)
				checkFields(t, &saw, action, x.to, x.status)
			})
		}
	}
}

func checkReport(t *testing.T, saw *readerSaw, want [3]string, language string, whole bool) {
	t.Helper()
	if len(saw.Defects) > 0 {
		t.Errorf("the reader finds fault: %q", saw.Defects)
	}
	last, back := "text/rfc822-headers", "Subject: =?utf-8?B?5L2g5aW9?="
	if whole {
		last, back = "message/rfc822", "你好|正文"
	}
	parts := []string{"text/plain", "message/delivery-status", last}
	if saw.Type != "multipart/report" || saw.Report != "delivery-status" || !slices.Equal(saw.Parts, parts) || saw.Auto != "auto-replied" {
		t.Errorf("it is %s of %s, with %q, %s", saw.Type, saw.Report, saw.Parts, saw.Auto)
	}
	if saw.From != want[0] || saw.Subject != want[1] || saw.To != "alice@here.test" || saw.ID == "" || saw.Date == "" {
		t.Errorf("it is from %q to %q: %q", saw.From, saw.To, saw.Subject)
	}
	if saw.Language != language || !strings.Contains(saw.Human, want[2]) || !strings.Contains(saw.Human, "mx.here.test") {
		t.Errorf("in %s it says %q", saw.Language, saw.Human)
	}
	if !strings.Contains(saw.Back, back) {
		t.Errorf("given back is %q", saw.Back)
	}
}

// checkFields looks at the fields for programs (RFC 3464 §2.2, §2.3).
func checkFields(t *testing.T, saw *readerSaw, action, to, status string) {
	t.Helper()
	if len(saw.Blocks) != 2 {
		t.Fatalf("there are %d blocks: %v", len(saw.Blocks), saw.Blocks)
	}
	message, recipient := saw.Blocks[0], saw.Blocks[1]
	if message["Reporting-MTA"] != "dns; mx.here.test" || message["Original-Envelope-Id"] != "QQ+314" || message["Arrival-Date"] == "" {
		t.Errorf("of the message: %v", message)
	}
	want := map[string]string{
		"Original-Recipient": "rfc822; the+first@far.test", "Final-Recipient": "rfc822; " + to, "Action": action, "Status": status,
	}
	switch action {
	case "failed":
		want["Diagnostic-Code"] = "smtp; 550 5.1.1 no such user"
	case "delayed":
		want["Diagnostic-Code"] = "smtp; 451 4.3.0 not now"
	case "relayed":
		want["Diagnostic-Code"] = "smtp; 250 2.0.0 ok"
	}
	if action != "delivered" {
		want["Remote-MTA"] = "dns; mx.far.test"
	}
	for name, value := range want {
		if recipient[name] != value {
			t.Errorf("%s is %q, want %q", name, recipient[name], value)
		}
	}
	if _, has := recipient["Will-Retry-Until"]; has != (action == "delayed") || recipient["Last-Attempt-Date"] == "" {
		t.Errorf("of the recipient: %v", recipient)
	}
}

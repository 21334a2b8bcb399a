package sms

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

func TestReportApply(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	const queued, sent, delivered, failed = inventory.SMSQueued, inventory.SMSSent, inventory.SMSDelivered, inventory.SMSFailed
	for _, c := range []struct{ is, report, want inventory.SMSState }{
		{queued, sent, sent}, {queued, delivered, delivered}, {queued, failed, failed},
		{sent, sent, sent}, {sent, delivered, delivered}, {sent, failed, failed},
		{delivered, sent, delivered}, {delivered, delivered, delivered}, {delivered, failed, failed},
		{failed, sent, failed}, {failed, delivered, failed}, {failed, failed, failed},
	} {
		s := inventory.SMS{State: c.is}
		news := Report{State: c.report, Reason: inventory.Word("why")}.Apply(&s, now)
		if s.State != c.want || news != (c.is != c.want) {
			t.Errorf("%s, reported %s: got %s, news %v, want %s", c.is, c.report, s.State, news, c.want)
		}
		if news && s.Error != "why" {
			t.Errorf("%s, reported %s: error is %q", c.is, c.report, s.Error)
		}
		if wantSent := news && c.report != failed; s.Sent.IsZero() == wantSent {
			t.Errorf("%s, reported %s: sent at %s", c.is, c.report, s.Sent)
		}
	}
}

func TestReportKeepsTheTimeOfSending(t *testing.T) {
	sent := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	s := inventory.SMS{State: inventory.SMSSent, Sent: sent}
	Report{State: inventory.SMSDelivered}.Apply(&s, sent.Add(time.Minute))
	if !s.Sent.Equal(sent) {
		t.Errorf("sent at %s", s.Sent)
	}
}

func TestPermanent(t *testing.T) {
	cause := errors.New("no such number")
	err := Permanent(cause)
	if !IsPermanent(err) || !IsPermanent(fmt.Errorf("send: %w", err)) || !errors.Is(err, cause) || err.Error() != cause.Error() {
		t.Errorf("%v is not what it should be", err)
	}
	if IsPermanent(cause) || IsPermanent(nil) || Permanent(nil) != nil {
		t.Error("an error is permanent that should not be")
	}
}

func TestNewCountsAndCuts(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	s := New("13800138000", " "+strings.Repeat("严重", 400)+"\x00", now)
	if s.State != inventory.SMSQueued || s.Encoding != "ucs2" || s.Parts != MaxParts || !s.Next.Equal(now) || s.To != "13800138000" {
		t.Errorf("got %+v", s)
	}
	if want := strings.Repeat("严重", 334) + "严…"; s.Text != want {
		t.Errorf("text has %d characters: …%s", len([]rune(s.Text)), s.Text[len(s.Text)-12:])
	}
}

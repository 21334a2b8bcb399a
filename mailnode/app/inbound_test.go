package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailfleet/inventory"
	"mailfleet/mailnode/envelope"
)

// Who looks after domains sees what they send, and what waits for their users without whom
// else it goes to, and acts on that.
func TestDomainsSeeWhatWaitsForThem(t *testing.T) {
	w := newWaiting(t)
	outside := func(id, from string) envelope.Envelope { return envelope.Envelope{ID: id, From: from} }
	w.put(t, mail("out", "user@a.test"), "Subject: x\r\n\r\n", "x@far.test", "y@far.test")
	w.put(t, outside("in", "x@far.test"), "Subject: x\r\n\r\n", "one@a.test", "two@B.test", "two@a.test")
	w.put(t, mail("between", "user@b.test"), "Subject: x\r\n\r\n", "one@a.test", "x@far.test")
	w.put(t, outside("report", ""), "Subject: x\r\n\r\n", "one@a.test")
	w.until(t, "all were tried", inventory.QueueFilter{}, tried(6))
	see := func(f inventory.QueueFilter) (seen []string) {
		t.Helper()
		page, err := w.List(t.Context(), inventory.QueueQuery{QueueFilter: f, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			way := "sends"
			if e.Inbound {
				way = "gets"
			}
			if (e.Account != "") != (way == "sends") || e.Hidden != 0 {
				t.Errorf("of %s within %v: account %q, %d hidden", e.Message, f.Within, e.Account, e.Hidden)
			}
			seen = append(seen, fmt.Sprint(way, " ", e.Message, " ", strings.Join(e.Recipients, " ")))
		}
		sum, err := w.Summary(t.Context(), f)
		if err != nil || sum.Total.Entries != len(seen) {
			t.Errorf("the sum within %v is %+v, %v", f.Within, sum.Total, err)
		}
		return seen
	}
	a, b := []string{"a.test"}, []string{"b.test"}
	fromOutside := []string{"sends out x@far.test y@far.test", "gets in one@a.test two@a.test", "gets report one@a.test"}
	for name, x := range map[string]struct {
		f    inventory.QueueFilter
		want []string
	}{
		"a":              {inventory.QueueFilter{Within: a}, []string{"sends out x@far.test y@far.test", "gets in one@a.test two@a.test", "gets between one@a.test", "gets report one@a.test"}},
		"b":              {inventory.QueueFilter{Within: b}, []string{"gets in two@B.test", "sends between one@a.test", "sends between x@far.test"}},
		"neither":        {inventory.QueueFilter{Within: []string{"c.test"}}, nil},
		"a, to hold":     {inventory.QueueFilter{Within: a, Act: inventory.ActHold}, fromOutside},
		"a, to release":  {inventory.QueueFilter{Within: a, Act: inventory.ActRelease}, fromOutside},
		"a, to delete":   {inventory.QueueFilter{Within: a, Act: inventory.ActDelete}, []string{"sends out x@far.test y@far.test", "gets in one@a.test two@a.test", "gets between one@a.test", "gets report one@a.test"}},
		"a stranger's":   {inventory.QueueFilter{Within: a, Recipient: "@b.test"}, nil},
		"of an account":  {inventory.QueueFilter{Within: a, Sender: string(account)}, []string{"sends out x@far.test y@far.test"}},
		"whom they get":  {inventory.QueueFilter{Within: a, Sender: "@b.test"}, []string{"gets between one@a.test"}},
		"of one message": {inventory.QueueFilter{Within: b, Message: "in"}, []string{"gets in two@B.test"}},
	} {
		if got := see(x.f); !slices.Equal(got, x.want) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
	act := func(act inventory.QueueAct, within []string, want int) {
		t.Helper()
		n, err := w.Act(t.Context(), act, inventory.QueueOrder{Filter: inventory.QueueFilter{Within: within, Act: act}})
		if err != nil || n != want {
			t.Errorf("%s within %v: %d entries, %v; want %d", act, within, n, err, want)
		}
	}
	act(inventory.ActHold, a, 3)
	act(inventory.ActHold, b, 3) // its own part of what came from outside, and what it sends
	act(inventory.ActRelease, a, 3)
	if page := w.until(t, "b's are held", inventory.QueueFilter{State: inventory.QueueHeld}, func(p inventory.QueuePage) bool { return len(p.Entries) == 3 }); page.Entries[0].Recipients[0] != "two@B.test" {
		t.Errorf("held are %+v", page.Entries)
	}
	act(inventory.ActDelete, a, 4)
	w.until(t, "b's are left", inventory.QueueFilter{}, func(p inventory.QueuePage) bool { return len(p.Entries) == 2 })
}

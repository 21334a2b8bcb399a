package queue

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

func TestDeliveredAtOnce(t *testing.T) {
	w := newWorld(t)
	w.put(from("a@here.test"), rcpt("x@far.test"), rcpt("y@far.test"), rcpt("z@other.test"))
	w.empty()
	slices.Sort(w.sent)
	want := []string{"far.test a@here.test x@far.test", "far.test a@here.test y@far.test", "other.test a@here.test z@other.test"}
	if !slices.Equal(w.sent, want) || w.attempts != 2 {
		t.Errorf("sent was %q in %d transactions", w.sent, w.attempts)
	}
	counts := map[string]int64{}
	for c, err := range w.store.Counts(t.Context(), "2026-01-31/here.test/acc/", "") {
		if err != nil {
			t.Fatal(err)
		}
		counts[c.Key] = c.N
	}
	if counts["2026-01-31/here.test/acc/out"] != 3 || counts["2026-01-31/here.test/acc/out-bytes"] != 3*int64(len(text)+17) {
		t.Errorf("the ledger has %v", counts)
	}
}

// The whole life of a message that nobody takes: the waits, the notice, the report.
func TestScheduleUntilTheEnd(t *testing.T) {
	w := newWorld(t)
	w.answer = always(later)
	e := from("alice@here.test")
	e.Return, e.EnvID = envelope.ReturnFull, "id+2B1"
	r := rcpt("x@far.test")
	r.Original = "rfc822;x+2By@far.test"
	w.put(e, r)
	start := w.clock()
	var at []time.Duration
	for i := 1; ; i++ { // the last attempt may be over as soon as its time has come
		w.tries(i)
		at = append(at, w.clock().Sub(start))
		list := w.list(Filter{Destination: "far.test"})
		if len(list) == 0 {
			break
		}
		if e := list[0]; e.Attempts != i || e.Last != later.Text {
			t.Fatalf("after attempt %d it is %+v", i, e)
		}
		w.pass(list[0].Next.Sub(w.clock()))
	}
	for i, want := range []time.Duration{0, 1, 5 + 1, 15 + 6, 30 + 21, 60 + 51, 120 + 111, 240 + 231, 240 + 471} {
		want *= time.Minute
		if got := at[i]; got < want || got > want+want/8 {
			t.Errorf("attempt %d came after %s, want %s", i+1, got, want)
		}
	}
	if last := at[len(at)-1]; last != 5*24*time.Hour {
		t.Errorf("the last attempt came after %s", last)
	}
	w.empty()
	reports := w.inbox()
	if len(reports) != 2 {
		t.Fatalf("%d reports came", len(reports))
	}
	subject, human, status, original := readReport(t, reports[0])
	if subject != "Your mail is delayed (still trying)" || !strings.Contains(human, later.Reply) || !strings.Contains(status, "Action: delayed\r\n") ||
		!strings.Contains(status, "Will-Retry-Until: Thu, 5 Feb 2026 12:00:00 +0000\r\n") || strings.Contains(original, "body of the message") {
		t.Errorf("the notice is %q %q %q %q", subject, human, status, original)
	}
	subject, human, status, original = readReport(t, reports[1])
	want := "Reporting-MTA: dns; mx.here.test\r\nOriginal-Envelope-Id: id+1\r\nArrival-Date: Sat, 31 Jan 2026 12:00:00 +0000\r\n\r\n" +
		"Original-Recipient: rfc822; x+y@far.test\r\nFinal-Recipient: rfc822; x@far.test\r\nAction: failed\r\nStatus: 4.3.0\r\n" +
		"Remote-MTA: dns; mx.far.test\r\nDiagnostic-Code: smtp; 451 4.3.0 not now\r\nLast-Attempt-Date: Thu, 5 Feb 2026 12:00:00 +0000\r\n"
	if subject != "Your mail could not be delivered" || !strings.Contains(human, "The time for trying is over") || status != want || !strings.Contains(original, "message/rfc822") || !strings.Contains(original, text) {
		t.Errorf("the report is %q\n%q\n%q\n%q", subject, human, status, original)
	}
	for account, want := range map[string]int{"acc": 1, "": 1, NoAccount: 0, "ac": 0} {
		n := 0
		for f, err := range w.Failures(t.Context(), w.clock(), account) {
			if n++; err != nil || f.Account != "acc" || f.To != "x@far.test" || f.Text != later.Text {
				t.Errorf("of %q: %+v, %v", account, f, err)
			}
		}
		if n != want {
			t.Errorf("of %q there are %d failures, want %d", account, n, want)
		}
	}
}

func (w *world) list(f Filter) []Entry {
	w.t.Helper()
	list, _, err := w.List(w.t.Context(), f, "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestReports(t *testing.T) {
	for _, x := range []struct {
		name    string
		outcome outbound.Outcome
		notify  envelope.Notify
		dsn     bool
		action  string // "" for no report
		subject string
	}{
		{"failure", never, 0, false, "failed", "邮件未能送达"},
		{"failure, not wanted", never, envelope.NotifyNever, false, "", ""},
		{"failure, only success wanted", never, envelope.NotifySuccess, false, "", ""},
		{"success, not asked for", taken, 0, false, "", ""},
		{"success at a server without DSN", taken, envelope.NotifySuccess, false, "relayed", "邮件已转交"},
		{"success at a server with DSN", taken, envelope.NotifySuccess, true, "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t)
			w.language = "zh-CN"
			x.outcome.DSN = x.dsn
			w.answer = always(x.outcome)
			w.put(from("alice@here.test"), rcpt("x@far.test", x.notify))
			w.empty()
			reports := w.inbox()
			if x.action == "" {
				if len(reports) > 0 {
					t.Errorf("a report came: %q", reports)
				}
				return
			}
			if len(reports) != 1 {
				t.Fatalf("%d reports came", len(reports))
			}
			subject, human, status, original := readReport(t, reports[0])
			if subject != x.subject || !strings.Contains(human, "x@far.test") || !strings.Contains(status, "Action: "+x.action+"\r\n") {
				t.Errorf("the report is %q %q %q", subject, human, status)
			}
			if !strings.Contains(original, "text/rfc822-headers\nReceived: first\r\n") || strings.Contains(original, "body of") {
				t.Errorf("given back is %q", original)
			}
		})
	}
}

func TestHereAndOnward(t *testing.T) {
	w := newWorld(t)
	w.put(from("alice@here.test"), rcpt("alice@here.test", envelope.NotifySuccess), rcpt("away@here.test"), rcpt("nobody@here.test"))
	w.empty()
	got := w.inbox()
	if len(got) != 3 {
		t.Fatalf("the mailbox has %q", got)
	}
	if !slices.Contains(got, "Return-Path: <alice@here.test>\r\nReceived: first\r\n"+text) {
		t.Errorf("the message is not there as it was: %q", got)
	}
	actions := ""
	for _, raw := range got {
		if strings.Contains(raw, "multipart/report") {
			_, _, status, _ := readReport(t, raw)
			actions += status
		}
	}
	if !strings.Contains(actions, "alice@here.test\r\nAction: delivered") || !strings.Contains(actions, "nobody@here.test\r\nAction: failed\r\nStatus: 5.1.1") {
		t.Errorf("the reports say %q", actions)
	}
	if !slices.Equal(w.sent, []string{"far.test srs@here.test x@far.test"}) {
		t.Errorf("sent onward was %q", w.sent)
	}
}

func TestFullMailboxIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.full = true
	w.put(from("b@far.test"), rcpt("alice@here.test"), rcpt("alice@here.test"))
	w.await("it is deferred", func() bool {
		list := w.list(Filter{})
		return len(list) == 1 && list[0].Last == "the mailbox is full" && w.idle()
	})
	w.mu.Lock()
	w.full = false
	w.mu.Unlock()
	w.pass(2 * time.Minute)
	w.empty()
	if got := w.inbox(); len(got) != 2 {
		t.Errorf("the mailbox has %d messages", len(got))
	}
}

func TestNothingAnswersAReport(t *testing.T) {
	w := newWorld(t)
	w.answer = always(never)
	w.put(from(""), rcpt("x@far.test"))
	w.empty()
	w.put(from("gone@here.test"), rcpt("x@far.test")) // the report itself cannot be delivered
	w.empty()
	if got := w.inbox(); len(got) != 0 {
		t.Errorf("a report came: %q", got)
	}
}

func TestWhatIsInTheStoreIsDeliveredAfterARestart(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	w.stop()
	w.open(dir)
	w.answer = always(later)
	for i := range 5 {
		w.put(from("alice@here.test"), rcpt(fmt.Sprintf("x@d%d.test", i)))
	}
	w.tries(5)
	w.stop()
	w.mu.Lock()
	w.answer, w.now = always(taken), w.now.Add(time.Hour)
	w.mu.Unlock()
	w.open(dir)
	w.empty()
	if len(w.sent) != 5 {
		t.Errorf("sent was %q", w.sent)
	}
}

func TestHeldUntil(t *testing.T) {
	w := newWorld(t)
	e := from("a@here.test")
	e.HoldUntil = w.clock().Add(3 * time.Hour)
	w.put(e, rcpt("x@far.test"), rcpt("alice@here.test"))
	w.pass(2 * time.Hour)
	if list := w.list(Filter{State: StateFuture}); len(list) != 2 || len(w.inbox()) != 0 || w.attempts != 0 {
		t.Errorf("before its time: %+v", list)
	}
	w.pass(time.Hour)
	w.empty()
	if len(w.inbox()) != 1 || len(w.sent) != 1 {
		t.Errorf("after its time: %q, %q", w.inbox(), w.sent)
	}
}

// What is held when it comes waits for an operator, and once released for nobody.
func TestHeldOnArrival(t *testing.T) {
	w := newWorld(t)
	e := from("alice@here.test")
	e.Held = "the sender writes to many"
	w.put(e, rcpt("x@far.test"), rcpt("away@here.test"), rcpt("alice@here.test"))
	w.pass(time.Hour)
	list := w.list(Filter{State: StateHeld})
	if len(list) != 2 || list[0].Why != e.Held || w.attempts != 0 || len(w.inbox()) != 0 {
		t.Fatalf("held is %+v", list)
	}
	if n, err := w.Release(t.Context(), Filter{}); n != 2 || err != nil {
		t.Errorf("released was %d, %v", n, err)
	}
	w.empty()
	if len(w.sent) != 2 || len(w.inbox()) != 1 {
		t.Errorf("sent was %q, here is %q", w.sent, w.inbox())
	}
}

// A user's message does not wait behind a mailing, nor behind another sender's pile.
func TestTurns(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.answer = func(_ string, m *outbound.Message) []outbound.Outcome {
		<-release
		return slices.Repeat([]outbound.Outcome{taken}, len(m.To))
	}
	const pile = 300
	for i := range pile {
		e := from("list@here.test")
		e.Account, e.Priority = "mailer", envelope.PriorityBulk
		w.put(e, rcpt(fmt.Sprintf("bulk%d@far.test", i)))
		e.Account, e.Priority = "talker", envelope.PriorityNormal
		w.put(e, rcpt(fmt.Sprintf("talk%d@far.test", i)))
	}
	w.put(from("user@here.test"), rcpt("urgent@far.test"))
	close(release)
	w.empty()
	at := slices.IndexFunc(w.sent, func(s string) bool { return strings.HasSuffix(s, "urgent@far.test") })
	if at < 0 || at > 50 {
		t.Errorf("the user's message was sent as number %d of %d", at, len(w.sent))
	}
	// The first few were under way before anything else was there.
	bulk := slices.IndexFunc(w.sent, func(s string) bool {
		_, number, ok := strings.Cut(s, "bulk")
		return ok && strings.Index(number, "@") > 1 // two digits
	})
	if bulk < pile-50 {
		t.Errorf("the mailing went on as number %d, before %d messages of higher priority", bulk, pile)
	}
}

func TestDeadDestinationIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.answer = always(absent)
	for i := range 100 {
		w.put(from("a@here.test"), rcpt(fmt.Sprintf("x%d@far.test", i)))
	}
	w.await("all are deferred", func() bool {
		total, err := w.Count(t.Context(), Filter{Last: "cannot be reached"})
		return err == nil && total.Entries == 100 && w.idle()
	})
	if w.attempts > 30 {
		t.Errorf("a destination that cannot be reached was tried %d times", w.attempts)
	}
	sum, err := w.Summary(t.Context(), Filter{})
	if err != nil || len(sum) != 1 || sum[0].Recipients != 100 || !sum[0].DeadTill.After(w.clock()) || sum[0].Last != absent.Text {
		t.Errorf("the summary is %+v, %v", sum, err)
	}
	w.mu.Lock()
	w.answer = always(taken)
	w.mu.Unlock()
	w.pass(40 * time.Minute)
	w.empty()
}

// A smart host of one domain that is dead does not delay the mail of others.
func TestSmartHostsHaveLanesOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.o.Routes = func(from, to string) *outbound.Route {
		if from == "routed.test" {
			return &outbound.Route{Host: "smart.test", Port: 587}
		}
		return nil
	}
	w.answer = func(domain string, m *outbound.Message) []outbound.Outcome {
		if strings.HasSuffix(domain, " by smart.test") {
			return always(absent)(domain, m)
		}
		return always(taken)(domain, m)
	}
	for i := range 10 {
		w.put(from("a@routed.test"), rcpt(fmt.Sprintf("x%d@far.test", i)))
	}
	w.await("the smart host is dead", func() bool {
		total, err := w.Count(t.Context(), Filter{Last: "cannot be reached"})
		return err == nil && total.Entries == 10 && w.idle()
	})
	w.put(from("a@here.test"), rcpt("y@far.test"))
	w.await("the mail of others goes", func() bool { return w.idle() && len(w.sent) == 1 })
	if w.sent[0] != "far.test a@here.test y@far.test" {
		t.Errorf("sent was %q", w.sent)
	}
}

func TestOperators(t *testing.T) {
	w := newWorld(t)
	w.answer = always(later)
	for i := range 450 {
		w.put(from(fmt.Sprintf("s%d@here.test", i%3)), rcpt(fmt.Sprintf("u%d@d%d.test", i, i%2)))
	}
	w.await("all are deferred", func() bool {
		total, err := w.Count(t.Context(), Filter{Last: "NOT now"})
		return err == nil && total.Recipients == 450 && w.idle()
	})
	ctx := t.Context()
	// Pages show each entry once.
	seen, cursor := map[string]bool{}, ""
	for {
		list, next, err := w.List(ctx, Filter{}, cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			seen[e.ID] = true
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(seen) != 450 {
		t.Errorf("the pages show %d entries", len(seen))
	}
	if _, _, err := w.List(ctx, Filter{}, "nonsense", 1); err == nil {
		t.Error("a cursor that is none is taken")
	}
	check := func(what string, n int, err error, want int) {
		t.Helper()
		if err != nil || n != want {
			t.Errorf("%s: %d, %v, want %d", what, n, err, want)
		}
	}
	n, err := w.Hold(ctx, Filter{Sender: "s0@here.test"})
	check("hold", n, err, 150)
	n, err = w.Hold(ctx, Filter{Sender: "S0@here.test"})
	check("hold again", n, err, 0)
	w.mu.Lock()
	w.answer = always(taken)
	w.mu.Unlock()
	n, err = w.RetryNow(ctx, Filter{Destination: "d1.test"})
	check("retry", n, err, 150) // of 225 are 75 held
	w.await("they are sent", func() bool { return w.idle() && len(w.sent) == 150 })
	n, err = w.Reroute(ctx, Filter{Recipient: "u1@d1.test"}, &outbound.Route{Host: "smart.test"})
	check("reroute of what has gone", n, err, 0)
	n, err = w.Reroute(ctx, Filter{Recipient: "u4@d0"}, &outbound.Route{Host: "smart.test"})
	check("reroute", n, err, 1)
	w.await("it is sent by the other way", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Contains(w.sent, "d0.test by smart.test s1@here.test u4@d0.test")
	})
	n, err = w.Delete(ctx, Filter{Sender: "@here.test", State: StateWaiting}, false)
	check("delete", n, err, 149)
	total, err := w.Count(ctx, Filter{})
	check("what is left is held", total.Entries, err, 150)
	held := w.list(Filter{State: StateHeld})
	r, size, err := w.Export(held[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || string(b) != "Received: first\r\n"+text || size != int64(len(b)) {
		t.Errorf("exported was %q, %v", b, err)
	}
	// Hold lasts over a restart; then they are deleted with reports.
	n, err = w.Release(ctx, Filter{IDs: []string{held[0].ID}})
	check("release one", n, err, 1)
	w.pass(time.Minute * 2)
	w.await("it is sent", func() bool { return w.idle() && len(w.list(Filter{})) == 149 })
	n, err = w.Delete(ctx, Filter{}, true)
	check("delete with reports", n, err, 149)
	w.empty()
	reports := 0
	for _, e := range w.events {
		if e.Kind == EventBounced && e.Envelope.From == "" {
			reports++ // to addresses that do not exist here
		}
	}
	if reports != 149 {
		t.Errorf("%d reports went out", reports)
	}
}

// What an operator does while a message is being tried is not lost.
func TestOperatorMeetsAttempt(t *testing.T) {
	for name, x := range map[string]struct {
		act    func(w *world) (int, error)
		answer outbound.Outcome
		check  func(w *world) bool
	}{
		"hold":                   {func(w *world) (int, error) { return w.Hold(t.Context(), Filter{}) }, later, func(w *world) bool { l := w.list(Filter{State: StateHeld}); return len(l) == 1 }},
		"retry":                  {func(w *world) (int, error) { return w.RetryNow(t.Context(), Filter{}) }, later, func(w *world) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.attempts == 2 }},
		"delete":                 {func(w *world) (int, error) { return w.Delete(t.Context(), Filter{}, false) }, later, func(w *world) bool { return len(w.list(Filter{})) == 0 }},
		"retry of what was sent": {func(w *world) (int, error) { return w.RetryNow(t.Context(), Filter{}) }, taken, func(w *world) bool { return len(w.list(Filter{})) == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			trying, release := make(chan struct{}, 10), make(chan struct{})
			w.answer = func(_ string, m *outbound.Message) []outbound.Outcome {
				trying <- struct{}{}
				<-release
				return []outbound.Outcome{x.answer}
			}
			w.put(from("alice@here.test"), rcpt("x@far.test"))
			<-trying
			if list := w.list(Filter{State: StateActive}); len(list) != 1 {
				t.Errorf("being tried is %+v", list)
			}
			if n, err := x.act(w); n != 1 || err != nil {
				t.Errorf("done was %d, %v", n, err)
			}
			close(release)
			w.await("what was asked for", func() bool { return w.idle() && x.check(w) })
			if x.answer.State == outbound.Sent && len(w.sent) != 1 {
				t.Errorf("sent was %q", w.sent)
			}
		})
	}
}

func TestManyRecipientsArePartedByDestination(t *testing.T) {
	w := newWorld(t)
	var to []envelope.Recipient
	for i := range 1000 {
		to = append(to, rcpt(fmt.Sprintf("u%d@d%d.test", i, i%3)))
	}
	w.answer = func(domain string, m *outbound.Message) []outbound.Outcome {
		if len(m.To) > partSize {
			t.Errorf("a transaction has %d recipients", len(m.To))
		}
		return always(taken)(domain, m)
	}
	w.put(from("a@here.test"), to...)
	w.empty()
	if len(w.sent) != 1000 || w.attempts != 12 {
		t.Errorf("%d recipients in %d transactions", len(w.sent), w.attempts)
	}
}

// A part of an earlier version has recipients of several domains: each domain sees and
// deletes its own, and holds none.
func TestPartOfSeveralDomains(t *testing.T) {
	w := newWorld(t)
	w.answer = always(later)
	e := from("x@far.test")
	e.Account = ""
	to := []To{{Recipient: rcpt("u@a.test")}, {Recipient: rcpt("u@b.test")}}
	body, err := w.store.Stage(t.Context(), strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	ticket, err := w.Ticket(&e, nil, int64(len(text)), to[:1])
	if err != nil {
		t.Fatal(err)
	}
	ticket.parts[0].To = append(ticket.parts[0].To, to[1].Recipient)
	ticket.rows[0] = ticket.parts[0].encode()
	if err := w.store.Update(t.Context(), body, func(tx *store.Tx) error { return ticket.Write(tx, body) }); err != nil {
		t.Fatal(err)
	}
	ticket.Plan()
	w.tries(1)
	within := Filter{Within: []string{"b.test"}}
	if list := w.list(within); len(list) != 1 || !slices.Equal(list[0].Recipients, []string{"u@b.test"}) || list[0].Hidden != 1 || !list[0].Inbound {
		t.Errorf("b sees %+v", list)
	}
	within.Whole = true
	if n, err := w.Hold(t.Context(), within); n != 0 || err != nil {
		t.Errorf("b held %d, %v", n, err)
	}
	within.Whole = false
	if n, err := w.Delete(t.Context(), within, false); n != 1 || err != nil {
		t.Errorf("b deleted %d, %v", n, err)
	}
	if list := w.list(Filter{}); len(list) != 1 || !slices.Equal(list[0].Recipients, []string{"u@a.test"}) {
		t.Errorf("left are %+v", list)
	}
}

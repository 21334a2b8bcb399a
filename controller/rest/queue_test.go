package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestTheQueueOfTheFleet(t *testing.T) {
	f := start(t)
	a, b := f.upServer("a"), f.upServer("b")
	ctx := t.Context()
	var seen []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page, err := f.client.Queue(ctx, inventory.QueueFilter{}, nil, cursor)
		f.ok(err)
		for _, item := range page.Items {
			seen = append(seen, item.ID)
		}
		cursor = page.Next
	}
	if len(seen) != 10 {
		t.Errorf("%d entries: %v", len(seen), seen)
	}
	for _, limit := range []string{"1", "3", "5", "7"} {
		var some []string
		cursor := ""
		for {
			var page api.Queue
			_, text := f.ask(http.MethodGet, "/api/v1/queue?limit="+limit+"&cursor="+cursor, "", "Authorization", "Bearer "+f.client.Token)
			f.ok(json.Unmarshal([]byte(text), &page))
			for _, item := range page.Items {
				some = append(some, item.ID)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(some, seen) {
			t.Errorf("by pages of %s: %v", limit, some)
		}
	}
	sum, err := f.client.QueueSummary(ctx, inventory.QueueFilter{Destination: "a.test", Older: inventory.Duration(time.Minute)}, []string{"b"})
	if err != nil || sum.Total.Entries != 3 || len(sum.Destinations) != 1 || sum.Destinations[0].Bytes != 30 || sum.Servers[0].Server != "b" {
		t.Errorf("got %+v, %v", sum, err)
	}
	f.mail.silent = map[inventory.ID]bool{a.ID: true}
	if sum, err = f.client.QueueSummary(ctx, inventory.QueueFilter{}, nil); err != nil || !sum.Partial || !slices.Equal(sum.Silent, []string{"a"}) || sum.Total.Entries != 5 {
		t.Errorf("got %+v, %v", sum, err)
	}
	header := []string{"Authorization", "Bearer " + f.client.Token}
	res, text := f.ask(http.MethodGet, "/api/v1/queue/"+string(b.ID)+".1/message", "", header...)
	if res.StatusCode != http.StatusOK || text != "Subject: "+string(b.ID)+"\r\n\r\n" || res.Header.Get("Content-Type") != "message/rfc822" {
		t.Errorf("%s: %q", res.Status, text)
	}
	if res, _ = f.ask(http.MethodGet, "/api/v1/queue/"+string(b.ID)+".gone/message", "", header...); res.StatusCode != http.StatusNotFound {
		t.Errorf("got %s", res.Status)
	}
	page, _, err := api.Audit.Wait(ctx, f.client, map[string][]string{"action": {"queue.export"}}, 0, 0)
	if err != nil || len(page.Items) != 1 {
		t.Errorf("the export is not in the audit log: %+v, %v", page.Items, err)
	}
}

func TestTheLedgerOfTheFleet(t *testing.T) {
	w := newWorld(t)
	w.upServer("second")
	ctx := t.Context()
	whole, err := w.client.Ledger(ctx, api.LedgerQuery{})
	w.ok(err)
	if len(whole.Items) != 4 || whole.Total.In != 12 || whole.Total.Failed != 4 {
		t.Errorf("got %+v", whole)
	}
	mine, err := w.roleClient(inventory.RoleDomainAdmin).Ledger(ctx, api.LedgerQuery{By: []string{"domain"}})
	w.ok(err)
	if len(mine.Items) != 1 || mine.Items[0].Domain != "in.test" || mine.Items[0].In != 6 || mine.Items[0].Day != "" {
		t.Errorf("a domain's administrator reads %+v", mine)
	}
	account, err := w.client.Ledger(ctx, api.LedgerQuery{Account: "user@in.test", By: []string{"account"}})
	w.ok(err)
	if i := slices.IndexFunc(account.Items, func(e api.LedgerEntry) bool { return e.Address == "user@in.test" }); i < 0 {
		t.Errorf("got %+v", account)
	}
	header := []string{"Authorization", "Bearer " + w.client.Token}
	res, text := w.ask(http.MethodGet, "/api/v1/ledger.csv?by=domain", "", header...)
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(text, "day,domain,account,address,in,in_bytes,out,out_bytes,failed\r\n,in.test,,,6,40,2,20,2\r\n") {
		t.Errorf("%s: %q", res.Status, text)
	}
	for _, by := range []string{"by=day", "by=account", "by=domain&by=account", "by=day&by=domain&by=account"} {
		read := func(limit, cursor string) (l api.Ledger) {
			res, text := w.ask(http.MethodGet, "/api/v1/ledger?"+by+"&limit="+limit+"&cursor="+url.QueryEscape(cursor), "", header...)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", by, text)
			}
			w.ok(json.Unmarshal([]byte(text), &l))
			return l
		}
		whole := read("1000", "")
		for _, limit := range []string{"1", "2", "3"} {
			var items []api.LedgerEntry
			for cursor := ""; ; {
				page := read(limit, cursor)
				if items = append(items, page.Items...); page.Total != whole.Total {
					t.Errorf("%s by pages of %s: the total is %+v, not %+v", by, limit, page.Total, whole.Total)
				}
				if cursor = page.Next; cursor == "" {
					break
				}
			}
			if !slices.Equal(items, whole.Items) {
				t.Errorf("%s by pages of %s: %+v, not %+v", by, limit, items, whole.Items)
			}
		}
	}
	for _, query := range []string{"from=yesterday", "from=2026-01-02&to=2026-01-01", "from=2020-01-01&to=2026-01-01", "domain=nothing.test", "by=colour"} {
		if res, _ := w.ask(http.MethodGet, "/api/v1/ledger?"+query, "", header...); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", query, res.Status)
		}
	}
}

func TestMailThatWasGivenUpIsListedOfDomainsAndAccounts(t *testing.T) {
	w := newWorld(t)
	second := w.upServer("second")
	ctx := t.Context()
	whole, err := w.client.MailFailures(ctx, api.LedgerQuery{})
	w.ok(err)
	if len(whole.Items) != 10 || !slices.IsSortedFunc(whole.Items, func(a, b api.MailFailure) int { return b.At.Compare(a.At) }) {
		t.Errorf("got %+v", whole)
	}
	header := []string{"Authorization", "Bearer " + w.client.Token}
	var seen []api.MailFailure
	for cursor := ""; ; {
		var page api.MailFailures
		_, text := w.ask(http.MethodGet, "/api/v1/ledger/failures?limit=3&cursor="+url.QueryEscape(cursor), "", header...)
		w.ok(json.Unmarshal([]byte(text), &page))
		seen = append(seen, page.Items...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if !slices.Equal(seen, whole.Items) {
		t.Errorf("by pages: %+v", seen)
	}
	mine, err := w.roleClient(inventory.RoleDomainAdmin).MailFailures(ctx, api.LedgerQuery{})
	w.ok(err)
	if len(mine.Items) != 6 || slices.ContainsFunc(mine.Items, func(f api.MailFailure) bool { return f.From != "user@in.test" }) {
		t.Errorf("a domain's administrator reads %+v", mine)
	}
	account, err := w.client.MailFailures(ctx, api.LedgerQuery{Account: "user@in.test"})
	w.ok(err)
	if len(account.Items) == 0 || account.Items[0].Address != "user@in.test" {
		t.Errorf("of the account: %+v", account)
	}
	res, text := w.ask(http.MethodGet, "/api/v1/ledger/failures.csv?domain=out.test", "", header...)
	if lines := strings.Split(text, "\r\n"); res.StatusCode != http.StatusOK || len(lines) != 1+4+1 || lines[0] != "time,account,address,message,from,to,host,code,status,text" {
		t.Errorf("%s: %q", res.Status, text)
	}
	w.mail.silent = map[inventory.ID]bool{second.ID: true}
	if part, err := w.client.MailFailures(ctx, api.LedgerQuery{}); err != nil || !part.Partial || len(part.Items) != 5 {
		t.Errorf("without a server: %+v, %v", part, err)
	}
	for _, path := range []string{"/api/v1/ledger.csv", "/api/v1/ledger/failures.csv"} {
		if res, _ := w.ask(http.MethodGet, path, "", header...); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s without a server: %s", path, res.Status)
		}
	}
}

// What is done with queued mail is an operation that shows first how much is meant.
func TestQueuedMailIsCountedBeforeAnythingIsDone(t *testing.T) {
	f := start(t)
	f.upServer("a")
	ask := api.NewOperation{
		Kind: inventory.OpQueueDelete, Targets: []api.NewTarget{{Server: "a"}},
		Params: api.NewParams{Queue: &inventory.QueueOrder{Filter: inventory.QueueFilter{Destination: "a.test"}, Report: true}},
	}
	impact, err := f.client.PreviewOperation(t.Context(), ask)
	if err != nil || impact.Queued != 3 || impact.Targets[0].Queued != 3 {
		t.Errorf("got %+v, %v", impact, err)
	}
	if _, err := f.client.CreateOperation(t.Context(), "", ask); problem(t, err).Status != http.StatusUnprocessableEntity {
		t.Errorf("mail was deleted that nobody has confirmed: %v", err)
	}
	ask.Confirm = impact.Confirm
	op, err := f.client.CreateOperation(t.Context(), "", ask)
	if err != nil || op.Params.Queue == nil || op.Params.Queue.Filter.Destination != "a.test" || len(op.Steps) != 1 {
		t.Errorf("got %+v, %v", op, err)
	}
	for name, params := range map[string]api.NewParams{
		"no filter": {}, "route for another act": {Queue: &inventory.QueueOrder{Route: &inventory.Route{Host: "h"}}},
	} {
		ask.Params = params
		_, err := f.client.CreateOperation(t.Context(), "", ask)
		if p := problem(t, err); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func (m *mailnodes) queued(ctx context.Context, servers []inventory.ID, f inventory.QueueFilter) map[inventory.ID]inventory.QueueTotal {
	found := map[inventory.ID]inventory.QueueTotal{}
	for _, id := range servers {
		if sum, err := m.QueueSummary(ctx, id, f); err == nil {
			found[id] = sum.Total
		}
	}
	return found
}

// Who looks after a domain sees what it sends, and does with it what the table of rights says.
func TestADomainsAdministratorSteersWhatItSends(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	admin, helpdesk := w.roleClient(inventory.RoleDomainAdmin), w.roleClient(inventory.RoleHelpdesk)
	page, err := admin.Queue(ctx, inventory.QueueFilter{}, nil, "")
	w.ok(err)
	if len(page.Items) != 3 || slices.ContainsFunc(page.Items, func(m api.QueuedMail) bool { return m.From != "user@in.test" || m.Last == "" }) {
		t.Errorf("the administrator sees %+v", page.Items)
	}
	sum, err := admin.QueueSummary(ctx, inventory.QueueFilter{}, nil)
	w.ok(err)
	if sum.Total.Entries != 3 || len(sum.Servers) != 0 {
		t.Errorf("the administrator sees %+v", sum)
	}
	held, err := helpdesk.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActHold}, 0)
	w.ok(err)
	op, err := w.client.Operation(ctx, held.Operation, 0)
	w.ok(err)
	if held.Entries != 3 || op.Kind != inventory.OpQueueHold || !slices.Equal(op.Params.Queue.Filter.Within, []string{"in.test"}) || len(op.Targets) != 1 {
		t.Errorf("got %+v and %+v", held, op)
	}
	_, err = helpdesk.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActDelete, Confirm: 3}, 0)
	w.refused(err, http.StatusForbidden)
	_, err = admin.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActDelete, Confirm: 2}, 0)
	w.refused(err, http.StatusUnprocessableEntity)
	gone, err := admin.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActDelete, Confirm: 3, Report: true}, 0)
	w.ok(err)
	if op, err = w.client.Operation(ctx, gone.Operation, 0); err != nil || op.Kind != inventory.OpQueueDelete || !op.Params.Queue.Report {
		t.Errorf("got %+v, %v", op, err)
	}
	for _, act := range []inventory.QueueAct{inventory.ActRetry, inventory.ActReroute, inventory.ActExport} {
		_, err = admin.ActOnQueue(ctx, api.QueueActing{Act: act}, 0)
		w.refused(err, http.StatusUnprocessableEntity)
	}
	_, err = admin.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActHold, Filter: inventory.QueueFilter{Within: []string{"out.test"}}}, 0)
	w.refused(err, http.StatusUnprocessableEntity)
	_, err = admin.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActHold, Filter: inventory.QueueFilter{Sender: "user@out.test"}}, 0)
	w.ok(err) // there is none in reach, and nothing to do
	told := 0
	for entry, err := range api.Audit.All(ctx, admin, nil) {
		w.ok(err)
		if strings.HasPrefix(entry.Action, "queue.") {
			told++
		}
	}
	if told < 2 {
		t.Errorf("the audit log of the domain tells of %d acts", told)
	}
}

// Each cell of the queue's row: what a role is given, and what its servers are asked for.
func TestWhatRolesAreGivenOfTheQueue(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mine := []string{"in.test"}
	for _, x := range []struct {
		role            inventory.Role
		within          []string
		read, hold, del bool
	}{
		{inventory.RoleViewer, nil, true, false, false},
		{inventory.RoleAuditor, nil, true, false, false},
		{inventory.RoleReseller, mine, true, true, true},
		{inventory.RoleDomainAdmin, mine, true, true, true},
		{inventory.RoleHelpdesk, mine, true, true, false},
		{inventory.RoleUser, nil, false, false, false},
	} {
		c := w.roleClient(x.role)
		cell := func(what string, allowed bool, err error, act inventory.QueueAct) {
			t.Helper()
			if !allowed {
				w.refused(err, http.StatusForbidden)
				return
			}
			w.ok(err)
			if got := w.mail.asked; !slices.Equal(got.Within, x.within) || got.Act != act {
				t.Errorf("%s of a %s asks for %+v", what, x.role, got)
			}
		}
		_, err := c.Queue(ctx, inventory.QueueFilter{}, nil, "")
		cell("the list", x.read, err, "")
		_, err = c.QueueSummary(ctx, inventory.QueueFilter{Act: inventory.ActHold}, nil)
		cell("the sum", x.read, err, inventory.ActHold)
		// What an act is allowed with is not the caller's to say.
		held, err := c.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActHold, Filter: inventory.QueueFilter{Act: inventory.ActDelete}}, 0)
		cell("holding", x.hold, err, inventory.ActHold)
		if x.hold {
			if op, err := w.client.Operation(ctx, held.Operation, 0); err != nil || op.Params.Queue.Filter.Act != inventory.ActHold || !slices.Equal(op.Params.Queue.Filter.Within, mine) {
				t.Errorf("a %s orders %+v, %v", x.role, op, err)
			}
		}
		_, err = c.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActRelease}, 0)
		cell("releasing", x.hold, err, inventory.ActRelease)
		_, err = c.ActOnQueue(ctx, api.QueueActing{Act: inventory.ActDelete, Confirm: 3}, 0)
		cell("deleting", x.del, err, inventory.ActDelete)
	}
}

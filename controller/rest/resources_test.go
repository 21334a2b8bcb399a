package rest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestServersAreShownWithWhatIsKnownNow(t *testing.T) {
	f := start(t)
	up := f.upServer("mail-1")
	added, err := f.client.AddServer(t.Context(), api.NewServer{Name: "mail-2", Address: "192.0.2.2", Region: "hk"})
	f.ok(err)
	if added.Token != "secret-join-token" || added.Server.State != inventory.ServerJoining || len(added.Server.Services) != 1 {
		t.Errorf("added %+v", added)
	}
	byName, err := f.client.Server(t.Context(), "mail-1")
	f.ok(err)
	byID, err := f.client.Server(t.Context(), string(up.ID))
	f.ok(err)
	for _, s := range []api.Server{byName, byID} {
		if s.ID != up.ID || !s.Connected || !s.LastSeen.Equal(seen) || !slices.Equal(s.Witnesses, []string{"gossip"}) ||
			len(s.Services) != 1 || s.Services[0].State != inventory.ServiceRunning || s.Labels == nil {
			t.Errorf("got %+v", s)
		}
	}
	if all := every(f, api.Servers, nil); len(all) != 2 || all[0].Name != "mail-1" || all[1].Region != "hk" {
		t.Errorf("listed %+v", all)
	}
	if some := every(f, api.Servers, map[string][]string{"state": {"joining"}}); len(some) != 1 || some[0].Name != "mail-2" {
		t.Errorf("listed %+v", some)
	}
	if some := every(f, api.Servers, map[string][]string{"region": {"hk,sz"}}); len(some) != 1 {
		t.Errorf("listed %+v", some)
	}
	again, err := f.client.InviteServer(t.Context(), "mail-2")
	f.ok(err)
	if again.Token != "another-token" || again.Server.Name != "mail-2" {
		t.Errorf("invited %+v", again)
	}
}

func TestRemovedServersAreListedOnlyWhenAskedFor(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	f.ok(f.client.RemoveServer(t.Context(), "mail-1", 0))
	if all := every(f, api.Servers, nil); len(all) != 0 {
		t.Errorf("listed %+v", all)
	}
	if gone := every(f, api.Servers, map[string][]string{"state": {"removed"}}); len(gone) != 1 {
		t.Errorf("listed %+v", gone)
	}
	s, err := f.client.Server(t.Context(), "mail-1")
	f.ok(err)
	if s.State != inventory.ServerRemoved {
		t.Errorf("it is %s", s.State)
	}
}

func TestAChangeForAnotherVersionIsRefusedWithTheCurrentOne(t *testing.T) {
	f := start(t)
	server := f.upServer("mail-1")
	region := "sz"
	changed, err := f.client.ChangeServer(t.Context(), "mail-1", server.Version, api.ServerChange{Region: &region})
	f.ok(err)
	if changed.Region != "sz" || changed.Version <= server.Version {
		t.Errorf("changed to %+v", changed)
	}
	rule, err := f.client.CreateRule(t.Context(), api.NewRule{Name: "cpu", Metric: "cpu_user", Comparison: ">", Value: 90})
	f.ok(err)
	replaced, err := f.client.ReplaceRule(t.Context(), "cpu", rule.Version, api.NewRule{Name: "cpu", Metric: "cpu_user", Comparison: ">", Value: 95})
	f.ok(err)
	for name, attempt := range map[string]func() (uint64, error){
		"change server": func() (uint64, error) {
			_, err := f.client.ChangeServer(t.Context(), "mail-1", server.Version, api.ServerChange{Region: &region})
			return changed.Version, err
		},
		"remove server": func() (uint64, error) {
			return changed.Version, f.client.RemoveServer(t.Context(), "mail-1", server.Version)
		},
		"replace rule": func() (uint64, error) {
			_, err := f.client.ReplaceRule(t.Context(), "cpu", rule.Version, api.NewRule{Name: "cpu", Metric: "cpu_user", Comparison: ">", Value: 1})
			return replaced.Version, err
		},
		"delete rule": func() (uint64, error) {
			return replaced.Version, f.client.DeleteRule(t.Context(), "cpu", rule.Version)
		},
	} {
		current, err := attempt()
		p := f.refused(err, http.StatusPreconditionFailed)
		if p.Version != current || p.Code != inventory.Stale {
			t.Errorf("%s: %+v, want version %d", name, p, current)
		}
	}
	p := f.problem(http.MethodDelete, "/api/v1/rules/cpu", "", "If-Match", `"new"`)
	if p.Status != http.StatusUnprocessableEntity || p.Errors[0].Location != "header.If-Match" {
		t.Errorf("a wrong ETag: %+v", p)
	}
	res, _ := f.ask(http.MethodGet, "/api/v1/rules/cpu", "", "Authorization", "Bearer "+f.client.Token)
	if got := res.Header.Get("ETag"); got != etag(replaced.Version) {
		t.Errorf("ETag is %s", got)
	}
	f.ok(f.client.DeleteRule(t.Context(), "cpu", replaced.Version))
}

func TestServices(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	f.upServer("mail-2")
	added, err := f.client.AddService(t.Context(), api.NewService{Server: "mail-1", Name: "clock", ServiceConfig: inventory.ServiceConfig{Command: []string{"/bin/date"}}})
	f.ok(err)
	if some := every(f, api.Services, map[string][]string{"server": {"mail-1"}}); len(some) != 2 {
		t.Errorf("listed %+v", some)
	}
	if some := every(f, api.Services, map[string][]string{"state": {"running"}, "name": {"mailnode"}}); len(some) != 2 {
		t.Errorf("listed %+v", some)
	}
	log, err := f.client.ServiceLog(t.Context(), "mail-1", "mailnode", 7)
	f.ok(err)
	if !slices.Equal(log.Lines, []string{"mailnode started"}) {
		t.Errorf("log %+v", log)
	}
	err = f.client.RemoveService(t.Context(), added.ID, added.Version+1)
	f.refused(err, http.StatusPreconditionFailed)
	f.ok(f.client.RemoveService(t.Context(), added.ID, added.Version))
	f.refused(f.client.RemoveService(t.Context(), added.ID, 0), http.StatusNotFound)
}

func TestAnOperationIsAskedForOnceAndWaitedFor(t *testing.T) {
	f := start(t)
	server := f.upServer("mail-1")
	ask := api.NewOperation{Kind: inventory.OpServiceStop, Targets: []api.NewTarget{{Server: "mail-1", Service: "mailnode"}}, Reason: "维护"}
	op, err := f.client.CreateOperation(t.Context(), "key-1", ask)
	f.ok(err)
	again, err := f.client.CreateOperation(t.Context(), "key-1", ask)
	f.ok(err)
	if again.ID != op.ID {
		t.Errorf("the same key made %s and %s", op.ID, again.ID)
	}
	other := ask
	other.Reason = "something else"
	_, err = f.client.CreateOperation(t.Context(), "key-1", other)
	f.refused(err, http.StatusConflict)
	f.ok(func() error { _, err := f.client.CreateOperation(t.Context(), "", ask); return err }())
	if all := every(f, api.Operations, map[string][]string{"server": {"mail-1"}, "state": {"queued"}}); len(all) != 2 || all[1].ID != op.ID {
		t.Errorf("listed %+v", all)
	}

	body := `{"kind":"service.start","targets":[{"server":"mail-1","service":"mailnode"}],"expires":"1m"}`
	res, text := f.ask(http.MethodPost, "/api/v1/operations", body, "Authorization", "Bearer "+f.client.Token)
	if res.StatusCode != http.StatusAccepted || !strings.HasPrefix(res.Header.Get("Location"), "/api/v1/operations/") {
		t.Fatalf("%s: %s", res.Status, text)
	}
	location := res.Header.Get("Location")
	if res, _ := f.ask(http.MethodGet, location, "", "Authorization", "Bearer "+f.client.Token); res.StatusCode != http.StatusOK {
		t.Errorf("its Location answers %s", res.Status)
	}

	// Not final yet: the answer comes when the wait is over.
	now, err := f.client.Operation(t.Context(), op.ID, 50*time.Millisecond)
	f.ok(err)
	if now.State != inventory.OpQueued {
		t.Errorf("it is %s", now.State)
	}
	got := make(chan inventory.Operation, 1)
	go func() {
		op, err := f.client.WaitOperation(t.Context(), op.ID)
		if err != nil {
			t.Error(err)
		}
		got <- op
	}()
	f.update(func(tx inventory.Tx) error {
		o, err := tx.Operations().Get(op.ID)
		if err != nil {
			return err
		}
		o.Steps[0].State, o.State, o.Ended = inventory.OpSucceeded, inventory.OpSucceeded, time.Now()
		return tx.Operations().Update(o)
	})
	if done := <-got; done.State != inventory.OpSucceeded || done.Targets[0].Server != server.ID {
		t.Errorf("got %+v", done)
	}
	_, err = f.client.CancelOperation(t.Context(), op.ID)
	f.refused(err, http.StatusConflict)
	_, err = f.client.CancelOperation(t.Context(), inventory.NewID())
	f.refused(err, http.StatusNotFound)
	id := inventory.ID(location[strings.LastIndexByte(location, '/')+1:])
	cancelled, err := f.client.CancelOperation(t.Context(), id)
	f.ok(err)
	if cancelled.State != inventory.OpCancelled {
		t.Errorf("it is %s", cancelled.State)
	}
	_, err = f.client.Operation(t.Context(), inventory.NewID(), 30*time.Second) // must not wait for what is not there
	f.refused(err, http.StatusNotFound)
}

func TestRulesAndContacts(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	ann, err := f.client.CreateContact(t.Context(), api.NewContact{Name: "Ann", Phone: "+86 138-0013-8000"})
	f.ok(err)
	if ann.Phone != "+8613800138000" || ann.Language != "zh" {
		t.Errorf("kept %+v", ann)
	}
	low := 80.0
	off := false
	rule, err := f.client.CreateRule(t.Context(), api.NewRule{
		Name: "memory", Metric: "mem_used_percent", Comparison: "above", Value: 90, Clear: &low, For: inventory.Duration(90 * time.Second),
		Servers: []string{"mail-1"}, Recipients: []inventory.ID{ann.ID}, Enabled: &off,
	})
	f.ok(err)
	if rule.Comparison != inventory.Above || rule.Clear != 80 || rule.Severity != inventory.Warning || rule.Enabled ||
		rule.For != inventory.Duration(90*time.Second) || len(rule.Recipients) != 1 {
		t.Errorf("kept %+v", rule)
	}
	_, err = f.client.CreateRule(t.Context(), api.NewRule{Name: "memory", Metric: "mem_free", Comparison: "<", Value: 1})
	f.refused(err, http.StatusConflict)
	read, err := f.client.Rule(t.Context(), string(rule.ID))
	f.ok(err)
	if read.Name != "memory" {
		t.Errorf("read %+v", read)
	}
	if some := every(f, api.Rules, map[string][]string{"metric": {"mem_used_percent"}}); len(some) != 1 {
		t.Errorf("listed %+v", some)
	}
	f.refused(f.client.DeleteContact(t.Context(), ann.ID, 0), http.StatusConflict)
	f.ok(f.client.DeleteRule(t.Context(), "memory", 0))
	ann, err = f.client.ReplaceContact(t.Context(), ann.ID, ann.Version, api.NewContact{Name: "Ann Li", Phone: ann.Phone, Language: "en"})
	f.ok(err)
	if ann.Name != "Ann Li" || ann.Language != "en" {
		t.Errorf("kept %+v", ann)
	}
	f.ok(f.client.DeleteContact(t.Context(), ann.ID, ann.Version))
	if left := every(f, api.Contacts, nil); len(left) != 0 {
		t.Errorf("listed %+v", left)
	}
}

func TestAnAlertIsTakenOnByTheFirst(t *testing.T) {
	f := start(t)
	server := f.upServer("mail-1")
	alert := &inventory.Alert{Server: server.ID, ServerName: "mail-1", RuleName: "cpu", State: inventory.AlertFiring, Severity: inventory.Critical, Since: time.Now()}
	f.update(func(tx inventory.Tx) error { return tx.Alerts().Create(alert) })
	first, err := f.client.AcknowledgeAlert(t.Context(), alert.ID)
	f.ok(err)
	if first.AckedBy != "token:operator [*]" || first.Acked.IsZero() {
		t.Errorf("taken: %+v", first)
	}
	second, err := f.as(inventory.RoleOperator, "alerts:write").AcknowledgeAlert(t.Context(), alert.ID)
	f.ok(err)
	if second.AckedBy != first.AckedBy || second.Version != first.Version {
		t.Errorf("taken again: %+v", second)
	}
	if n := len(f.audit("alert.acknowledge")); n != 1 {
		t.Errorf("%d audit entries", n)
	}
	for filter, want := range map[[2]string]int{
		{"state", "firing"}: 1, {"state", "resolved"}: 0, {"severity", "critical"}: 1, {"server", "mail-1"}: 1, {"rule", "none"}: 0,
	} {
		if got := every(f, api.Alerts, map[string][]string{filter[0]: {filter[1]}}); len(got) != want {
			t.Errorf("%v lists %d", filter, len(got))
		}
	}
	status, err := f.client.Status(t.Context())
	f.ok(err)
	if status.Servers[inventory.ServerUp] != 1 || status.Services[inventory.ServiceRunning] != 1 || status.Alerts[inventory.Critical] != 1 ||
		status.Version != "test" || status.Index == 0 || !slices.Equal(status.Problems, []string{"the disk is nearly full"}) {
		t.Errorf("status %+v", status)
	}
}

func TestTextMessagesAreQueued(t *testing.T) {
	f := start(t)
	sent, err := f.client.SendSMS(t.Context(), api.NewSMS{To: "138 0013 8000", Text: "服务器 mail-1 停了"})
	f.ok(err)
	if sent.State != inventory.SMSQueued || sent.To != "13800138000" || sent.Next.IsZero() {
		t.Errorf("queued %+v", sent)
	}
	f.ok(func() error {
		_, err := f.client.SendSMS(t.Context(), api.NewSMS{To: "138 0013 8000", Text: "again"})
		return err
	}())
	if all := every(f, api.SMS, map[string][]string{"to": {"13800138000"}, "state": {"queued"}}); len(all) != 2 || all[1].ID != sent.ID {
		t.Errorf("listed %+v", all)
	}
}

func TestDomainsAndAccounts(t *testing.T) {
	f := start(t)
	one, two := f.upServer("mail-1"), f.upServer("mail-2")
	domain, err := f.client.CreateDomain(t.Context(), api.NewDomain{Name: "Example.test"})
	f.ok(err)
	if domain.Name != "example.test" {
		t.Errorf("kept %+v", domain)
	}
	_, err = f.client.CreateDomain(t.Context(), api.NewDomain{Name: "example.test"})
	f.refused(err, http.StatusConflict)

	// Without a home each goes where the fewest are.
	homes := map[inventory.ID]int{}
	for _, name := range []string{"a", "b", "c", "d"} {
		account, err := f.client.CreateAccount(t.Context(), api.NewAccount{Address: name + "@Example.test", Password: "correct horse"})
		f.ok(err)
		homes[account.Server]++
	}
	if homes[one.ID] != 2 || homes[two.ID] != 2 {
		t.Errorf("homes are %v", homes)
	}
	e, err := f.client.CreateAccount(t.Context(), api.NewAccount{Address: "e@example.test", Name: "王小明", Password: "correct horse", Server: "mail-1"})
	f.ok(err)
	if e.Server != one.ID || e.State != inventory.AccountActive || e.Domain != "example.test" {
		t.Errorf("made %+v", e)
	}
	_, err = f.client.CreateAccount(t.Context(), api.NewAccount{Address: "E@example.test", Password: "correct horse"})
	f.refused(err, http.StatusConflict)

	suspended, name := inventory.AccountSuspended, "小明"
	e, err = f.client.ChangeAccount(t.Context(), "e@example.test", e.Version, api.AccountChange{State: &suspended, Name: &name})
	f.ok(err)
	if e.State != inventory.AccountSuspended || e.Name != "小明" {
		t.Errorf("changed to %+v", e)
	}
	if some := every(f, api.Accounts, map[string][]string{"server": {"mail-1"}, "state": {"active"}, "domain": {"example.test"}}); len(some) != 2 {
		t.Errorf("listed %+v", some)
	}
	domain, err = f.client.ReplaceDomain(t.Context(), "example.test", domain.Version, api.NewDomain{Name: "example.test", Postmaster: "E@example.test"})
	f.ok(err)
	if domain.Postmaster != "e@example.test" {
		t.Errorf("kept %+v", domain)
	}
	f.refused(f.client.DeleteAccount(t.Context(), "e@example.test", 0), http.StatusConflict)
	p := f.refused(f.client.DeleteDomain(t.Context(), "example.test", 0), http.StatusConflict)
	if p.Detail != "the domain example.test has 5 accounts: delete them first" {
		t.Errorf("refused with %q", p.Detail)
	}
	domain, err = f.client.ReplaceDomain(t.Context(), "example.test", 0, api.NewDomain{Name: "example.test"})
	f.ok(err)
	for _, a := range every(f, api.Accounts, nil) {
		f.ok(f.client.DeleteAccount(t.Context(), a.Address, a.Version))
	}
	f.ok(f.client.DeleteDomain(t.Context(), string(domain.ID), 0))
	_, err = f.client.Domain(t.Context(), "example.test")
	f.refused(err, http.StatusNotFound)
}

func TestAnAccountNeedsAServerThatIsUp(t *testing.T) {
	f := start(t)
	f.ok(func() error {
		_, err := f.client.CreateDomain(t.Context(), api.NewDomain{Name: "example.test"})
		return err
	}())
	_, err := f.client.CreateAccount(t.Context(), api.NewAccount{Address: "a@example.test", Password: "correct horse"})
	f.refused(err, http.StatusConflict)
	f.upServer("mail-1")
	f.ok(f.client.RemoveServer(t.Context(), "mail-1", 0))
	_, err = f.client.CreateAccount(t.Context(), api.NewAccount{Address: "a@example.test", Password: "correct horse", Server: "mail-1"})
	f.refused(err, http.StatusUnprocessableEntity)
}

func TestEveryChangeIsInTheAuditLogWithoutSecrets(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	f.ok(func() error {
		_, err := f.client.CreateDomain(t.Context(), api.NewDomain{Name: "example.test"})
		return err
	}())
	account, err := f.client.CreateAccount(t.Context(), api.NewAccount{Address: "a@example.test", Password: "correct horse"})
	f.ok(err)
	password := "battery staple"
	_, err = f.client.ChangeAccount(t.Context(), "a@example.test", 0, api.AccountChange{Password: &password})
	f.ok(err)
	f.ok(f.client.DeleteAccount(t.Context(), "a@example.test", 0))
	token, err := f.client.CreateToken(t.Context(), api.NewToken{Name: "ci", Scopes: []string{"servers:read"}})
	f.ok(err)
	f.ok(f.client.DeleteToken(t.Context(), "ci", 0))

	var text strings.Builder
	actions := map[string]*inventory.AuditEntry{}
	for _, e := range every(f, api.Audit, map[string][]string{"order": {"oldest"}}) {
		actions[e.Action] = &e
		text.WriteString(e.Before + e.After)
	}
	for action, want := range map[string]struct {
		target        inventory.ID
		before, after bool
	}{
		"account.create": {account.ID, false, true}, "account.password": {account.ID, true, true}, "account.delete": {account.ID, true, false},
		"token.create": {token.ID, false, true}, "token.delete": {token.ID, true, false},
	} {
		e := actions[action]
		if e == nil {
			t.Errorf("%s is not audited", action)
			continue
		}
		byMe := e.Actor == "token:operator [*]" && e.Address == "127.0.0.1" && e.RequestID != ""
		if !byMe || e.Target != string(want.target) || (e.Before != "") != want.before || (e.After != "") != want.after {
			t.Errorf("%s is audited as %+v", action, e)
		}
	}
	for _, secret := range []string{"correct horse", "battery staple", "argon2id", token.Secret} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the audit log holds %s", secret)
		}
	}
	check, err := f.client.VerifyAudit(t.Context())
	f.ok(err)
	if !check.Intact || check.Entries == 0 {
		t.Errorf("check %+v", check)
	}
	if some := every(f, api.Audit, map[string][]string{"action": {"account.create"}, "resource": {"accounts"}}); len(some) != 1 {
		t.Errorf("listed %+v", some)
	}
}

func TestTokensAndPeople(t *testing.T) {
	f := start(t)
	f.ok(func() error { _, _, err := f.server.Auth.FirstStart(t.Context()); return err }())
	made, err := f.client.CreateToken(t.Context(), api.NewToken{Name: "ci", Scopes: []string{"servers:read"}})
	f.ok(err)
	ci := &api.Client{Base: f.web.URL, HTTP: f.web.Client(), Token: made.Secret}
	_, err = ci.Session(t.Context())
	f.refused(err, http.StatusForbidden)
	_, _, err = api.Servers.Wait(t.Context(), ci, nil, 0, 0)
	f.ok(err)
	who, err := f.client.Session(t.Context())
	f.ok(err)
	if who.User != "operator [*]" || who.Role != inventory.RoleOperator || who.CSRF != "" {
		t.Errorf("I am %+v", who)
	}
	for _, listed := range every(f, api.Tokens, nil) {
		if listed.Name == "ci" && (listed.Role != inventory.RoleViewer || listed.Actor != "token:operator [*]") {
			t.Errorf("listed %+v", listed)
		}
	}
	people := every(f, api.People, nil)
	if len(people) != 1 || people[0].Name != "operator" {
		t.Errorf("people %+v", people)
	}
	f.ok(f.client.DeleteToken(t.Context(), string(made.ID), made.Version))
	for _, err := range api.Servers.All(t.Context(), ci, nil) {
		f.refused(err, http.StatusUnauthorized)
	}
}

func TestJoiningIsOpenButNotForGuessing(t *testing.T) {
	f := start(t)
	anybody := &api.Client{Base: f.web.URL, HTTP: f.web.Client()}
	for range 3 * joinBurst { // what succeeds does not count
		joined, err := anybody.Join(t.Context(), api.Join{Token: "good", CSR: "csr"})
		f.ok(err)
		if joined.Name != "mail-1" {
			t.Fatalf("joined %+v", joined)
		}
	}
	var err error
	for range 2*joinBurst + 30 {
		if _, err = anybody.Join(t.Context(), api.Join{Token: "guess", CSR: "csr"}); !isStatus(err, http.StatusForbidden) {
			break
		}
	}
	f.refused(err, http.StatusTooManyRequests)
}

func isStatus(err error, status int) bool {
	p, ok := err.(*api.Problem)
	return ok && p.Status == status
}

package rest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestAServicesSettingsAreChangedInTheVersionSeen(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	run := inventory.ServiceConfig{Command: []string{"/bin/date"}}
	clock, err := f.client.AddService(t.Context(), api.NewService{Server: "mail-1", Name: "clock", ServiceConfig: run})
	f.ok(err)
	run.User, run.Limits.OpenFiles = "nobody", 4096
	run.Probe = &inventory.Probe{Kind: inventory.ProbeTCP, Address: "127.0.0.1:99", Interval: inventory.Duration(time.Minute)}
	changed, err := f.client.ChangeService(t.Context(), clock.ID, clock.Version, api.ServiceChange{Config: &run})
	f.ok(err)
	if changed.User != "nobody" || changed.Limits.OpenFiles != 4096 || changed.Probe == nil || changed.Probe.Address != "127.0.0.1:99" || changed.Version <= clock.Version {
		t.Errorf("changed to %+v", changed)
	}
	_, err = f.client.ChangeService(t.Context(), clock.ID, clock.Version, api.ServiceChange{Config: &run})
	if p := f.refused(err, http.StatusPreconditionFailed); p.Version != changed.Version {
		t.Errorf("a stale version: %+v", p)
	}
	for field, bad := range map[string]inventory.ServiceConfig{
		"config.command":       {},
		"config.unit":          {Command: run.Command, Unit: "a.service"},
		"config.stop_signal":   {Command: run.Command, StopSignal: "STOP"},
		"config.probe.address": {Command: run.Command, Probe: &inventory.Probe{Kind: inventory.ProbeSMTP}},
		"config.after":         {Command: run.Command, After: []string{"nothing"}},
	} {
		_, err := f.client.ChangeService(t.Context(), clock.ID, 0, api.ServiceChange{Config: &bad})
		if p := f.refused(err, http.StatusUnprocessableEntity); len(p.Errors) != 1 || p.Errors[0].Location != "body."+field {
			t.Errorf("%s: %+v", field, p)
		}
	}
	entries := f.audit("service.change")
	if len(entries) != 1 || strings.Contains(entries[0].Before, "nobody") || !strings.Contains(entries[0].After, "nobody") {
		t.Errorf("the audit log has %+v", entries)
	}
	viewer := f.as(inventory.RoleViewer, "*")
	_, err = viewer.ChangeService(t.Context(), clock.ID, 0, api.ServiceChange{Config: &run})
	f.refused(err, http.StatusForbidden)
}

func TestALogIsFollowedAsItGrows(t *testing.T) {
	f := start(t)
	server := f.upServer("mail-1")
	var service *inventory.Service
	f.update(func(tx inventory.Tx) (err error) {
		service, err = tx.Services().Find("server/name", string(server.ID)+"/mailnode")
		return err
	})
	var got []api.LogLine
	for line, err := range f.client.FollowLog(t.Context(), service.ID, 12) {
		f.ok(err)
		got = append(got, line)
		w := f.fleet.writer()
		switch len(got) {
		case 1:
			go func() { _, _ = io.WriteString(w, `{"line":"二\u001b[0m","skipped":7}`+"\n\n") }()
		case 2:
			_ = w.Close() // the service is gone
		}
	}
	if len(got) != 2 || got[0].Line != "mailnode 12" || got[1] != (api.LogLine{Line: "二\x1b[0m", Skipped: 7}) {
		t.Errorf("followed %+v", got)
	}
	for _, err := range f.client.FollowLog(t.Context(), service.ID, 1) {
		f.ok(err)
		break // reading no more ends it
	}
	deadline := time.Now().Add(time.Minute)
	for f.server.tails.Load() != 0 {
		if time.Now().After(deadline) {
			t.Fatal("the log is followed for nobody")
		}
		_, _ = io.WriteString(f.fleet.writer(), "\n") // the agent's beat, which it does not take
		time.Sleep(time.Millisecond)
	}
	f.fleet.fail(inventory.Errorf(inventory.Unavailable, "the agent of mail-1 is away"), false)
	for _, err := range f.client.FollowLog(t.Context(), service.ID, 1) {
		f.refused(err, http.StatusServiceUnavailable)
	}
	f.fleet.fail(nil, false)
	f.server.tails.Store(maxTails)
	for _, err := range f.client.FollowLog(t.Context(), service.ID, 1) {
		f.refused(err, http.StatusTooManyRequests)
	}
	f.server.tails.Store(0)
	res, text := f.ask(http.MethodGet, fmt.Sprintf("/api/v1/services/%s/log?lines=7", service.ID), "", "Authorization", "Bearer "+f.client.Token)
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") || !strings.Contains(text, `"mailnode started"`) {
		t.Errorf("%s: %s", res.Status, text)
	}
}

func TestACrashIsShown(t *testing.T) {
	f := start(t)
	server := f.upServer("mail-1")
	clock, err := f.client.AddService(t.Context(), api.NewService{Server: "mail-1", Name: "clock", ServiceConfig: inventory.ServiceConfig{Command: []string{"/bin/date"}}})
	f.ok(err)
	_, err = f.client.ServiceCrash(t.Context(), clock.ID)
	if p := f.refused(err, http.StatusNotFound); p.Detail != "service clock has not crashed" {
		t.Errorf("got %+v", p)
	}
	var service *inventory.Service
	f.update(func(tx inventory.Tx) (err error) {
		service, err = tx.Services().Find("server/name", string(server.ID)+"/mailnode")
		return err
	})
	crash, err := f.client.ServiceCrash(t.Context(), service.ID)
	f.ok(err)
	if crash.Exit != "exit status 9" || crash.Restarts != 5 || len(crash.Lines) != 1 || !crash.Time.Equal(seen) {
		t.Errorf("got %+v", crash)
	}
}

func TestPreflightsAreShownWithTheirOutcome(t *testing.T) {
	f := start(t)
	server, other := f.upServer("mail-1"), f.upServer("mail-2")
	_, err := f.client.Preflight(t.Context(), "mail-1")
	if p := f.refused(err, http.StatusNotFound); p.Detail != "the agent of mail-1 has not looked at its server yet" {
		t.Errorf("got %+v", p)
	}
	f.update(func(tx inventory.Tx) error {
		for _, s := range []*inventory.Server{server, other} {
			if err := tx.Preflights().Create(&inventory.Preflight{Server: s.ID, Checked: seen, Checks: []inventory.Check{
				{Name: "open_files", State: inventory.CheckFailed, Found: "1024", Wanted: "at least 65536", Fixable: true},
				{Name: "time_zone", State: inventory.CheckOK},
			}}); err != nil {
				return err
			}
		}
		return nil
	})
	p, err := f.client.Preflight(t.Context(), "mail-1")
	f.ok(err)
	if p.ServerName != "mail-1" || p.Worst != inventory.CheckFailed || len(p.Checks) != 2 || !p.Checks[0].Fixable {
		t.Errorf("got %+v", p)
	}
	if all := every(f, api.Preflights, nil); len(all) != 2 {
		t.Errorf("listed %+v", all)
	}
	if some := every(f, api.Preflights, map[string][]string{"server": {"mail-2"}}); len(some) != 1 || some[0].ServerName != "mail-2" {
		t.Errorf("listed %+v", some)
	}
	f.update(func(tx inventory.Tx) error {
		gone, err := tx.Servers().Get(other.ID)
		if err != nil {
			return err
		}
		gone.State = inventory.ServerRemoved
		return tx.Servers().Update(gone)
	})
	if all := every(f, api.Preflights, nil); len(all) != 1 {
		t.Errorf("listed %+v", all)
	}
}

package fleet

import (
	"errors"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestServicesAreCheckedBeforeTheyAreAdded(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	command := inventory.ServiceConfig{Command: []string{"/usr/sbin/slapd"}}
	first, err := w.fleet.AddService(t.Context(), alice, api.NewService{Server: "mail1", Name: "slapd", ServiceConfig: command})
	if err != nil || first.Kind != inventory.KindCommand || first.Want != inventory.WantRunning {
		t.Fatalf("%+v %v", first, err)
	}
	after := command
	after.After = []string{"slapd", "mailnode"}
	if _, err := w.fleet.AddService(t.Context(), alice, api.NewService{Server: string(id), Name: "app", Want: inventory.WantStopped, ServiceConfig: after}); err != nil {
		t.Fatal(err)
	}
	unit, err := w.fleet.AddService(t.Context(), alice, api.NewService{Server: "mail1", Name: "nginx", Kind: inventory.KindUnit, ServiceConfig: inventory.ServiceConfig{Unit: "nginx.service"}})
	if err != nil || unit.Unit != "nginx.service" {
		t.Fatalf("%+v %v", unit, err)
	}
	for name, test := range map[string]struct {
		req   api.NewService
		field string
	}{
		"no command":  {api.NewService{Server: "mail1", Name: "bad"}, "command"},
		"no name":     {api.NewService{Server: "mail1", Name: "Bad One", ServiceConfig: command}, "name"},
		"no unit":     {api.NewService{Server: "mail1", Name: "bad", Kind: inventory.KindUnit, ServiceConfig: command}, "unit"},
		"a mailnode":  {api.NewService{Server: "mail1", Name: "bad", Kind: inventory.KindMailnode}, "kind"},
		"a stranger":  {api.NewService{Server: "mail1", Name: "bad", ServiceConfig: inventory.ServiceConfig{Command: command.Command, After: []string{"gone"}}}, "after"},
		"itself":      {api.NewService{Server: "mail1", Name: "bad", ServiceConfig: inventory.ServiceConfig{Command: command.Command, After: []string{"bad"}}}, "after"},
		"a bad limit": {api.NewService{Server: "mail1", Name: "bad", ServiceConfig: inventory.ServiceConfig{Command: command.Command, Limits: inventory.ProcessLimits{Memory: 1}}}, "limits.memory"},
	} {
		_, err := w.fleet.AddService(t.Context(), alice, test.req)
		if e, ok := errors.AsType[*inventory.Error](err); !ok || e.Code != inventory.Invalid || e.Field != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.fleet.RemoveService(t.Context(), alice, first.ID, 0); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("what others start after was removed: %v", err)
	}
	if _, err := w.fleet.AddService(t.Context(), alice, api.NewService{Server: "mail1", Name: "slapd", ServiceConfig: command}); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("a second of the name: %v", err)
	}
}

func TestAPreflightIsWrittenWhenItHasChangedOrADayHasPassed(t *testing.T) {
	w := newWorld(t)
	w.run()
	id := w.add("mail1")
	agent, _ := w.connect(id, "mail1")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	checks := []inventory.Check{{Name: "open_files", State: inventory.CheckFailed, Found: "1024"}}
	version := func() (version uint64) {
		w.view(func(tx inventory.Tx) error {
			p, err := tx.Preflights().Find("server", string(id))
			if err == nil {
				version = p.Version
			}
			return err
		})
		return version
	}
	report := func(r api.PreflightReport) {
		t.Helper()
		if err := agent.ReportPreflight(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	report(api.PreflightReport{Checked: at, Checks: checks})
	first := version()
	report(api.PreflightReport{Checked: at.Add(time.Hour), Checks: checks})
	if version() != first {
		t.Error("the same was written again")
	}
	report(api.PreflightReport{Checked: at.Add(24 * time.Hour), Checks: checks})
	second := version()
	if second == first {
		t.Error("after a day nothing was written")
	}
	checks[0].State = inventory.CheckOK
	report(api.PreflightReport{Checked: at.Add(25 * time.Hour), Checks: checks})
	if version() == second {
		t.Error("a change was not written")
	}
	for _, bad := range [][]inventory.Check{nil, {{Name: "x", State: "fine"}}, {{State: inventory.CheckOK}}} {
		if err := agent.ReportPreflight(t.Context(), api.PreflightReport{Checked: at, Checks: bad}); err == nil {
			t.Errorf("taken: %+v", bad)
		}
	}
	if now, err := agent.Clock(t.Context()); err != nil || time.Since(now).Abs() > time.Minute {
		t.Errorf("the controller's clock is %v, %v", now, err)
	}
}

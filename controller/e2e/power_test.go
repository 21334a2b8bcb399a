package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/controller/e2e/fleettest"
)

// tree is the processes of one server of the dev fleet.
type tree struct{ agent, mailnode int }

func treeOf(t *testing.T, f *fleettest.Fleet, server string) (p tree) {
	t.Helper()
	if pids := f.Processes("run --dir " + f.Dir + "/servers/" + server + " "); len(pids) == 1 {
		p.agent = pids[0]
	}
	if pids := f.Processes("servers/" + server + "/mailnode/config.json"); len(pids) == 1 {
		p.mailnode = pids[0]
	}
	return p
}

// others are the trees of all servers but one.
func others(t *testing.T, f *fleettest.Fleet, but string) map[string]tree {
	t.Helper()
	all := make(map[string]tree)
	for _, s := range f.Info.Servers {
		if s.Name == but {
			continue
		}
		all[s.Name] = treeOf(t, f, s.Name)
		if all[s.Name].agent == 0 || all[s.Name].mailnode == 0 {
			t.Fatalf("%s has not the processes it should: %+v", s.Name, all[s.Name])
		}
	}
	return all
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// act asks for an operation on a server.
func (s script) act(kind, server string, more map[string]any, header ...string) (int, map[string]any) {
	s.t.Helper()
	body := map[string]any{"kind": kind, "targets": []map[string]string{{"server": server}}, "reason": "test of " + kind}
	maps.Copy(body, more)
	code, _, answer := s.try(http.MethodPost, "/api/v1/operations", body, header...)
	return code, answer
}

// ended waits for the end of an operation that was accepted.
func (s script) ended(code int, op map[string]any) map[string]any {
	s.t.Helper()
	if code != http.StatusAccepted {
		s.t.Fatalf("not accepted: %d %v", code, op)
	}
	op = s.outcome("/api/v1/operations/" + str(op, "id"))
	if op["state"] != "succeeded" {
		s.t.Fatalf("%s ended as %v: %v", op["kind"], op["state"], op["steps"])
	}
	return op
}

func machineBootID(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// TestPowerActsOnOneServersProcesses switches one server of the dev fleet off
// and on. Nothing else may feel it, and nobody is alarmed: the fleet's rule on
// servers that are down is in force.
func TestPowerActsOnOneServersProcesses(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	const name = "mail3"
	boot := func() string { return str(s.get("/api/v1/servers/"+name), "boot_id") }
	first := boot()
	if first == "" || first == machineBootID(t) {
		t.Fatalf("its boot id is %q, this machine's %q", first, machineBootID(t))
	}
	rest, mine := others(t, f, name), treeOf(t, f, name)
	const powered = "/api/v1/operations?kind=server.reboot&kind=server.shutdown&kind=server.powercycle"
	before := len(items(s.get(powered))) // of other tests

	t.Run("nothing happens that was not confirmed, or was seen otherwise", func(t *testing.T) {
		s := script{t, f}
		for _, kind := range []string{"server.reboot", "server.shutdown", "server.powercycle"} {
			for _, confirm := range []string{"", "mail1", "MAIL3", "1"} {
				code, p := s.act(kind, name, map[string]any{"confirm": confirm})
				if code != http.StatusUnprocessableEntity || !strings.Contains(fmt.Sprint(p), "confirm") {
					t.Errorf("%s confirmed with %q: %d %v", kind, confirm, code, p)
				}
			}
		}
		now := s.get("/api/v1/servers/" + name)
		code, p := s.act("server.reboot", name, map[string]any{"confirm": name}, "If-Match", fmt.Sprintf(`"%.0f"`, num(now, "version")-1))
		if code != http.StatusPreconditionFailed || num(p, "version") < num(now, "version") {
			t.Errorf("a stale If-Match: %d %v; the version is %v", code, p, now["version"])
		}
		code, _, p = s.try(http.MethodPatch, "/api/v1/servers/"+name, map[string]any{"region": "elsewhere"}, "If-Match", `"1"`)
		if code != http.StatusPreconditionFailed || num(p, "version") < num(now, "version") {
			t.Errorf("a stale If-Match: %d %v; the version is %v", code, p, now["version"])
		}
		if n := len(items(s.get(powered))); n != before {
			t.Errorf("%d operations were made", n-before)
		}
		if boot() != first || treeOf(t, f, name) != mine {
			t.Error("something happened all the same")
		}
	})

	t.Run("server.reboot ends with another boot id and all services back", func(t *testing.T) {
		s := script{t, f}
		op := s.ended(s.act("server.reboot", name, map[string]any{"confirm": name}, "Idempotency-Key", "reboot once"))
		if again, before := boot(), op["steps"].([]any)[0].(map[string]any)["boot_id"]; again == first || before != first {
			t.Errorf("boot id %s, before %s, the step has %v", again, first, before)
		}
		if code, again := s.act("server.reboot", name, map[string]any{"confirm": name}, "Idempotency-Key", "reboot once"); code != http.StatusAccepted || again["id"] != op["id"] {
			t.Errorf("asked again with the same key: %d %v", code, again["id"])
		}
		if code, p := s.act("server.shutdown", name, map[string]any{"confirm": name}, "Idempotency-Key", "reboot once"); code != http.StatusConflict {
			t.Errorf("another operation with the same key: %d %v", code, p)
		}
		eventually(t, "its mailnode running", func() bool { return s.service(name, "mailnode")["state"] == "running" })
		now := treeOf(t, f, name)
		if now.agent == mine.agent || now.mailnode == mine.mailnode || now.agent == 0 || alive(mine.agent) || alive(mine.mailnode) {
			t.Errorf("its processes were %+v and are %+v", mine, now)
		}
		mine = now
	})

	t.Run("server.shutdown ends when it is gone, server.poweron when its agent is back", func(t *testing.T) {
		s := script{t, f}
		s.ended(s.act("server.shutdown", name, map[string]any{"confirm": name}))
		// What is killed takes a moment to be gone from the list of processes.
		eventually(t, "no process of it", func() bool { return len(f.Processes("/servers/"+name)) == 0 })
		if now := s.get("/api/v1/servers/" + name); now["state"] != "down" || now["off"] != true {
			t.Errorf("it is %v, off: %v", now["state"], now["off"])
		}
		s.ended(s.act("server.poweron", name, nil))
		if now := s.get("/api/v1/servers/" + name); now["state"] != "up" || now["connected"] != true || now["off"] == true {
			t.Errorf("at the end of server.poweron it is %v, connected: %v, off: %v", now["state"], now["connected"], now["off"])
		}
		if now := treeOf(t, f, name); now.agent == 0 || now.agent == mine.agent {
			t.Errorf("its processes were %+v and are %+v", mine, now)
		}
		eventually(t, "its mailnode running", func() bool { return s.service(name, "mailnode")["state"] == "running" })
	})

	if now := others(t, f, name); !maps.Equal(now, rest) {
		t.Errorf("the processes of the others were %v and are %v", rest, now)
	}
	for _, m := range items(s.get("/api/v1/sms")) {
		if text := str(m, "text"); !strings.Contains(text, name) {
			continue // about a server that another test took away
		}
		if strings.Contains(str(m, "text"), "失联") || strings.Contains(str(m, "text"), "恢复在线") {
			t.Errorf("somebody was alarmed: %v", m["text"])
		}
	}
	for _, w := range items(s.get("/api/v1/windows")) {
		if strings.HasPrefix(str(w, "closed"), "0001") {
			t.Errorf("a maintenance window is left open: %v", w)
		}
	}
}

// TestPlannedWorkMutesAlerts has a condition hold in a maintenance window: nobody
// is told until the window ends, and the alert says why.
func TestPlannedWorkMutesAlerts(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	server := f.Info.Servers[1]
	window := s.do(http.StatusCreated, http.MethodPost, "/api/v1/windows", map[string]any{
		"servers": []string{server.Name}, "to": time.Now().Add(time.Hour), "reason": "new memory",
	})
	rule := s.do(http.StatusCreated, http.MethodPost, "/api/v1/rules", map[string]any{
		"name": "in a window", "metric": "mem_used_percent", "comparison": ">", "value": 0.001, "for": "0s", "servers": []string{server.Name},
	})
	var alert map[string]any
	eventually(t, "a firing alert", func() bool {
		for _, a := range items(s.get("/api/v1/alerts?state=firing")) {
			if a["rule"] == rule["id"] {
				alert = a
			}
		}
		return alert != nil
	})
	messages := func() (n int) {
		for _, m := range items(s.get("/api/v1/sms")) {
			if m["alert"] == alert["id"] {
				n++
			}
		}
		return n
	}
	if alert["window"] != window["id"] || !strings.HasPrefix(str(alert, "muted_by"), "new memory") || messages() != 0 {
		t.Errorf("in the window, with %d messages: %v", messages(), alert)
	}
	s.do(http.StatusOK, http.MethodPost, "/api/v1/windows/"+str(window, "id")+"/close", nil)
	eventually(t, "an SMS after the window", func() bool { return messages() == 1 })
	now := s.get("/api/v1/alerts/" + str(alert, "id"))
	if now["window"] != window["id"] || str(now, "told") == "" || now["state"] != "firing" {
		t.Errorf("after the window: %v", now)
	}
	s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/rules/"+str(rule, "id"), nil)
	eventually(t, "an SMS that it is over", func() bool { return messages() == 2 })
}

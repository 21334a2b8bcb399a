package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mailfleet/controller/e2e/fleettest"
	"mailfleet/inventory"
)

// maker signs builds with the dev fleet's release key and publishes them.
type maker struct {
	script
	dir string
}

// compiled builds a program as another version.
func (m *maker) compiled(program, version string) string {
	m.t.Helper()
	file := filepath.Join(m.dir, program+"-"+version)
	cmd := exec.CommandContext(m.t.Context(), "go", "build", "-race", "-ldflags", "-X mailfleet/inventory.Version="+version, "-o", file, fleettest.Programs[program])
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("build %s %s: %v\n%s", program, version, err, out)
	}
	return file
}

// scripted is a program that says the version and does something else.
func (m *maker) scripted(program, version, script string) string {
	m.t.Helper()
	file := filepath.Join(m.dir, program+"-"+version)
	text := "#!/bin/sh\n[ \"$1\" = --version ] && echo " + program + " version " + version + " && exit\n" + script + "\n"
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		m.t.Fatal(err)
	}
	return file
}

// published signs and publishes a file, and returns the release's id.
func (m *maker) published(name, version, file string) string {
	m.t.Helper()
	out, code := program(m.t, nil, "mailfleet-controller", "release", "sign", file, "--key", filepath.Join(m.f.Dir, "release.key"), "--program", name, "--version", version)
	if code != 0 {
		m.t.Fatalf("sign: exit %d: %s", code, out)
	}
	if out, code = program(m.t, nil, "mailfleet-controller", "release", "publish", file, "--dev", m.f.Dir); code != 0 {
		m.t.Fatalf("publish: exit %d: %s", code, out)
	}
	for _, r := range items(m.get("/api/v1/releases?program=" + name)) {
		if r["number"] == version {
			return str(r, "id")
		}
	}
	m.t.Fatalf("release %s is not listed", version)
	return ""
}

// begin asks for an operation and returns its path.
func (m *maker) begin(body map[string]any) string {
	m.t.Helper()
	body["reason"] = "test"
	code, header, op := m.try(http.MethodPost, "/api/v1/operations", body, "Idempotency-Key", string(inventory.NewID()))
	if code != http.StatusAccepted {
		m.t.Fatalf("%v: %d %v", body, code, op)
	}
	return header.Get("Location")
}

// end waits for the end of an operation, across a death of the controller, and
// returns its steps.
func (m *maker) end(path, want string) []map[string]any {
	m.t.Helper()
	op := m.outcome(path)
	if op["state"] != want {
		m.t.Fatalf("it %s: %v", op["state"], op)
	}
	var steps []map[string]any
	list, _ := op["steps"].([]any)
	for _, s := range list {
		if step, ok := s.(map[string]any); ok {
			steps = append(steps, step)
		}
	}
	return steps
}

func (m *maker) agentVersion(server string) string {
	return str(m.get("/api/v1/servers/"+server), "agent_version")
}

// TestAgentsAreUpgradedAndComeBack has real agents upgraded by their controller:
// to builds that do not come up, and to one that does. Their mailnodes notice nothing.
func TestAgentsAreUpgradedAndComeBack(t *testing.T) {
	t.Parallel()                                                 // its fleet is its own, and waits most of the time
	f := ownFleet(t, "--servers", "2", "--upgrade-limit", "40s") // enough for an agent that comes up while the machine is busy
	m := &maker{script{t, f}, t.TempDir()}
	old := m.agentVersion("mail1")
	pids := map[string]float64{}
	for _, name := range []string{"mail1", "mail2"} {
		pids[name] = num(m.service(name, "mailnode"), "pid")
	}
	untouched := func(t *testing.T, versions map[string]string) {
		t.Helper()
		upAgain(t, m.script, 2)
		for name, version := range versions {
			eventually(t, "the agent of "+name+" as "+version, func() bool { return m.agentVersion(name) == version })
			eventually(t, "its mailnode known", func() bool { return m.service(name, "mailnode")["state"] == "running" })
			if v := m.service(name, "mailnode"); num(v, "pid") != pids[name] || num(v, "restarts") != 0 {
				t.Errorf("the mailnode of %s was process %v; now it is %v", name, pids[name], v)
			}
			if n := len(f.Processes("run --dir " + f.Dir + "/servers/" + name + " ")); n != 1 {
				t.Errorf("%s has %d agents", name, n)
			}
		}
	}

	t.Run("one that ends at once stops the rolling upgrade", func(t *testing.T) {
		m := &maker{script{t, f}, m.dir}
		id := m.published("mailfleet-agent", "6.1", m.scripted("mailfleet-agent", "6.1", "echo there is no more >&2; exit 3"))
		steps := m.end(m.begin(map[string]any{
			"kind": "agent.upgrade", "selector": "service=mailnode", "rolling": map[string]any{"batch": 1}, "params": map[string]any{"release": id},
		}), "failed")
		if got := str(steps[0], "message"); !strings.HasPrefix(got, "returned to "+old+" because 6.1 ended after") || !strings.Contains(got, "exit status 3: there is no more") {
			t.Errorf("the first step: %v", steps[0])
		}
		if len(steps) != 2 || steps[1]["state"] != "cancelled" {
			t.Errorf("the second step: %v", steps)
		}
		untouched(t, map[string]string{"mail1": old, "mail2": old})
	})

	t.Run("one that says another version is not even tried", func(t *testing.T) {
		m := &maker{script{t, f}, m.dir}
		id := m.published("mailfleet-agent", "6.2", m.scripted("mailfleet-agent", "6.3", "exit 3"))
		steps := m.end(m.begin(map[string]any{
			"kind": "agent.upgrade", "targets": []map[string]string{{"server": "mail1"}}, "params": map[string]any{"release": id},
		}), "failed")
		if got := str(steps[0], "message"); !strings.Contains(got, "nothing was changed") {
			t.Errorf("%s", got)
		}
	})

	good := m.compiled("mailfleet-agent", "9.9")

	t.Run("a real one that cannot reach the controller, which is killed meanwhile", func(t *testing.T) {
		m := &maker{script{t, f}, m.dir}
		// The real agent, in a copy of the directory that names another controller.
		id := m.published("mailfleet-agent", "6.4", m.scripted("mailfleet-agent", "6.4", `cp -a "$3" "$3.deaf"
sed -i 's#"controller": *"[^"]*"#"controller": "https://127.0.0.1:1"#' "$3.deaf/identity.json"
dir=$3; shift 3
exec `+good+` run --dir "$dir.deaf" "$@"`))
		path := m.begin(map[string]any{
			"kind": "agent.upgrade", "targets": []map[string]string{{"server": "mail1"}}, "params": map[string]any{"release": id},
		})
		eventually(t, "the build on trial", func() bool { return len(f.Processes("mail1.deaf")) == 1 })
		controller := kill9(t, f, "serve --config")
		replaced(t, f, "serve --config", controller)
		steps := m.end(path, "failed")
		if got := str(steps[0], "message"); !strings.HasPrefix(got, "returned to "+old+" because 6.4 did not reach the controller within 40s") {
			t.Errorf("%s", got)
		}
		if left := f.Processes("mail1.deaf"); len(left) != 0 {
			t.Errorf("left of it: %v", left)
		}
		untouched(t, map[string]string{"mail1": old})
	})

	t.Run("a good one, with the controller killed in the middle", func(t *testing.T) {
		m := &maker{script{t, f}, m.dir}
		id := m.published("mailfleet-agent", "9.9", good)
		path := m.begin(map[string]any{
			"kind": "agent.upgrade", "targets": []map[string]string{{"server": "mail1"}}, "params": map[string]any{"release": id},
		})
		eventually(t, "the order taken", func() bool {
			state := str(m.get(path), "state")
			return state != "queued" && state != "delivered"
		})
		controller := kill9(t, f, "serve --config")
		replaced(t, f, "serve --config", controller)
		steps := m.end(path, "succeeded")
		if got := str(steps[0], "message"); got != "upgraded from "+old+" to 9.9" {
			t.Errorf("%s", got)
		}
		untouched(t, map[string]string{"mail1": "9.9", "mail2": old})
		// Whoever starts the agent again starts the one that was installed; it is the new one.
		agent := kill9(t, f, "run --dir "+f.Dir+"/servers/mail1 ")
		replaced(t, f, "run --dir "+f.Dir+"/servers/mail1 ", agent)
		untouched(t, map[string]string{"mail1": "9.9"})
	})
}

// TestAMailnodeIsUpgradedAndComesBack has a mailnode run another build.
func TestAMailnodeIsUpgradedAndComesBack(t *testing.T) {
	t.Parallel() // its fleet is its own, and waits most of the time
	f := ownFleet(t, "--servers", "1", "--upgrade-gate", "3s")
	m := &maker{script{t, f}, t.TempDir()}
	target := []map[string]string{{"server": "mail1", "service": "mailnode"}}
	upgrade := func(id, want string) string {
		t.Helper()
		steps := m.end(m.begin(map[string]any{"kind": "service.upgrade", "targets": target, "params": map[string]any{"release": id}}), want)
		return str(steps[0], "message")
	}
	id := m.published("mailfleet-mailnode", "9.9", m.compiled("mailfleet-mailnode", "9.9"))
	if got := upgrade(id, "succeeded"); !strings.HasPrefix(got, "it runs mailfleet-mailnode 9.9") {
		t.Errorf("%s", got)
	}
	serves := func() map[string]any {
		t.Helper()
		v := m.service("mail1", "mailnode")
		if v["state"] != "running" || v["program"] != "9.9" || v["release"] != id {
			t.Errorf("the mailnode is %v", v)
		}
		user := f.Info.Users[0]
		home := f.Info.Servers[0]
		peer(t, "swaks", "--server", home.Address, "--port", strconv.Itoa(home.Ports["smtp"]), "--from", "outside@example.org", "--to", user.Address)
		return v
	}
	serves()
	bad := m.published("mailfleet-mailnode", "6.1", m.scripted("mailfleet-mailnode", "6.1", "echo no mail today; exit 3"))
	if got := upgrade(bad, "failed"); !strings.HasPrefix(got, "returned to mailfleet-mailnode 9.9 because mailfleet-mailnode 6.1 did not do well") {
		t.Errorf("%s", got)
	}
	eventually(t, "the old mailnode known", func() bool { return m.service("mail1", "mailnode")["program"] == "9.9" })
	pid := num(serves(), "pid")
	steps := m.end(m.begin(map[string]any{"kind": "config.apply", "targets": target}), "succeeded")
	if got := str(steps[0], "message"); !strings.Contains(got, "are in force without a restart") || num(m.service("mail1", "mailnode"), "pid") != pid {
		t.Errorf("%s", got)
	}
	if check := m.get("/api/v1/audit/verify"); check["intact"] != true {
		t.Errorf("the audit chain: %v", check)
	}
}

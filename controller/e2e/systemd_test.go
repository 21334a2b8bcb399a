package e2e

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mailfleet/controller/e2e/peers"
)

// manager is a real systemd, PID 1 of a pid namespace of its own.
type manager struct {
	t   *testing.T
	pid int // here
}

// startManager starts systemd with the units in a directory; it sees the directories given.
func startManager(t *testing.T, units map[string]string, dirs ...string) *manager {
	t.Helper()
	peers.Root(t, "a systemd of one's own")
	peers.Find(t, "systemd", "/usr/lib/systemd/systemd")
	unshare := peers.Find(t, "util-linux", "unshare")
	root := filepath.Join(t.TempDir(), "root")
	folder := filepath.Join(root+".units", "system")
	for _, dir := range []string{root, folder} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sysinit", "basic", "shutdown", "network-online", "multi-user"} {
		units[name+".target"] = "[Unit]\nDefaultDependencies=no\n"
	}
	for name, text := range units {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	group := ownGroup(t)
	script, err := filepath.Abs("testdata/systemd.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c",
		`echo $$ >"$0/cgroup.procs" && exec ` + unshare + ` --pid --mount --uts --ipc --cgroup --fork --kill-child sh "$@"`, group, script, root}, dirs...)...)
	log, err := os.Create(filepath.Join(t.TempDir(), "systemd.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the end of PID 1 ends all that is in its namespace
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("systemd: %s", text)
		}
		_ = log.Close()
	})
	m := &manager{t: t}
	eventually(t, "systemd is PID 1", func() bool {
		children, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/" + strconv.Itoa(cmd.Process.Pid) + "/children")
		m.pid, _ = strconv.Atoi(strings.TrimSpace(string(children)))
		name, _ := os.ReadFile("/proc/" + strconv.Itoa(m.pid) + "/comm")
		return string(name) == "systemd\n"
	})
	eventually(t, "systemd has booted", func() bool {
		out, _ := m.run("systemctl", "is-active", "multi-user.target")
		return out == "active"
	})
	return m
}

// ownGroup makes a version 2 cgroup for a systemd to be the root of.
func ownGroup(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			dir := filepath.Join(f[1], "mailfleet-test-"+strconv.Itoa(os.Getpid()))
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				eventually(t, "the cgroups are empty", func() bool {
					_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
						if err == nil && d.IsDir() {
							defer func() { _ = os.Remove(path) }()
						}
						return nil
					})
					_, err := os.Stat(dir)
					return errors.Is(err, os.ErrNotExist)
				})
			})
			return dir
		}
	}
	t.Fatal("this machine has no version 2 cgroups mounted")
	return ""
}

// run runs a command where systemd is PID 1.
func (m *manager) run(args ...string) (string, error) {
	cmd := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(m.pid), "--mount", "--pid", "--root", "--wd=/"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

func (m *manager) must(args ...string) string {
	m.t.Helper()
	out, err := m.run(args...)
	if err != nil {
		m.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// show is a property of the agent's unit.
func (m *manager) show(property string) string {
	m.t.Helper()
	return m.must("systemctl", "show", "--value", "--property="+property, "mailfleet-agent.service")
}

// TestSystemdStartsTheAgent has a real systemd run the agent by the unit that the agent
// prints: killed, the agent comes back; upgraded, it stays the unit's main process;
// stopped, it is gone. What the services do all the while is nothing.
func TestSystemdStartsTheAgent(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	const name = "by-systemd"
	dir, err := os.MkdirTemp("", "mf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	made := s.do(http.StatusCreated, http.MethodPost, "/api/v1/servers", map[string]any{"name": name, "address": "127.9.9.10", "mailnode": false})
	t.Cleanup(func() { s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/servers/"+name, nil) })
	if out, code := program(t, []string{"MAILFLEET_JOIN_TOKEN=" + str(made, "token")}, "mailfleet-agent", "join", "--dir", dir, "--controller", f.Info.Console); code != 0 {
		t.Fatalf("join: exit %d: %s", code, out)
	}
	unit, code := program(t, nil, "mailfleet-agent", "unit", "--dir", dir, "--mailnode", filepath.Join(bin, "mailfleet-mailnode"))
	if code != 0 {
		t.Fatalf("unit: exit %d: %s", code, unit)
	}
	m := startManager(t, map[string]string{"mailfleet-agent.service": unit}, dir, bin)
	m.must("systemctl", "enable", "--now", "mailfleet-agent.service")
	up := func() bool { return str(s.get("/api/v1/servers/"+name), "state") == "up" }
	eventually(t, "the agent has its link", up)

	s.do(http.StatusCreated, http.MethodPost, "/api/v1/services", map[string]any{"server": name, "name": "work", "want": "running", "command": []string{"/usr/bin/sleep", "86400"}})
	work := func() (pid, restarts int) {
		v := s.service(name, "work")
		return int(num(v, "pid")), int(num(v, "restarts"))
	}
	eventually(t, "the service runs", func() bool { pid, _ := work(); return pid > 0 })
	service, _ := work()
	untouched := func(when string) {
		t.Helper()
		if text := m.must("cat", "/proc/"+strconv.Itoa(service)+"/cmdline"); !strings.Contains(text, "86400") {
			t.Fatalf("%s the service is %q", when, text)
		}
		if pid, restarts := work(); pid != service || restarts != 0 {
			t.Fatalf("%s the service is process %d after %d restarts; it was %d", when, pid, restarts, service)
		}
	}

	first := m.show("MainPID")
	m.must("kill", "-9", first)
	eventually(t, "systemd starts the agent again", func() bool {
		return m.show("MainPID") != first && m.show("SubState") == "running" && up()
	})
	restarts := m.show("NRestarts")
	if restarts == "0" {
		t.Error("systemd counts no restart")
	}
	untouched("after the agent was killed")

	maker := &maker{s, t.TempDir()}
	second := m.show("MainPID")
	release := maker.published("mailfleet-agent", "9.7", maker.compiled("mailfleet-agent", "9.7"))
	maker.end(maker.begin(map[string]any{
		"kind": "agent.upgrade", "targets": []map[string]string{{"server": name}}, "params": map[string]any{"release": release},
	}), "succeeded")
	if got := m.show("MainPID"); got != second || m.show("NRestarts") != restarts {
		t.Errorf("the unit's main process was %s and is %s, after %s restarts", second, got, m.show("NRestarts"))
	}
	if exe := m.must("readlink", "/proc/"+second+"/exe"); exe == filepath.Join(bin, "mailfleet-agent") {
		t.Errorf("the main process still runs %s", exe)
	}
	eventually(t, "the new build has its link", up)
	untouched("after the upgrade")

	m.must("systemctl", "stop", "mailfleet-agent.service")
	if got := m.show("ActiveState") + " " + m.show("MainPID"); got != "inactive 0" {
		t.Errorf("stopped, the unit is %s", got)
	}
	if text := m.must("cat", "/proc/"+strconv.Itoa(service)+"/cmdline"); !strings.Contains(text, "86400") {
		t.Fatalf("after the agent was stopped the service is %q", text)
	}
	m.must("systemctl", "start", "mailfleet-agent.service")
	eventually(t, "the agent is back", func() bool { pid, _ := work(); return up() && pid == service })
	untouched("after the agent was started again")
}

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/controller/dev"
)

type serverInfo = dev.ServerInfo

// program runs one of ours to its end and returns what it printed and its exit code.
func program(t *testing.T, env []string, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestBadConfigurationIsOneSentenceWithItsPlace(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"unknown.yaml":  {"dir: /tmp/x\nlisten: 127.0.0.1:1\nlisen: 3\n", `unknown.yaml:3: there is no setting "lisen"`},
		"port.yaml":     {"dir: /tmp/x\n\nlisten: 127.0.0.1:99999\n", `port.yaml:3: listen: port "99999" is not between`},
		"gateway.yaml":  {"sms:\n  gateway: pigeon\n", `gateway.yaml:2: sms.gateway "pigeon" is not`},
		"interval.yaml": {"samples:\n  interval: 10ms\n", `interval.yaml:2: samples.interval 10ms is shorter`},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"config", "test", file}, {"serve", "--config", file}} {
			out, code := program(t, nil, "mailfleet-controller", args...)
			if code != 2 || !strings.Contains(out, c.want) || strings.Count(strings.TrimSpace(out), "\n") != 0 {
				t.Errorf("%v: exit %d: %q does not hold %q", args, code, out, c.want)
			}
		}
	}
	out, code := program(t, nil, "mailfleet-controller", "serve", "--config", filepath.Join(dir, "absent.yaml"))
	if code != 2 || !strings.Contains(out, "absent.yaml: cannot read the configuration") {
		t.Errorf("absent file: exit %d: %q", code, out)
	}
	out, code = program(t, nil, "mailfleet-agent", "run", "--dir", dir, "--mailnode", filepath.Join(bin, "mailfleet-mailnode"))
	if code != 1 || !strings.Contains(out, "has not joined a fleet") {
		t.Errorf("agent that has not joined: exit %d: %q", code, out)
	}
	bad := filepath.Join(dir, "mailnode.json")
	if err := os.WriteFile(bad, []byte("{\n  \"server\": \"x\",\n  \"lissteners\": []\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code = program(t, nil, "mailfleet-mailnode", "run", "--config", bad, "--dir", dir)
	if code != 2 || !strings.Contains(out, "mailnode.json:3") {
		t.Errorf("mailnode: exit %d: %q", code, out)
	}
}

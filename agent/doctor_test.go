package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/agent/preflight"
	"mailfleet/inventory"
)

// doctor runs the command on a made-up machine and returns its exit code.
func doctor(t *testing.T, root string, args ...string) (code int, out string, err error) {
	t.Helper()
	var buf bytes.Buffer
	cmd := rootCommand()
	cmd.SetArgs(append([]string{"doctor", "--dir", t.TempDir(), "--root", root}, args...))
	cmd.SetOut(&buf)
	err = cmd.ExecuteContext(t.Context())
	if state, ok := errors.AsType[outcome](err); ok {
		return int(state), buf.String(), nil
	}
	return 0, buf.String(), err
}

func machine(t *testing.T, openFiles, swappiness string) string {
	t.Helper()
	root := t.TempDir()
	for file, text := range map[string]string{
		"/proc/self/limits":       "Max open files " + openFiles + " " + openFiles + " files\n",
		"/proc/sys/vm/swappiness": swappiness,
	} {
		if err := os.MkdirAll(filepath.Dir(root+file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestDoctorTellsByItsExitCode(t *testing.T) {
	code, out, err := doctor(t, machine(t, "1024", "60"))
	if err != nil || code != 2 || !strings.Contains(out, "open_files") || !strings.Contains(out, "(--fix swappiness does it)") {
		t.Errorf("%d %v\n%s", code, err, out)
	}
	code, out, err = doctor(t, machine(t, "65536", "60"), "--json")
	var found examination
	if err != nil || json.Unmarshal([]byte(out), &found) != nil || len(found.Checks) != len(preflight.Names) {
		t.Fatalf("%d %v\n%s", code, err, out)
	}
	if want := map[inventory.CheckState]int{inventory.CheckWarning: 1, inventory.CheckFailed: 2}[found.Worst]; code != want {
		t.Errorf("exit code %d, the worst is %s", code, found.Worst)
	}
}

func TestDoctorMendsOnlyWhatIsNamed(t *testing.T) {
	root := machine(t, "1024", "60")
	if _, out, err := doctor(t, root, "--fix", "swappiness"); err != nil || !strings.Contains(out, "swappiness: vm.swappiness: 60 → 10") {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(root + "/etc/sysctl.d/90-mailfleet.conf"); err != nil || !strings.Contains(string(b), "vm.swappiness = 10") {
		t.Errorf("%q %v", b, err)
	}
	if _, err := os.Stat(root + "/etc/security"); err == nil {
		t.Error("limits were changed too")
	}
	if _, out, err := doctor(t, root, "--fix", "swappiness"); err != nil || !strings.Contains(out, "Nothing had to be changed.") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := doctor(t, root, "--fix", "memory"); !inventory.Is(err, inventory.Invalid) {
		t.Errorf("got %v", err)
	}
}

package starter

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/controller/e2e/peers"
)

func TestSystemdReadsTheUnit(t *testing.T) {
	analyze := peers.Find(t, "systemd", "systemd-analyze")
	dir := t.TempDir()
	program := filepath.Join(dir, "an agent at 100% ; program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit, err := Unit([]string{program, "run", "--dir", "/var/lib/50% off; $USER 'quoted'", ""})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, Name)
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), Name) {
		t.Errorf("%v\n%s\n%s", err, out, unit)
	}
}

func TestAProgramThatSystemdDoesNotStartIsRefused(t *testing.T) {
	for _, program := range []string{"/opt/$HOME/agent", `/opt/"agent"`, "/opt/agent's", `/opt/\agent`} {
		if unit, err := Unit([]string{program}); err == nil {
			t.Errorf("%s makes\n%s", program, unit)
		}
	}
}

func TestAControlCharacterCannotAddALine(t *testing.T) {
	for _, word := range []string{"a\nExecStartPre=/bin/sh", "a\x00", "\x7f"} {
		if unit, err := Unit([]string{"/bin/agent", word}); err == nil {
			t.Errorf("%q makes\n%s", word, unit)
		}
	}
}

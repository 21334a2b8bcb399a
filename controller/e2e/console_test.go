package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTheConsoleInARealBrowser runs ui/e2e against the shared fleet. Pictures of
// every screen go to .build/screenshots for people to look at.
func TestTheConsoleInARealBrowser(t *testing.T) {
	if _, err := os.Stat("/usr/bin/chromium"); err != nil {
		if os.Getenv("PEERS") == "skip" {
			t.Skip("PEERS=skip: chromium is not installed")
		}
		t.Fatal("chromium is needed: install the Debian package, or set PEERS=skip")
	}
	f := theFleet(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "npm", "run", "--silent", "e2e")
	cmd.Dir = filepath.Join(root, "ui")
	cmd.Env = append(os.Environ(), "DEV_JSON="+filepath.Join(f.Dir, "dev.json"), "AGENT="+filepath.Join(bin, "mailfleet-agent"), "CONTROLLER="+filepath.Join(bin, "mailfleet-controller"), "SCREENSHOTS="+filepath.Join(root, ".build", "screenshots"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

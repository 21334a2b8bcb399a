package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mailfleet/controller/e2e/peers"
)

// TestTheConsoleInARealBrowser runs ui/e2e against the shared fleet. Pictures of
// every screen go to .build/screenshots for people to look at.
func TestTheConsoleInARealBrowser(t *testing.T) {
	peers.Find(t, "chromium", "/usr/bin/chromium")
	f := theFleet(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "npm", "run", "--silent", "e2e")
	cmd.Dir = filepath.Join(root, "ui")
	cmd.Env = append(os.Environ(), "DEV_JSON="+filepath.Join(f.Dir, "dev.json"), "AGENT="+filepath.Join(bin, "mailfleet-agent"), "CONTROLLER="+filepath.Join(bin, "mailfleet-controller"), "SCREENSHOTS="+filepath.Join(root, ".build", "screenshots"))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

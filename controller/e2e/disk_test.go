package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailfleet/controller/e2e/fleettest"
	"mailfleet/controller/e2e/peers"
)

func TestAFullDiskOnTheControllerStopsWritesAndNothingElse(t *testing.T) {
	t.Parallel() // its fleet is its own
	peers.Root(t, "mounting a small file system")
	dir, err := os.MkdirTemp("", "mf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	disk := filepath.Join(dir, "controller")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=200m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := fleettest.Start(ctx, bin, dir, "--servers", "1", "--sample-interval", "1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Errorf("stop the fleet: %v", err)
		}
		checkRaces(t, f)
	})
	s := script{t, f}
	rule := func(name string) (int, map[string]any) {
		code, _, out := s.try(http.MethodPost, "/api/v1/rules", map[string]any{"name": name, "metric": "load_load1", "comparison": ">", "value": 1e6})
		return code, out
	}
	if code, out := rule("before"); code != http.StatusCreated {
		t.Fatalf("%d %v", code, out)
	}

	rules := len(items(s.get("/api/v1/rules")))

	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	began := time.Now()
	eventually(t, "a write refused", func() bool {
		code, out := rule("during")
		if code == http.StatusCreated { // there was a last page left
			if code, _, _ := s.try(http.MethodDelete, "/api/v1/rules/during", nil); code != http.StatusNoContent {
				rules++ // and it was the last
			}
			return false
		}
		if code != http.StatusServiceUnavailable || str(out, "code") != "unavailable" || !strings.Contains(str(out, "detail"), "disk") {
			t.Fatalf("a write on the full disk: %d %v", code, out)
		}
		return true
	})
	if got := len(items(s.get("/api/v1/rules"))); got != rules {
		t.Errorf("reading gives %d rules instead of %d", got, rules)
	}
	if problems, _ := s.get("/api/v1/status")["problems"].([]any); len(problems) == 0 {
		t.Error("the status tells of no problem")
	}

	eventually(t, "a while of samples that could not be stored", func() bool { return time.Since(began) > 6*time.Second })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes again", func() bool { code, _ := rule("after"); return code == http.StatusCreated })
	kept(t, s, "mail1", began, time.Now())
	if check := s.get("/api/v1/audit/verify"); check["intact"] != true {
		t.Errorf("the audit chain: %v", check)
	}
}

// fill writes a file until the disk has no room.
func fill(t *testing.T, file string) {
	t.Helper()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	for size := 1 << 20; size >= 512; {
		if _, err := out.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

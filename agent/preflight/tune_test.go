package preflight

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailfleet/inventory"
)

// tree makes a root directory with files.
func tree(t *testing.T, files map[string]string) Tuner {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Tuner{Machine: Machine{Root: root}}
}

func (t Tuner) text(tt *testing.T, file string) string {
	tt.Helper()
	b, err := os.ReadFile(t.path(file))
	if err != nil {
		tt.Fatal(err)
	}
	return string(b)
}

func TestFixesAreAppliedOnceAndKept(t *testing.T) {
	tuner := tree(t, map[string]string{
		"/proc/sys/vm/swappiness":                 "60\n",
		"/proc/sys/net/core/somaxconn":            "128\n",
		"/proc/sys/fs/inotify/max_user_watches":   "8192\n",
		"/proc/sys/fs/inotify/max_user_instances": "8192\n",
		hugePageFile:           "[always] madvise never\n",
		"/proc/self/limits":    limits("1024", "8388608", "63000"),
		systemdDir + "/x":      "",
		"/etc/sysctl.d/x.conf": "vm.swappiness = 60\n",
	})
	raised := map[string]int64{}
	tuner.Limit = func(name string, value int64) error { raised[name] = value; return nil }
	names := []string{"swappiness", "somaxconn", "inotify", "huge_pages", "open_files", "stack"}
	changes, err := tuner.Tune(t.Context(), Facts{}, names)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, c := range changes {
		told = append(told, c.String())
	}
	for _, want := range []string{
		"swappiness: vm.swappiness: 60 → 10", "swappiness: /etc/sysctl.d/90-mailfleet.conf: is set to vm.swappiness = 10",
		"somaxconn: net.core.somaxconn: 128 → 4096", "inotify: fs.inotify.max_user_watches: 8192 → 524288",
		"huge_pages: " + hugePageFile + ": always → madvise",
		"open_files: /etc/systemd/system/mailfleet-agent.service.d/90-mailfleet.conf: is set to LimitNOFILE=65536",
	} {
		if !slices.Contains(told, want) {
			t.Errorf("not told: %s", want)
		}
	}
	if all := strings.Join(told, "\n"); strings.Contains(all, "stack") || strings.Contains(all, "max_user_instances") {
		t.Errorf("what was well was changed:\n%s", all)
	}
	if want := madeBy + "fs.inotify.max_user_watches = 524288\nnet.core.somaxconn = 4096\nvm.swappiness = 10\n"; tuner.text(t, sysctlFile) != want {
		t.Errorf("%s is\n%s", sysctlFile, tuner.text(t, sysctlFile))
	}
	for file, want := range map[string]string{
		limitsFile:                     madeBy + "* - nofile 65536\nroot - nofile 65536\n",
		unitFile:                       madeBy + "[Service]\nLimitNOFILE=65536\n",
		tmpfilesFile:                   madeBy + "w " + hugePageFile + " - - - - madvise\n",
		"/proc/sys/vm/swappiness":      "10",
		"/proc/sys/net/core/somaxconn": "4096",
		hugePageFile:                   "madvise",
		"/etc/sysctl.d/x.conf":         "vm.swappiness = 60\n",
	} {
		if got := tuner.text(t, file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	if len(raised) != 1 || raised["open_files"] != 65536 {
		t.Errorf("raised %v", raised)
	}
	info, err := os.Stat(tuner.path(sysctlFile))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v", info.Mode(), err)
	}

	if err := os.WriteFile(tuner.path("/proc/self/limits"), []byte(limits("65536", "8388608", "63000")), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := tuner.Tune(t.Context(), Facts{}, names[:3]); err != nil || len(again) != 0 {
		t.Errorf("again: %v %v", again, err)
	}
	if err := os.WriteFile(tuner.path("/proc/sys/vm/swappiness"), []byte("60\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := tuner.Tune(t.Context(), Facts{}, names[:1])
	if err != nil || len(again) != 1 || again[0].What != "vm.swappiness" {
		t.Errorf("after somebody set it back: %v %v", again, err)
	}
}

func TestOnlyWhatCanBeMendedIsAsked(t *testing.T) {
	tuner := tree(t, map[string]string{"/proc/sys/vm/swappiness": "60\n"})
	for _, names := range [][]string{nil, {"swappiness", "no_such_check"}, {"swappiness", "clock_sync"}, {"../etc"}} {
		if _, err := tuner.Tune(t.Context(), Facts{}, names); !inventory.Is(err, inventory.Invalid) {
			t.Errorf("%v: %v", names, err)
		}
	}
	if tuner.text(t, "/proc/sys/vm/swappiness") != "60\n" {
		t.Error("something was changed all the same")
	}
	if _, err := os.Stat(tuner.path(sysctlFile)); err == nil {
		t.Error("something was kept all the same")
	}
}

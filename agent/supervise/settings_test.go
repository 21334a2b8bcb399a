package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/inventory"
)

// shell is a service that is a shell script.
func shell(name, script string) Spec {
	return Spec{Name: name, Command: []string{"/bin/sh", "-c", script}, Want: inventory.WantRunning, StopGrace: time.Minute}
}

func ownProcess(t *testing.T, s *Supervisor, name string) *service {
	t.Helper()
	svc, err := s.service(name)
	if err != nil {
		t.Fatal(err)
	}
	return svc.(*service)
}

func TestServiceRunsWithItsLimitsAndAsItsUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can run services as other users")
	}
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := shell("web", `echo "is $(id -u) $(id -g) $HOME $USER"; echo "has $(ulimit -n) $(ulimit -Hn) $(ulimit -s)"; echo "again" >> /dev/stdout; grep processes /proc/self/limits | sed 's/^/max /'; exec sleep 3600`)
	sp.User = "nobody"
	sp.Limits = inventory.ProcessLimits{OpenFiles: 777, Stack: 1 << 20, Processes: 4321}
	apply(t, s, sp)
	st := awaitState(t, s, "web", inventory.ServiceRunning)
	if got := awaitLine(t, dir, "web", "is ", 1)[0]; got != "65534 65534 /nonexistent nobody" {
		t.Errorf("it runs as %s", got)
	}
	if got := awaitLine(t, dir, "web", "has ", 1)[0]; got != "777 777 1024" {
		t.Errorf("its limits are %s", got)
	}
	if got := strings.Fields(awaitLine(t, dir, "web", "max ", 1)[0]); !slices.Equal(got[2:4], []string{"4321", "4321"}) {
		t.Errorf("its processes are limited to %s", got)
	}
	awaitLine(t, dir, "web", "again", 1) // it can open its output again

	closeSupervisor(t, s)
	s = newTest(t, dir)
	apply(t, s, sp)
	if got := status(s, "web"); got.PID != st.PID || got.Pending {
		t.Errorf("the next agent has %+v, it was %+v", got, st)
	}
}

func TestServiceOfAnUnknownUserIsNotStarted(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	sp := shell("web", "exec sleep 3600")
	sp.User = "no-such-user"
	apply(t, s, sp)
	st := awaitState(t, s, "web", inventory.ServiceCrashed)
	if st.Exit != "cannot start: there is no user no-such-user on this server" {
		t.Errorf("it says %q", st.Exit)
	}
}

func TestServiceIsStoppedAndReloadedWithItsOwnSignals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := shell("web", `trap 'echo stopping; exit 7' QUIT; trap 'echo reloading' USR1; trap '' TERM HUP; echo up; while :; do sleep 0.02; done`)
	sp.Stop, sp.Reload = "SIGQUIT", "USR1"
	apply(t, s, sp)
	awaitState(t, s, "web", inventory.ServiceRunning)
	awaitLine(t, dir, "web", "up", 1)
	if err := s.Reload(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, dir, "web", "reloading", 1)
	if err := s.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if st := status(s, "web"); st.Exit != "exit status 7" {
		t.Errorf("it ended with %q", st.Exit)
	}
	if err := s.Reload(t.Context(), "web"); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("reload of what does not run: %v", err)
	}
}

func TestServicesStartInOrderAndStopInReverse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	log := filepath.Join(dir, "log")
	script := func(name string) string {
		return fmt.Sprintf(`echo "+%s" >> %[2]s; trap 'echo "-%[1]s" >> %[2]s; exit 0' TERM; while :; do sleep 0.02; done`, name, log)
	}
	ready := make(chan struct{})
	c := shell("c", script("c"))
	c.Ready = func(context.Context) error {
		select {
		case <-ready:
			return nil
		default:
			return errors.New("still loading")
		}
	}
	b, a := shell("b", script("b")), shell("a", script("a"))
	b.After, a.After = []string{"c"}, []string{"b", "c", "gone"}
	apply(t, s, a, b, c)
	await(t, s, "b and a waiting", func() bool {
		return status(s, "b").Note == "waits for c" && status(s, "a").Note == "waits for b, c" && status(s, "c").PID != 0
	})
	if st := status(s, "a"); st.State != inventory.ServiceStarting || st.PID != 0 {
		t.Errorf("a is %+v", st)
	}
	close(ready)
	for _, name := range []string{"a", "b", "c"} {
		if st := awaitState(t, s, name, inventory.ServiceRunning); st.Note != "" || st.Restarts != 0 {
			t.Errorf("%s is %+v", name, st)
		}
	}
	stopped := func(sp Spec) Spec { sp.Want = inventory.WantStopped; return sp }
	apply(t, s, stopped(c), stopped(b), stopped(a))
	await(t, s, "all stopped", func() bool {
		return !slices.ContainsFunc([]string{"a", "b", "c"}, func(n string) bool { return status(s, n).State != inventory.ServiceStopped })
	})
	text, err := os.ReadFile(log)
	if err != nil || strings.Join(strings.Fields(string(text)), " ") != "+c +b +a -a -b -c" {
		t.Errorf("the order was %q, %v", text, err)
	}
	if err := s.Start(t.Context(), "b"); !inventory.Is(err, inventory.Conflict) || !strings.Contains(err.Error(), "starts after c") {
		t.Errorf("start before what comes first: %v", err)
	}
	apply(t, s, a, b, c)
	awaitState(t, s, "a", inventory.ServiceRunning)
	if err := s.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(log)
	if err != nil || strings.Join(strings.Fields(string(text))[6:], " ") != "+c +b +a -a -b -c" {
		t.Errorf("the order was %q, %v", text, err)
	}
}

func TestServicesThatWaitForEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	a, b, c := spec("a", "serve"), spec("b", "serve"), spec("c", "serve")
	a.After, b.After = []string{"b"}, []string{"a"}
	if err := s.Apply([]Spec{a, b, c}); !inventory.Is(err, inventory.Invalid) || !strings.Contains(err.Error(), "a after b after a") {
		t.Errorf("got %v", err)
	}
	awaitState(t, s, "c", inventory.ServiceRunning)
	if got := s.Status(); len(got) != 1 {
		t.Errorf("services are %+v", got)
	}
}

func TestUnwellServiceIsToldAndRestarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sick := filepath.Join(dir, "sick")
	sp := spec("web", "serve")
	sp.Probe = &inventory.Probe{
		Kind: inventory.ProbeCommand, Command: []string{"/bin/sh", "-c", "if [ -e " + sick + " ]; then echo it has a cold; exit 1; fi"},
		Interval: inventory.Duration(time.Second), Fails: 1,
	}
	apply(t, s, sp)
	st := awaitState(t, s, "web", inventory.ServiceRunning)
	if err := os.WriteFile(sick, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, s, "an unwell service", func() bool { return status(s, "web").Health == "exit status 1: it has a cold" })
	if got := status(s, "web"); got.PID != st.PID || got.State != inventory.ServiceRunning {
		t.Errorf("it is %+v", got)
	}
	restarting := *sp.Probe
	restarting.Restart = true
	sp.Probe = &restarting
	apply(t, s, sp)
	now := awaitRestart(t, s, "web", st.PID)
	if now.Restarts == 0 || !strings.HasPrefix(now.Exit, "restarted because it was unwell: exit status 1: it has a cold") {
		t.Errorf("it is %+v", now)
	}
	if err := os.Remove(sick); err != nil {
		t.Fatal(err)
	}
	await(t, s, "a well service", func() bool {
		st := status(s, "web")
		return st.State == inventory.ServiceRunning && st.Health == ""
	})
}

func TestServiceTellsItsVersion(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	sp := spec("web", "serve")
	sp.Health = func(context.Context) (string, error) { return "v1.2.3", nil }
	apply(t, s, sp)
	await(t, s, "a version", func() bool { return status(s, "web").Program == "v1.2.3" })
	if err := s.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if st := status(s, "web"); st.Program != "" {
		t.Errorf("stopped it is %+v", st)
	}
}

func TestCrashIsKeptWithTheLastOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	if _, err := s.Crash("web"); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("got %v", err)
	}
	fixed := filepath.Join(dir, "fixed")
	sp := shell("web", `if [ -e `+fixed+` ]; then exec sleep 3600; fi; i=0; while [ $i -lt 250 ]; do echo line $i; i=$((i+1)); done; exit 9`)
	apply(t, s, sp)
	awaitState(t, s, "web", inventory.ServiceCrashed)
	check := func(s *Supervisor) {
		t.Helper()
		c, err := s.Crash("web")
		if err != nil || c.Exit != "exit status 9" || c.Said == nil || c.Said.Template != "exit status {1}" || c.Restarts != fast.restarts || time.Since(c.Time) > time.Minute ||
			len(c.Lines) != crashLines || c.Lines[0] != "line 50" || c.Lines[199] != "line 249" {
			t.Errorf("the report is %+v, %v", c, err)
		}
	}
	check(s)
	if err := os.WriteFile(fixed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	check(s)
	closeSupervisor(t, s)
	s = newTest(t, dir)
	apply(t, s, sp)
	awaitState(t, s, "web", inventory.ServiceRunning)
	check(s)
}

func TestServiceThatGoesToTheBackgroundIsToldWhy(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	apply(t, s, shell("daemon", "setsid sleep 3600 & exit 0"))
	st := awaitState(t, s, "daemon", inventory.ServiceCrashed)
	if !strings.Contains(st.Exit, "exit status 0; what it had started in the background was ended: have it stay in the foreground") {
		t.Errorf("it says %q", st.Exit)
	}
	for _, p := range processes() {
		if marked(p.pid, ownProcess(t, s, "daemon").mark) {
			t.Errorf("process %d is left", p.pid)
		}
	}
}

func TestServiceThatClosesItsOutputRunsOn(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	apply(t, s, shell("mute", "exec >&- 2>&-; exec sleep 3600"))
	st := awaitState(t, s, "mute", inventory.ServiceRunning)
	if err := s.Restart(t.Context(), "mute"); err != nil {
		t.Fatal(err)
	}
	if now := status(s, "mute"); now.PID == st.PID || now.Restarts != 0 {
		t.Errorf("it is %+v", now)
	}
}

func TestWithoutCgroupsTheServiceRunsAndSaysSo(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	s.groups = cgroups{}
	sp := spec("web", "serve")
	sp.Limits.Memory = 64 << 20
	apply(t, s, sp)
	st := awaitState(t, s, "web", inventory.ServiceRunning)
	if st.Note != "limits of memory and processors are not in force: there are no version 2 cgroups on this server" {
		t.Errorf("it notes %q", st.Note)
	}
}

func TestCgroupIsMadeWithItsLimits(t *testing.T) {
	mount := t.TempDir()
	c := findCgroups([]byte("proc /proc proc rw 0 0\ncgroup2 "+strings.ReplaceAll(mount, " ", `\040`)+" cgroup2 rw 0 0\n"), "agent")
	limits := inventory.ProcessLimits{Memory: 64 << 20, CPU: 1.5}
	put := func(text string, path ...string) {
		t.Helper()
		file := filepath.Join(append([]string{mount}, path...)...)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("cpuset pids\n", "cgroup.controllers")
	if _, err := c.make("web", limits); err == nil || !strings.Contains(err.Error(), "controller is not one of") {
		t.Fatalf("without controllers: %v", err)
	}
	put("cpuset cpu io memory pids\n", "cgroup.controllers")
	for _, dir := range [][]string{nil, {"mailfleet"}, {"mailfleet", "agent"}} {
		put("", append(dir, "cgroup.subtree_control")...)
	}
	for _, name := range []string{"memory.max", "memory.oom.group", "cpu.max"} {
		put("", "mailfleet", "agent", "web", name)
	}
	f, err := c.make("web", limits)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory.max": "67108864", "memory.oom.group": "1", "cpu.max": "150000 100000"} {
		if got, err := os.ReadFile(filepath.Join(f.Name(), name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}

func TestFollowerSeesEveryLineOnce(t *testing.T) {
	t.Parallel()
	o := testOutput(t)
	o.look = time.Millisecond
	write(t, o, "one\ntwo\nthree\nfo")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	var lost int64
	lines := make(chan Line)
	var following sync.WaitGroup
	following.Go(func() {
		defer close(lines)
		err := o.follow(ctx, 2, func(l Line) error {
			select {
			case lines <- l:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("following ended with %v", err)
		}
	})
	until := func(last string) {
		t.Helper()
		for l := range lines {
			lost += l.Skipped
			if got = append(got, l.Text); l.Text == last {
				return
			}
		}
		t.Fatalf("no line %q, only %q", last, got)
	}
	until("three")
	write(t, o, "ur\nfive\n")
	until("five")
	for i := range 40 { // rotated again and again
		write(t, o, fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 90)))
		until(fmt.Sprintf("%d %s", i, strings.Repeat("x", 90)))
		if err := o.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	following.Wait()
	if len(got) != 44 || lost != 0 || !slices.Equal(got[:4], []string{"two", "three", "four", "five"}) {
		t.Errorf("%d lines, %d bytes lost: %q", len(got), lost, got[:4])
	}
}

func TestFollowerThatIsTooSlowIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	o := &output{path: filepath.Join(t.TempDir(), "output.log"), size: 64 << 20, files: 1}
	write(t, o, "begin\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	written := false
	var first Line
	err := o.follow(ctx, 10, func(l Line) error {
		if !written {
			written = true
			write(t, o, strings.Repeat(strings.Repeat("y", 99)+"\n", 3*maxBehind/100)+"end\n")
			return nil
		}
		if first == (Line{}) {
			first = l
		}
		if l.Text == "end" {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || first.Text != strings.Repeat("y", 99) || first.Skipped < 2*maxBehind {
		t.Errorf("the first line after it was %d bytes, %d skipped, %v", len(first.Text), first.Skipped, err)
	}
}

func TestALineOfTenMegabytesComesInPieces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := fast
	p.logSize, p.logCheck = 1<<20, time.Millisecond
	s := newTestWith(t, dir, p)
	apply(t, s, shell("long", "head -c 10485760 /dev/zero | tr '\\0' z; echo; echo done; exec sleep 3600"))
	awaitState(t, s, "long", inventory.ServiceRunning)
	awaitLine(t, dir, "long", "done", 1)
	lines, err := s.Log(t.Context(), "long", 5)
	if err != nil || len(lines) != 5 || lines[4] != "done" {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for _, l := range lines {
		if len(l) > maxLine {
			t.Errorf("a line of %d bytes", len(l))
		}
	}
	await(t, s, "files that are short", func() bool {
		var sum int64
		for n := range 3 {
			if info, err := os.Stat(fmt.Sprintf("%s.%d", ownProcess(t, s, "long").output.path, n)); err == nil {
				sum += info.Size()
			}
		}
		return sum <= 2*(2*p.logSize)+p.logSize
	})
}

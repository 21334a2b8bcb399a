package supervise

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailfleet/inventory"
)

func TestServiceRunsApartAndStopsWhenAsked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("web", "serve")
	sp.Env["COLOUR"] = "green"
	apply(t, s, sp)
	st := awaitState(t, s, "web", inventory.ServiceRunning)
	if st.PID == 0 || st.Restarts != 0 || st.Since.IsZero() {
		t.Fatalf("status is %+v", st)
	}
	p, err := readStat(st.PID)
	if err != nil || p.session != st.PID {
		t.Fatalf("it is in session %d, %v", p.session, err)
	}
	env := strings.Fields(awaitLine(t, dir, "web", "up ", 1)[0])
	if len(env) != 5 || !strings.HasPrefix(env[0], markVariable+"="+s.id+":web:") {
		t.Fatalf("its environment is %q", env)
	}
	if all := strings.Join(env[1:], " "); !strings.Contains(all, "COLOUR=green") || !strings.Contains(all, "PATH=/usr") {
		t.Fatalf("its environment is %q", env)
	}

	if err := s.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if alive(st.PID) {
		t.Fatal("its process is there after the stop")
	}
	if st = status(s, "web"); st.State != inventory.ServiceStopped || st.PID != 0 || st.Exit != "exit status 0" {
		t.Fatalf("status is %+v", st)
	}
	awaitLine(t, dir, "web", "bye", 1)
	if lines, err := s.Log(t.Context(), "web", 1); err != nil || !slices.Equal(lines, []string{"bye"}) {
		t.Fatalf("its log ends %q, %v", lines, err)
	}
	if err := s.Start(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if st = status(s, "web"); st.State != inventory.ServiceRunning || st.Restarts != 0 {
		t.Fatalf("after a start it is %+v", st)
	}
}

func TestServiceThatEndsIsRestarted(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	apply(t, s, spec("web", "serve"))
	first := awaitState(t, s, "web", inventory.ServiceRunning)
	kill(t, first.PID)
	second := awaitRestart(t, s, "web", first.PID)
	if second.Restarts != 1 || second.Exit != "signal: killed" || !second.Since.After(first.Since) {
		t.Fatalf("status is %+v", second)
	}
	if err := s.Restart(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if st := status(s, "web"); st.State != inventory.ServiceRunning || st.PID == second.PID || st.Restarts != 0 {
		t.Fatalf("after a restart on purpose it is %+v", st)
	}
}

func TestServiceThatFailsAgainAndAgainIsCrashed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("bad", "exit")
	sp.Want = inventory.WantStopped
	sp.Ready = func(context.Context) error { return errors.New("never") }
	apply(t, s, sp)
	err := s.Start(t.Context(), "bad")
	if !inventory.Is(err, inventory.Unavailable) || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("start says %v", err)
	}
	st := awaitState(t, s, "bad", inventory.ServiceCrashed)
	if st.Restarts != fast.restarts || st.Exit != "exit status 3" || st.PID != 0 {
		t.Fatalf("status is %+v", st)
	}
	if lines := awaitLine(t, dir, "bad", "failing", fast.restarts+1); len(lines) != fast.restarts+1 {
		t.Fatalf("it ran %d times", len(lines))
	}

	// It waits for an operator, through a restart of the agent too.
	closeSupervisor(t, s)
	s = newTest(t, dir)
	sp.Want = inventory.WantRunning
	apply(t, s, sp)
	if got := status(s, "bad"); !got.Same(st) {
		t.Fatalf("it was %+v, and is %+v", st, got)
	}
	apply(t, s, spec("bad", "serve"))
	if err := s.Start(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	if st := status(s, "bad"); st.State != inventory.ServiceRunning || st.Restarts != 0 {
		t.Fatalf("started by an operator it is %+v", st)
	}
}

func TestServiceThatCannotBeStartedSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	for name, sp := range map[string]Spec{
		"no such file": {Name: "a", Command: []string{"/nowhere/program"}},
		"not found":    {Name: "b", Command: []string{"no-such-program-anywhere"}},
		"permission":   {Name: "c", Command: []string{"/etc/passwd"}},
		"working dir":  {Name: "d", Command: []string{os.Args[0]}, Dir: "/nowhere"},
	} {
		sp.Want = inventory.WantStopped
		apply(t, s, sp)
		if err := s.Start(t.Context(), sp.Name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServiceThatIgnoresTheRequestIsKilledAfterTheGrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("deaf", "stubborn")
	sp.StopGrace = 100 * time.Millisecond
	apply(t, s, sp)
	pid := awaitState(t, s, "deaf", inventory.ServiceRunning).PID
	awaitLine(t, dir, "deaf", "up", 1)
	began := time.Now()
	if err := s.Stop(t.Context(), "deaf"); err != nil {
		t.Fatal(err)
	}
	if st := status(s, "deaf"); alive(pid) || st.Exit != "signal: killed" || time.Since(began) < sp.StopGrace {
		t.Fatalf("alive: %v; %+v after %v", alive(pid), st, time.Since(began))
	}
}

func TestStopReachesEveryProcessOfTheService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("forker", "fork stubborn")
	sp.StopGrace = 100 * time.Millisecond
	apply(t, s, sp)
	awaitState(t, s, "forker", inventory.ServiceRunning)
	pids := children(t, dir, "forker", 3)
	awaitLine(t, dir, "forker", "up", 4)
	if err := s.Stop(t.Context(), "forker"); err != nil {
		t.Fatal(err)
	}
	for i, pid := range pids {
		if alive(pid) {
			t.Errorf("child %d is there after the stop", i)
		}
	}
}

func TestProcessesThatOutliveTheirServiceAreGoneBeforeItsRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	apply(t, s, spec("forker", "fork serve"))
	first := awaitState(t, s, "forker", inventory.ServiceRunning)
	pids := children(t, dir, "forker", 3)
	awaitLine(t, dir, "forker", "up", 4)
	kill(t, first.PID)
	awaitRestart(t, s, "forker", first.PID)
	for i, pid := range pids {
		if alive(pid) {
			t.Errorf("child %d is there after the restart", i)
		}
	}
}

func TestReadyServiceIsRunningOnlyThen(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	sp := spec("slow", "serve")
	var ready atomic.Bool
	var asked atomic.Int32
	sp.Ready = func(context.Context) error {
		if asked.Add(1) == 3 {
			ready.Store(true)
		}
		if !ready.Load() {
			return errors.New("still loading")
		}
		return nil
	}
	apply(t, s, sp)
	if err := s.Start(t.Context(), "slow"); err != nil {
		t.Fatal(err)
	}
	if st := status(s, "slow"); st.State != inventory.ServiceRunning || !ready.Load() {
		t.Fatalf("ready: %v; %+v", ready.Load(), st)
	}
}

func TestServiceThatDoesNotGetReadyFailedToStart(t *testing.T) {
	t.Parallel()
	impatient := fast
	impatient.ready = 300 * time.Millisecond
	s := newTestWith(t, t.TempDir(), impatient)
	sp := spec("slow", "serve")
	sp.Ready = func(context.Context) error { return errors.New("still loading") }
	apply(t, s, sp)
	var pid int
	await(t, s, "process", func() bool { pid = status(s, "slow").PID; return pid != 0 })
	err := s.Start(t.Context(), "slow")
	if err == nil || !strings.Contains(err.Error(), "not ready after 300ms: still loading") {
		t.Fatalf("start says %v", err)
	}
	await(t, s, "restart", func() bool { return status(s, "slow").Restarts > 0 })
	if alive(pid) {
		t.Fatal("the process that did not get ready is still there")
	}
}

func TestStopAnswersThoseWhoWaitForTheStart(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	sp := spec("slow", "serve")
	asked := make(chan struct{}, 1)
	sp.Ready = func(ctx context.Context) error {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return ctx.Err()
	}
	sp.Want = inventory.WantStopped
	apply(t, s, sp)
	started := make(chan error, 1)
	go func() { started <- s.Start(t.Context(), "slow") }()
	<-asked
	if err := s.Stop(t.Context(), "slow"); err != nil {
		t.Fatal(err)
	}
	if err := <-started; !inventory.Is(err, inventory.Conflict) {
		t.Fatalf("start says %v", err)
	}
}

func TestOrdersOutlastThePatienceOfTheirCaller(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("deaf", "stubborn")
	sp.StopGrace = 200 * time.Millisecond
	apply(t, s, sp)
	awaitState(t, s, "deaf", inventory.ServiceRunning)
	awaitLine(t, dir, "deaf", "up", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx, "deaf"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("stop says %v", err)
	}
	awaitState(t, s, "deaf", inventory.ServiceStopped)
}

func TestApplyStartsAndStopsAsWanted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("web", "serve")
	apply(t, s, sp)
	pid := awaitState(t, s, "web", inventory.ServiceRunning).PID
	apply(t, s, sp)
	sp.Want = inventory.WantStopped
	apply(t, s, sp)
	awaitState(t, s, "web", inventory.ServiceStopped)
	if alive(pid) {
		t.Fatal("its process is there")
	}
	sp.Want = inventory.WantRunning
	apply(t, s, sp)
	pid = awaitState(t, s, "web", inventory.ServiceRunning).PID

	apply(t, s)
	await(t, s, "removal", func() bool { return len(s.Status()) == 0 })
	if alive(pid) {
		t.Fatal("the process of a removed service is there")
	}
	if _, err := s.Log(t.Context(), "web", 10); !inventory.Is(err, inventory.NotFound) {
		t.Fatalf("its log: %v", err)
	}
	if err := s.Start(t.Context(), "web"); !inventory.Is(err, inventory.NotFound) {
		t.Fatalf("its start: %v", err)
	}
	if left, _ := os.ReadDir(s.dir); len(left) != 0 {
		t.Fatalf("files left: %v", left)
	}
}

func TestChangedSpecIsInForceFromTheNextStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("web", "serve")
	apply(t, s, sp)
	awaitLine(t, dir, "web", "up ", 1)
	st := awaitState(t, s, "web", inventory.ServiceRunning)
	changed := spec("web", "serve")
	changed.Env["COLOUR"] = "red"
	apply(t, s, changed)
	other := spec("other", "serve")
	apply(t, s, changed, other) // when the other runs, the change was looked at
	awaitState(t, s, "other", inventory.ServiceRunning)
	st.Pending = true
	if got := status(s, "web"); got != st {
		t.Fatalf("it was %+v, and is %+v", st, got)
	}
	if err := s.Restart(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if env := awaitLine(t, dir, "web", "up ", 2)[1]; !strings.Contains(env, "COLOUR=red") {
		t.Fatalf("its environment is %s", env)
	}
}

func TestApplyRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	s := newTest(t, t.TempDir())
	good := spec("good", "serve")
	apply(t, s, good)
	pid := awaitState(t, s, "good", inventory.ServiceRunning).PID
	for name, bad := range map[string]Spec{
		"a path as name":   {Name: "../good", Command: []string{"true"}},
		"no command":       {Name: "good"},
		"relative program": {Name: "bad", Command: []string{"bin/true"}},
		"NUL in argument":  {Name: "bad", Command: []string{"true", "a\x00b"}},
		"bad variable":     {Name: "bad", Command: []string{"true"}, Env: map[string]string{"A=B": ""}},
		"the agent's own":  {Name: "bad", Command: []string{"true"}, Env: map[string]string{markVariable: "forged"}},
		"NUL in variable":  {Name: "bad", Command: []string{"true"}, Env: map[string]string{"A": "\x00"}},
		"twice":            good,
	} {
		specs := []Spec{bad}
		if bad.Name != "good" || bad.Command != nil {
			specs = append(specs, good)
		}
		if err := s.Apply(specs); !inventory.Is(err, inventory.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.Status(); len(got) != 1 || got[0].PID != pid || got[0].State != inventory.ServiceRunning {
			t.Errorf("%s: services are %+v", name, got)
		}
	}
}

func TestCloseLeavesServicesRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	apply(t, s, spec("web", "serve"))
	st := awaitState(t, s, "web", inventory.ServiceRunning)
	impatient := fast
	impatient.lock = 50 * time.Millisecond
	if _, err := newSupervisor(testOptions(dir), impatient); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Fatalf("a second supervisor over the directory: %v", err)
	}
	closeSupervisor(t, s)
	if !alive(st.PID) {
		t.Fatal("the service ended with its supervisor")
	}
	if err := s.Stop(t.Context(), "web"); !inventory.Is(err, inventory.Unavailable) {
		t.Fatalf("stop after close: %v", err)
	}
	if err := s.Apply(nil); err == nil {
		t.Fatal("apply after close")
	}

	s = newTest(t, dir)
	apply(t, s, spec("web", "serve"))
	if got := status(s, "web"); got != st {
		t.Fatalf("it was %+v, and is %+v", st, got)
	}
}

func TestOutputStaysShortWhileTheServiceWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	const n = 10_000
	apply(t, s, spec("chatty", "fill "+strconv.Itoa(n)))
	pid := awaitState(t, s, "chatty", inventory.ServiceRunning).PID
	awaitLine(t, dir, "chatty", "up ", 1)
	var total int64
	await(t, s, "short output", func() bool {
		files, err := filepath.Glob(filepath.Join(s.dir, "chatty", "output.log*"))
		if err != nil {
			t.Fatal(err)
		}
		total = 0
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				total += info.Size()
			}
		}
		return total <= fast.logSize*int64(2*fast.logFiles+2)
	})
	awaitLine(t, dir, "chatty", "line ", 100) // of the older files
	if err := s.Stop(t.Context(), "chatty"); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, dir, "chatty", "bye", 1) // the process wrote on after the rotation
	if alive(pid) {
		t.Fatal("its process is there")
	}
}

package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// killedAgent is another process with a Supervisor, to be killed.
type killedAgent struct {
	cmd    *exec.Cmd
	status *json.Decoder
}

// startAgent starts an agent over dir with services given as "name=role".
func startAgent(t *testing.T, dir string, services ...string) *killedAgent {
	t.Helper()
	a := &killedAgent{cmd: exec.Command(os.Args[0])}
	a.cmd.Env = append(os.Environ(), roleVariable+"=agent "+strings.Join(append([]string{dir}, services...), ","))
	a.cmd.Stderr = os.Stderr
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.status = json.NewDecoder(bufio.NewReader(out))
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.kill()
		if id, err := identity(filepath.Join(dir, "id")); err == nil { // a test that failed leaves services
			killMarked(markVariable + "=" + id)
		}
	})
	return a
}

func killMarked(mark string) {
	for _, p := range processes() {
		if marked(p.pid, mark) {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
}

// await reads the agent's statuses until one is as wanted.
func (a *killedAgent) await(t *testing.T, holds func(inventory.ServiceStatus) bool) inventory.ServiceStatus {
	t.Helper()
	timer := time.AfterFunc(time.Minute, a.kill)
	defer timer.Stop()
	for {
		var reports []api.ServiceReport
		if err := a.status.Decode(&reports); err != nil {
			t.Fatalf("the agent's status: %v", err)
		}
		if len(reports) == 1 && holds(reports[0].ServiceStatus) {
			return reports[0].ServiceStatus
		}
	}
}

func (a *killedAgent) running(t *testing.T) inventory.ServiceStatus {
	t.Helper()
	return a.await(t, func(st inventory.ServiceStatus) bool { return st.State == inventory.ServiceRunning })
}

// kill is kill -9.
func (a *killedAgent) kill() {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

func TestKilledAgentsServiceIsAdopted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := startAgent(t, dir, "web=serve")
	first := a.running(t)
	awaitLine(t, dir, "web", "up ", 1)
	kill(t, first.PID)
	before := a.await(t, func(st inventory.ServiceStatus) bool {
		return st.State == inventory.ServiceRunning && st.Restarts == 1
	})
	a.kill()
	awaitLine(t, dir, "web", "up ", 2)
	if !alive(before.PID) {
		t.Fatal("the service ended with its agent")
	}

	s := newTest(t, dir)
	apply(t, s, spec("web", "serve"))
	if got := status(s, "web"); !got.Same(before) {
		t.Fatalf("it was %+v, and is %+v", before, got)
	}

	// Its death is noticed, though nobody here is its parent.
	kill(t, before.PID)
	after := awaitRestart(t, s, "web", before.PID)
	if after.Restarts != 2 || after.Exit != "exit status unknown" {
		t.Fatalf("status is %+v", after)
	}
	if lines := awaitLine(t, dir, "web", "up ", 3); len(lines) != 3 {
		t.Fatalf("it was started %d times", len(lines))
	}
}

func TestAdoptedServiceStops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := startAgent(t, dir, "web=fork serve")
	before := a.running(t)
	a.kill()
	pids := append(children(t, dir, "web", 3), before.PID)
	awaitLine(t, dir, "web", "up ", 4)
	s := newTest(t, dir)
	apply(t, s, spec("web", "fork serve"))
	if err := s.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is there after the stop", pid)
		}
	}
	awaitLine(t, dir, "web", "bye", 4)
}

func TestServiceThatDiedWithItsAgentIsRestarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := startAgent(t, dir, "web=fork serve")
	before := a.running(t)
	a.kill()
	old := children(t, dir, "web", 3)
	kill(t, before.PID)
	s := newTest(t, dir)
	apply(t, s, spec("web", "fork serve"))
	after := awaitRestart(t, s, "web", before.PID)
	if after.Restarts != 1 || after.Exit != "exit status unknown" {
		t.Fatalf("status is %+v", after)
	}
	for _, pid := range old {
		if alive(pid) {
			t.Errorf("process %d of the earlier life is there", pid)
		}
	}
}

func TestServiceNotWantedAnyMoreIsStoppedByTheNextAgent(t *testing.T) {
	t.Parallel()
	for name, specs := range map[string][]Spec{
		"removed": nil,
		"stopped": {{Name: "web", Command: []string{"true"}, Want: inventory.WantStopped}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := startAgent(t, dir, "web=serve")
			pid := a.running(t).PID
			a.kill()
			s := newTest(t, dir)
			apply(t, s, specs...)
			await(t, s, "end", func() bool { return !alive(pid) })
			await(t, s, "rest", func() bool {
				st := s.Status()
				return len(st) == len(specs) && (len(st) == 0 || st[0].State == inventory.ServiceStopped)
			})
		})
	}
}

func TestAgentKilledAroundTheForkNeverDoublesTheService(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(t *testing.T, path string, r record){
		"after the fork, before the pid was written": func(t *testing.T, path string, r record) {
			r.Status.State, r.Status.PID, r.Start = inventory.ServiceStarting, 0, 0
			if err := r.write(path); err != nil {
				t.Fatal(err)
			}
		},
		"the disk refused the record": func(t *testing.T, path string, _ record) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"the record is damaged": func(t *testing.T, path string, _ record) {
			if err := os.WriteFile(path, []byte(`{"boot":`), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := startAgent(t, dir, "web=serve")
			before := a.running(t)
			a.kill()
			path := filepath.Join(dir, "services", "web", "record.json")
			r, ok, err := readRecord(path, "this-boot")
			if err != nil || !ok || r.Status.PID != before.PID {
				t.Fatalf("record is %+v, %v, %v", r, ok, err)
			}
			forget(t, path, r)

			s := newTest(t, dir)
			apply(t, s, spec("web", "serve"))
			if st := awaitState(t, s, "web", inventory.ServiceRunning); st.PID != before.PID {
				t.Fatalf("it was process %d, and is %d", before.PID, st.PID)
			}
			if lines := awaitLine(t, dir, "web", "up ", 1); len(lines) != 1 {
				t.Fatalf("it was started %d times", len(lines))
			}
		})
	}
}

func TestAgentKilledBeforeTheForkStartsTheServiceOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "services", "web", "record.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	r := record{Boot: "this-boot", Nonce: "N", Status: inventory.ServiceStatus{State: inventory.ServiceStarting}}
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	s := newTest(t, dir)
	apply(t, s, spec("web", "serve"))
	awaitState(t, s, "web", inventory.ServiceRunning)
	if lines := awaitLine(t, dir, "web", "up ", 1); len(lines) != 1 {
		t.Fatalf("it was started %d times", len(lines))
	}
}

func TestAnotherProcessWithThePidIsLeftAlone(t *testing.T) {
	t.Parallel()
	other := bystander(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "services", "web", "record.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	r := record{
		Boot: "this-boot", Nonce: "N", Start: other.start - 1,
		Status: inventory.ServiceStatus{State: inventory.ServiceRunning, PID: other.pid},
	}
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	s := newTest(t, dir)
	apply(t, s, spec("web", "serve"))
	if st := awaitRestart(t, s, "web", other.pid); st.Exit != "exit status unknown" {
		t.Fatalf("status is %+v", st)
	}
	if err := s.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if !alive(other.pid) {
		t.Fatal("a process that only has the pid was ended")
	}
}

func TestRebootForgetsWhatWas(t *testing.T) {
	t.Parallel()
	other := bystander(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "services", "web", "record.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	r := record{ // pid and start time agree: only the boot does not
		Boot: "an-earlier-boot", Nonce: "N", Start: other.start,
		Status: inventory.ServiceStatus{State: inventory.ServiceRunning, PID: other.pid, Restarts: 4},
	}
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	s := newTest(t, dir)
	apply(t, s, spec("web", "serve"))
	if st := awaitState(t, s, "web", inventory.ServiceRunning); st.PID == other.pid || st.Restarts != 0 || st.Exit != "" {
		t.Fatalf("status is %+v", st)
	}
	if !alive(other.pid) {
		t.Fatal("a process of this boot was taken for one of an earlier")
	}
}

func TestAgentsOnOneMachineLeaveEachOthersServicesAlone(t *testing.T) {
	t.Parallel()
	dirTwo := t.TempDir()
	one, two := newTest(t, t.TempDir()), newTest(t, dirTwo)
	apply(t, one, spec("web", "fork serve"))
	apply(t, two, spec("web", "fork serve"))
	first := awaitState(t, one, "web", inventory.ServiceRunning)
	second := awaitState(t, two, "web", inventory.ServiceRunning)
	pids := append(children(t, dirTwo, "web", 3), second.PID)
	awaitLine(t, dirTwo, "web", "up ", 4)
	if err := one.Stop(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if alive(first.PID) {
		t.Error("its own service is there")
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Errorf("process %d of the other agent is gone", pid)
		}
	}
	if got := status(two, "web"); got != second {
		t.Errorf("it was %+v, and is %+v", second, got)
	}
}

func TestServiceStillStartingIsAskedByTheNextAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTest(t, dir)
	sp := spec("slow", "serve")
	sp.Ready = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	apply(t, s, sp)
	var pid int
	await(t, s, "process", func() bool { pid = status(s, "slow").PID; return pid != 0 })
	closeSupervisor(t, s)

	s = newTest(t, dir)
	sp.Ready = func(context.Context) error { return nil }
	apply(t, s, sp)
	if st := awaitState(t, s, "slow", inventory.ServiceRunning); st.PID != pid || st.Restarts != 0 {
		t.Fatalf("it was process %d, and is %+v", pid, st)
	}
}

// Agents are killed at moments around the fork, one after the other; what they
// leave is one process or none, and the next makes it one.
func TestAgentKilledAtAnyMomentNeverDoublesTheService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	record := filepath.Join(dir, "services", "web", "record.json")
	for round := range 5 {
		a := startAgent(t, dir, "web=serve")
		for began := time.Now(); ; { // until it is about to fork, and a little longer each round
			if _, err := os.Stat(record); err == nil {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatal("the agent does not begin")
			}
		}
		for began := time.Now(); time.Since(began) < time.Duration(round)*2*time.Millisecond; {
		}
		a.kill()

		s := newTest(t, dir)
		apply(t, s, spec("web", "serve"))
		st := awaitState(t, s, "web", inventory.ServiceRunning)
		svc, err := s.service("web")
		if err != nil {
			t.Fatal(err)
		}
		var pids []int
		for _, p := range processes() {
			if marked(p.pid, svc.(*service).mark) {
				pids = append(pids, p.pid)
			}
		}
		if !slices.Equal(pids, []int{st.PID}) {
			t.Fatalf("round %d: processes %v, the service is %+v", round, pids, st)
		}
		if err := s.Stop(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
		closeSupervisor(t, s)
	}
}

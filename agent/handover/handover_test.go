package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailfleet/inventory"
)

// The tests run real processes: this test binary under other names, which stands
// for builds of an agent; the name says how a build behaves.
const asAgent = "HANDOVER_TEST_AGENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asAgent); dir != "" {
		os.Exit(agent(dir))
	}
	os.Exit(m.Run())
}

// upgrade is what an agent of a test is told to do once.
type upgrade struct {
	Order inventory.ID
	To    Program
	Limit time.Duration
}

// agent is a build: it notes what it is in the log of its directory.
func agent(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	h, err := Begin(dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	h.leave = 3 * time.Second // the race detector holds every exit up for one
	exe, _ := os.Executable()
	name := filepath.Base(exe)
	if h.OnTrial() {
		note(dir, "trial", name)
		return onTrial(h, name)
	}
	note(dir, "runs", name)
	if name == "frail" {
		return 1
	}
	text, err := os.ReadFile(filepath.Join(dir, "upgrade"))
	if err == nil {
		var u upgrade
		if err = errors.Join(json.Unmarshal(text, &u), os.Remove(filepath.Join(dir, "upgrade")), h.Prepare(u.Order, u.To, name)); err == nil {
			err = h.Carry(ctx, u.Limit)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		note(dir, "left", name)
		return 0
	}
	if h.Stand() != nil {
		return 1
	}
	note(dir, "stands", name)
	<-ctx.Done()
	return 0
}

func onTrial(h *Handover, name string) int {
	switch name {
	case "crash":
		fmt.Fprintln(os.Stderr, "there is no more")
		return 3
	case "hang": // as one that cannot reach its controller, too: it never stands
		for {
			_ = syscall.Pause()
		}
	case "mute":
		_ = h.up.Close()
		for {
			_ = syscall.Pause()
		}
	case "stay":
		_ = h.Stand()
		for {
			_ = syscall.Pause()
		}
	case "late":
		_ = h.Stand()
		return 4
	}
	if h.Stand() != nil {
		return 1
	}
	return 0
}

func note(dir, what, name string) {
	f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = fmt.Fprintf(f, "%s %s %d\n", what, name, os.Getpid())
		_ = f.Close()
	}
}

// starter starts the installed agent again and again, as an init does.
type starter struct {
	t         *testing.T
	dir       string
	installed string
	said      *said

	mu  sync.Mutex
	cmd *exec.Cmd
	off bool
}

// said is what all agents wrote.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func newStarter(t *testing.T) *starter {
	t.Helper()
	s := &starter{t: t, dir: t.TempDir(), said: &said{}}
	s.installed = s.build("installed").Path
	return s
}

// build makes a build of that name.
func (s *starter) build(name string) Program {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, name), text, 0o700)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return Program{Path: filepath.Join(s.dir, name), Number: name, SHA256: "sum-of-" + name}
}

// run starts the installed agent until the test ends.
func (s *starter) run() {
	done := make(chan struct{})
	s.t.Cleanup(func() {
		s.mu.Lock()
		s.off = true
		_ = s.cmd.Process.Kill()
		s.mu.Unlock()
		<-done
		if s.t.Failed() {
			s.t.Logf("log:\n%s\nsaid:\n%s", s.log(), s.said.text.String())
		}
	})
	s.start()
	go func() {
		defer close(done)
		for {
			_ = s.cmd.Wait()
			s.mu.Lock()
			off := s.off
			s.mu.Unlock()
			if off {
				return
			}
			s.start()
		}
	}()
}

func (s *starter) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = exec.Command(s.installed)
	s.cmd.Env = append(os.Environ(), asAgent+"="+s.dir)
	s.cmd.Stderr = s.said
	if err := s.cmd.Start(); err != nil {
		s.t.Error(err)
		s.off = true
	}
}

func (s *starter) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

func (s *starter) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}

// until waits for a line of the log, and returns the last process it names.
func (s *starter) until(line string, times int) (pid int) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		text := s.log()
		if strings.Count(text, line+" ") >= times {
			_, _ = fmt.Sscan(text[strings.LastIndex(text, line+" ")+len(line)+1:], &pid)
			return pid
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("there is no %q, %d times, in the log", line, times)
		}
	}
}

// upgrade has the next agent that starts upgrade to a build.
func (s *starter) upgrade(to Program, limit time.Duration) inventory.ID {
	s.t.Helper()
	u := upgrade{Order: inventory.NewID(), To: to, Limit: limit}
	text, err := json.Marshal(u)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, "upgrade"), text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Order
}

func (s *starter) verdict(order inventory.ID) Verdict {
	s.t.Helper()
	h := &Handover{dir: s.dir, log: slog.New(slog.DiscardHandler)}
	if err := h.read(); err != nil {
		s.t.Fatal(err)
	}
	v, ok := h.Verdict(order)
	if !ok {
		s.t.Fatalf("there is no verdict: %+v", h.book)
	}
	return v
}

func TestABuildThatStandsTakesTheProcessOver(t *testing.T) {
	s := newStarter(t)
	order := s.upgrade(s.build("good"), time.Minute)
	s.run()
	if pid := s.until("stands good", 1); pid != s.pid() {
		t.Errorf("it stands in process %d, not in %d that was started", pid, s.pid())
	}
	if v := s.verdict(order); !v.Up || v.Message != "upgraded from installed to good" {
		t.Errorf("%+v", v)
	}
	if err := syscall.Kill(s.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.until("stands good", 2) // the starter starts the installed one, which becomes it
	// And on from there, and back.
	second := s.upgrade(s.build("better"), time.Minute)
	if err := syscall.Kill(s.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.until("stands better", 1)
	if v := s.verdict(second); !v.Up || v.Message != "upgraded from good to better" {
		t.Errorf("%+v", v)
	}
	third := s.upgrade(s.build("crash"), time.Minute)
	if err := syscall.Kill(s.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.until("stands better", 2)
	if v := s.verdict(third); v.Up || !strings.HasPrefix(v.Message, "returned to better because crash ended after") {
		t.Errorf("%+v", v)
	}
}

func TestTheOldComesBackWhenTheNewDoesNotStand(t *testing.T) {
	for name, c := range map[string]struct {
		limit time.Duration
		want  string
	}{
		"crash": {time.Minute, "with exit status 3: there is no more"},
		"hang":  {500 * time.Millisecond, "did not reach the controller within 500ms"},
		"mute":  {500 * time.Millisecond, "gave no sign of life within 500ms"},
		"stay":  {time.Minute, "came up and did not let go within 3s"},
		"late":  {time.Minute, "with exit status 4"},
		"text":  {time.Minute, "cannot be started"},
		"none":  {time.Minute, "cannot be started"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStarter(t)
			to := s.build(name)
			switch name {
			case "text":
				if err := os.WriteFile(to.Path, []byte("no program"), 0o700); err != nil {
					t.Fatal(err)
				}
			case "none":
				to.Path += "-at-all"
			}
			order := s.upgrade(to, c.limit)
			s.run()
			if pid := s.until("stands installed", 1); pid != s.pid() {
				t.Errorf("the old one stands in process %d, not in %d", pid, s.pid())
			}
			v := s.verdict(order)
			if v.Up || !strings.HasPrefix(v.Message, "returned to installed because "+name) || !strings.Contains(v.Message, c.want) {
				t.Errorf("%+v", v)
			}
			if log := s.log(); strings.Contains(log, "runs "+name) {
				t.Errorf("it was run for good:\n%s", log)
			}
			if _, pid, ok := strings.Cut(s.log(), "trial "+name+" "); ok {
				gone(t, pid)
			}
		})
	}
}

// gone waits until the process whose number begins text is no more.
func gone(t *testing.T, text string) {
	t.Helper()
	var pid int
	if _, err := fmt.Sscan(text, &pid); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); syscall.Kill(pid, 0) == nil; <-tick.C {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the build on trial, process %d, is still there", pid)
		}
	}
}

func TestAnAgentThatIsKilledWithABuildOnTrialComesBackAsItWas(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		want   string
	}{
		"killed":       {syscall.SIGKILL, "because the agent was ended while hang was on trial"},
		"told to stop": {syscall.SIGTERM, "because the agent was told to stop while hang was on trial"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStarter(t)
			order := s.upgrade(s.build("hang"), time.Minute)
			s.run()
			pid := s.until("trial hang", 1)
			if err := syscall.Kill(s.pid(), c.signal); err != nil {
				t.Fatal(err)
			}
			s.until("stands installed", 1)
			gone(t, fmt.Sprint(pid))
			if v := s.verdict(order); v.Up || !strings.Contains(v.Message, c.want) {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestABuildThatNeverStandsIsGivenUp(t *testing.T) {
	s := newStarter(t)
	s.upgrade(s.build("frail"), time.Minute)
	s.run()
	s.until("stands installed", 1)
	if n := strings.Count(s.log(), "runs frail "); n != 1+mostStarts {
		t.Errorf("it was run %d times", n)
	}
}

func TestAnAgentInstalledByHandGoesBeforeAnUpgrade(t *testing.T) {
	s := newStarter(t)
	s.upgrade(s.build("good"), time.Minute)
	s.run()
	s.until("stands good", 1)
	if err := os.Remove(s.installed); err != nil { // by rename, as packages do
		t.Fatal(err)
	}
	s.build("installed")
	if err := syscall.Kill(s.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.until("stands installed", 1)
}

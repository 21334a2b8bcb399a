package dev

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this program be a machine: it must be alone in its process.
func TestMain(m *testing.M) {
	socket := os.Getenv("DEV_TEST_MACHINE")
	if socket == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := RunMachine(ctx, MachineOptions{Socket: socket, Agent: []string{"/bin/sh", os.Getenv("DEV_TEST_AGENT")}, Log: slog.New(slog.DiscardHandler)})
	stop()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// box is a machine being tested. Its agent is a shell script in dir.
type box struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	done chan error
}

// The agent starts a service in a session of its own and one that its parent
// forgets, and neither ends when it is told to.
const agentScript = `cd "$(dirname "$0")"
setsid sh -c 'trap "" TERM; echo $$ > service; while :; do sleep 60; done' &
(setsid sh -c 'trap "" TERM; echo $$ > orphan; while :; do sleep 60; done' &)
trap 'echo $$ >> ended; exit 0' TERM
echo $$ > agent
echo $$ >> started
while :; do sleep 0.05; done
`

func newBox(t *testing.T, script string) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir(), done: make(chan error, 1)}
	agent := filepath.Join(b.dir, "agent.sh")
	if err := os.WriteFile(agent, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	b.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	b.cmd.Env = append(os.Environ(), "DEV_TEST_MACHINE="+b.socket(), "DEV_TEST_AGENT="+agent)
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.done <- b.cmd.Wait(); close(b.done) }()
	t.Cleanup(func() {
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-b.done:
			if err != nil {
				t.Errorf("the machine ended with %v", err)
			}
		case <-time.After(time.Minute):
			_ = b.cmd.Process.Kill()
			t.Error("the machine did not stop")
		}
		for _, name := range []string{"agent", "service", "orphan"} {
			if pid := b.pid(name); pid > 0 && alive(pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				t.Errorf("its %s outlived the machine", name)
			}
		}
	})
	return b
}

func (b *box) socket() string { return filepath.Join(b.dir, "s") }

func (b *box) say(word string) string {
	b.t.Helper()
	var answer []byte
	b.soon("the machine answers", func() bool {
		c, err := new(net.Dialer).DialContext(b.t.Context(), "unix", b.socket())
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, word+"\n"); err != nil {
			return false
		}
		answer, err = io.ReadAll(c)
		return err == nil
	})
	return strings.TrimSpace(string(answer))
}

func (b *box) pid(name string) int {
	text, _ := os.ReadFile(filepath.Join(b.dir, name))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

func (b *box) count(name string) int {
	text, _ := os.ReadFile(filepath.Join(b.dir, name))
	return strings.Count(string(text), "\n")
}

func (b *box) soon(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// running waits until the n-th agent and what it starts run.
func (b *box) running(n int) (pids []int) {
	b.t.Helper()
	b.soon("the agent and its services run", func() bool {
		pids = nil
		for _, name := range []string{"agent", "service", "orphan"} {
			if pid := b.pid(name); pid > 0 && alive(pid) {
				pids = append(pids, pid)
			}
		}
		return len(pids) == 3 && b.count("started") == n
	})
	return pids
}

func (b *box) dead(pids []int) {
	b.t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			b.t.Errorf("process %d is alive", pid)
		}
	}
}

// alive tells whether a process is there and has not ended.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func TestAMachineThatLosesItsPowerHasNothingRunning(t *testing.T) {
	t.Parallel()
	b := newBox(t, agentScript)
	first := b.running(1)
	boot := b.say("boot")
	if b.say("status") != "ok on" || len(boot) < 30 {
		t.Errorf("status %q, boot id %q", b.say("status"), boot)
	}
	if got := b.say("off"); got != "ok" {
		t.Fatal(got)
	}
	b.dead(first)
	if b.say("status") != "ok off" || b.count("ended") != 0 {
		t.Error("it was let end as if it had time")
	}
	if got := b.say("off"); got != "ok" {
		t.Errorf("off again: %q", got)
	}
	if got := b.say("reboot"); got != "error the machine is off" {
		t.Errorf("rebooted while off: %q", got)
	}
	b.say("on")
	second := b.running(2)
	if again := b.say("boot"); again == boot {
		t.Error("it came back with the same boot id")
	}
	if b.say("on"); b.say("cycle") != "ok" { // on changes nothing
		t.Error("not cycled")
	}
	b.dead(second)
	b.running(3)
}

func TestAMachineThatRebootsLetsItsAgentEnd(t *testing.T) {
	t.Parallel()
	b := newBox(t, agentScript)
	first := b.running(1)
	boot := b.say("boot")
	if got := b.say("reboot"); got != "ok" {
		t.Fatal(got)
	}
	b.running(2)
	b.dead(first)
	if b.count("ended") != 1 || b.say("boot") == boot {
		t.Errorf("%d agents were let end; boot id %s, then %s", b.count("ended"), boot, b.say("boot"))
	}
	b.say("shutdown")
	b.soon("it is off", func() bool { return b.say("status") == "ok off" })
	if b.count("ended") != 2 || b.count("started") != 2 {
		t.Error("it was not shut down gently, or came back")
	}
}

func TestTakingThePowerDoesNotWaitForAShutdown(t *testing.T) {
	t.Parallel()
	b := newBox(t, strings.Replace(agentScript, "trap 'echo", "trap '' TERM; : 'echo", 1)) // it never ends by itself
	first := b.running(1)
	b.say("shutdown")
	began := time.Now()
	b.say("off")
	b.dead(first)
	if took := time.Since(began); took > 30*time.Second { // a shutdown may take 40
		t.Errorf("it took %s", took)
	}
}

func TestADeadAgentIsStartedAgainInTheSameBoot(t *testing.T) {
	t.Parallel()
	b := newBox(t, agentScript)
	pids := b.running(1)
	b.say("settled")
	boot := b.say("boot")
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.soon("another agent", func() bool { return b.count("started") == 2 })
	if b.say("boot") != boot {
		t.Error("another boot id, without a reboot")
	}
	for _, pid := range pids[1:] { // services outlive an agent that is killed
		if !alive(pid) {
			t.Errorf("service %d died with the agent", pid)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestAnAgentThatDiesBeforeTheFleetIsReadyEndsTheMachine(t *testing.T) {
	t.Parallel()
	b := newBox(t, "exit 3")
	select {
	case err := <-b.done:
		if err == nil {
			t.Error("it ended well")
		}
	case <-time.After(time.Minute):
		t.Fatal("the machine goes on")
	}
}

func TestAMachineKnowsItsWords(t *testing.T) {
	t.Parallel()
	b := newBox(t, agentScript)
	if got := b.say("explode"); got != `error the machine does not know "explode"` {
		t.Error(got)
	}
}

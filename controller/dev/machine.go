package dev

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mailfleet/inventory"
)

const (
	// shutdownGrace is how long the agent and its services may take to end when
	// the machine shuts down; restGrace is for what is left after that.
	shutdownGrace = 40 * time.Second
	restGrace     = 2 * time.Second
	wordLimit     = 10 * time.Second // to say a word, and to answer it
)

// MachineOptions say which machine to be.
type MachineOptions struct {
	Socket string   // it is asked through; the words are those of agent/power
	Agent  []string // program and arguments
	Log    *slog.Logger
}

// ErrAgentEnded says that the agent ended before the fleet was ready. Why is the
// last line it wrote.
var ErrAgentEnded = errors.New("the agent ended before the fleet was ready")

// RunMachine is the hardware and the init of one server of the dev fleet, until
// ctx ends: it starts the agent and starts it again when it dies; everything
// the agent starts stays below this process, whosever child it becomes, so
// that switching the power off ends it all. It runs alone in its process, and
// reaps all that process's children.
func RunMachine(ctx context.Context, o MachineOptions) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphans: %w", err)
	}
	program, err := exec.LookPath(o.Agent[0])
	if err != nil {
		return err
	}
	_ = os.Remove(o.Socket) // of a machine that was killed
	l, err := new(net.ListenConfig).Listen(ctx, "unix", o.Socket)
	if err != nil {
		return fmt.Errorf("listen as a machine: %w", err)
	}
	m := &machine{MachineOptions: o, program: program, broken: make(chan error, 1), gone: closed(), fork: newFork()}
	defer close(m.fork)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	m.turn.Lock()
	err = m.start()
	m.turn.Unlock()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	m.wg.Go(func() { m.serve(ctx, l) })
	reaping, reaped := make(chan struct{}), make(chan struct{})
	go func() { defer close(reaped); m.reap(children, reaping) }()
	select {
	case <-ctx.Done():
	case err = <-m.broken:
	}
	_ = l.Close()
	m.turn.Lock()
	m.shutdown()
	m.turn.Unlock()
	m.wg.Wait()
	close(reaping)
	<-reaped
	return err
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// machine is one server's.
type machine struct {
	MachineOptions
	program string
	fork    chan func() // on the thread whose death tells the agent to stop
	broken  chan error  // the fleet will not be ready
	wg      sync.WaitGroup

	turn sync.Mutex // held by whoever switches

	mu      sync.Mutex
	on      bool
	leaving bool // the agent is to end
	settled bool // a death is mended from now on
	boot    string
	pid     int           // of the agent
	gone    chan struct{} // closed when the agent has ended
	hurry   chan struct{} // closed: what goes on gently goes on at once
}

// serve answers on the socket, one word a connection.
func (m *machine) serve(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		m.wg.Go(func() {
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(wordLimit))
			word, err := bufio.NewReader(io.LimitReader(c, 100)).ReadString('\n')
			if err != nil {
				return
			}
			answer, then := m.word(ctx, strings.TrimSpace(word))
			_, _ = c.Write([]byte(answer + "\n"))
			_ = c.Close()
			if then != nil {
				then()
			}
		})
	}
}

// word does what is said; what takes long, or ends the one who said it, is for
// after the answer.
func (m *machine) word(ctx context.Context, word string) (answer string, then func()) {
	m.mu.Lock()
	on, boot := m.on, m.boot
	m.mu.Unlock()
	switch word {
	case "status":
		if on {
			return "ok on", nil
		}
		return "ok off", nil
	case "boot":
		return "ok " + boot, nil
	case "settled":
		m.mu.Lock()
		m.settled = true
		m.mu.Unlock()
		return "ok", nil
	case "on":
		return m.switched(m.start), nil
	case "off":
		m.rush()
		return m.switched(m.cut), nil
	case "cycle":
		m.rush()
		return m.switched(func() error { return errors.Join(m.cut(), m.start()) }), nil
	case "reboot", "shutdown":
		if !on {
			return "error the machine is off", nil
		}
		return "ok", func() {
			m.turn.Lock()
			defer m.turn.Unlock()
			m.shutdown()
			if word == "reboot" && ctx.Err() == nil {
				if err := m.start(); err != nil {
					m.Log.Error("the machine does not start again", "err", err)
				}
			}
		}
	default:
		return fmt.Sprintf("error the machine does not know %q", word), nil
	}
}

// switched runs fn alone and answers.
func (m *machine) switched(fn func() error) string {
	m.turn.Lock()
	defer m.turn.Unlock()
	if err := fn(); err != nil {
		return "error " + strings.Join(strings.Fields(err.Error()), " ")
	}
	return "ok"
}

// rush ends the gentle part of a shutdown that goes on.
func (m *machine) rush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hurry != nil {
		close(m.hurry)
		m.hurry = nil
	}
}

// start boots, unless it is on. The turn is held.
func (m *machine) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on {
		return nil
	}
	m.boot, m.leaving = string(inventory.NewID()), false
	if err := m.begin(); err != nil {
		return err
	}
	m.on = true
	m.Log.Info("the machine is on", "boot", m.boot)
	return nil
}

// begin starts the agent. mu is held, so that the reaper knows it when it ends.
func (m *machine) begin() error {
	done := make(chan error, 1)
	m.fork <- func() {
		p, err := os.StartProcess(m.program, m.Agent, &os.ProcAttr{
			Files: []*os.File{nil, os.Stdout, os.Stderr},
			Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM},
		})
		if err == nil {
			m.pid, m.gone = p.Pid, make(chan struct{})
			err = p.Release() // the reaper sees its end
		}
		done <- err
	}
	if err := <-done; err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	return nil
}

// cut takes the power: everything is dead at once. The turn is held.
func (m *machine) cut() error {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	for deadline := time.Now().Add(wordLimit / 2); ; {
		left := descendants(os.Getpid())
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not die", left)
		}
		signalAll(left, syscall.SIGKILL)
		time.Sleep(5 * time.Millisecond)
	}
	m.mu.Lock()
	m.on = false
	m.mu.Unlock()
	m.Log.Info("the machine is off")
	return nil
}

// shutdown lets the agent stop its services and end, then whatever is left, and
// takes the power. The turn is held.
func (m *machine) shutdown() {
	m.mu.Lock()
	m.leaving = true
	pid, gone, hurry := m.pid, m.gone, make(chan struct{})
	m.hurry = hurry
	m.mu.Unlock()
	signalAll([]int{pid}, syscall.SIGTERM)
	select {
	case <-gone:
	case <-hurry:
	case <-time.After(shutdownGrace):
	}
	signalAll(descendants(os.Getpid()), syscall.SIGTERM)
	for end := time.Now().Add(restGrace); len(descendants(os.Getpid())) > 0 && time.Now().Before(end); {
		select {
		case <-hurry:
			end = time.Time{}
		case <-time.After(5 * time.Millisecond):
		}
	}
	m.mu.Lock()
	m.hurry = nil
	m.mu.Unlock()
	if err := m.cut(); err != nil {
		m.Log.Error("the machine is not off", "err", err)
	}
}

// reap collects children that ended, as an init does, until done is closed.
func (m *machine) reap(children <-chan os.Signal, done <-chan struct{}) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == nil && pid > 0 {
			m.ended(pid, status)
			continue
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		select {
		case <-children:
		case <-done:
			return
		}
	}
}

// ended is told of every process that was reaped. A dead agent is started
// again after a moment.
func (m *machine) ended(pid int, status syscall.WaitStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pid != m.pid {
		return
	}
	m.pid = 0
	close(m.gone)
	if m.leaving {
		return
	}
	if !m.settled {
		select {
		case m.broken <- ErrAgentEnded:
		default:
		}
		return
	}
	m.Log.Warn("the agent died and is started again", "status", status.ExitStatus(), "signal", status.Signal().String())
	boot := m.boot
	m.wg.Go(func() { m.again(boot) })
}

// again starts the agent of a boot that still goes on.
func (m *machine) again(boot string) {
	time.Sleep(again)
	m.turn.Lock()
	defer m.turn.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving || m.boot != boot {
		return
	}
	if err := m.begin(); err != nil {
		m.Log.Error("cannot start again", "err", err)
	}
}

// descendants are the processes below pid, at whatever depth, that are not
// dead yet or not reaped.
func descendants(pid int) []int {
	children := make(map[int][]int)
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended since
		}
		var id, parent int
		if _, err := fmt.Sscan(string(text), &id); err != nil {
			continue
		}
		rest := string(text[strings.LastIndexByte(string(text), ')')+1:]) // the name may hold anything
		var state string
		if _, err := fmt.Sscan(rest, &state, &parent); err == nil {
			children[parent] = append(children[parent], id)
		}
	}
	var all []int
	for next := children[pid]; len(next) > 0; {
		all = append(all, next...)
		var below []int
		for _, id := range next {
			below = append(below, children[id]...)
		}
		next = below
	}
	return all
}

func signalAll(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		if pid > 1 {
			_ = syscall.Kill(pid, s)
		}
	}
}

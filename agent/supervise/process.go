package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mailfleet/inventory"
)

// process is a hold on one process, child or not: what is done through it can
// never reach another one that has its pid later.
type process struct {
	pid   int
	start uint64
	gone  chan struct{} // closed when the process has ended

	os      *os.Process
	pidfd   *os.File // readable when the process has ended
	watcher sync.WaitGroup
}

var errGone = errors.New("the process has ended")

// hold takes hold of the process pid that started at start; errGone when there
// is none any more. A zombie can be held.
func hold(pid int, start uint64) (*process, error) {
	proc, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	p, err := watch(proc)
	if err != nil {
		_ = proc.Release()
		return nil, err
	}
	// Only now: what has this pid and is the right one after it is held was
	// the right one when it was taken hold of.
	if s, err := readStat(pid); err != nil || s.start != start {
		p.release()
		return nil, errGone
	}
	p.start = start
	return p, nil
}

func watch(proc *os.Process) (*process, error) {
	fd, err := unix.PidfdOpen(proc.Pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_open: %w", err)
	}
	p := &process{
		pid:   proc.Pid,
		gone:  make(chan struct{}),
		os:    proc,
		pidfd: os.NewFile(uintptr(fd), "pidfd"),
	}
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		_ = p.pidfd.Close()
		return nil, err
	}
	p.watcher.Go(func() {
		ended := false
		err := conn.Read(func(fd uintptr) bool {
			ended = readable(fd)
			return ended
		})
		if ended && err == nil {
			close(p.gone)
		}
	})
	return p, nil
}

// readable reports whether a pidfd says that its process has ended.
func readable(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// signal sends a signal. It does nothing to a process that has ended, or that
// the agent has no rights over: whoever waits for its end sees that it stays.
func (p *process) signal(s os.Signal) { _ = p.os.Signal(s) }

// waitGone waits for the process to end, at most for limit.
func (p *process) waitGone(ctx context.Context, limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-p.gone:
		return nil
	case <-timeout.C:
		return fmt.Errorf("process %d did not end", p.pid)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reap collects a process that has ended and says how it did. The hold is released.
func (p *process) reap() inventory.Sentence {
	defer p.release()
	state, err := p.os.Wait()
	if err != nil { // not a child of this process
		return inventory.Say("exit status unknown")
	}
	if how, ok := state.Sys().(syscall.WaitStatus); ok && !how.CoreDump() {
		switch {
		case how.Exited():
			return inventory.Say("exit status %d", how.ExitStatus())
		case how.Signaled():
			return inventory.Say("signal: %s", how.Signal())
		}
	}
	return inventory.Word(state.String())
}

// release lets go of the process and leaves it as it is.
func (p *process) release() {
	_ = p.pidfd.Close()
	p.watcher.Wait()
	_ = p.os.Release()
}

package dev

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// again is how long a child that died is left dead, as an init would.
	again = time.Second
	// stopLimit is how long a child may take to stop; a mailnode has 30 s.
	stopLimit = 45 * time.Second
)

// children are the fleet's processes. One that dies is started again, unless
// the fleet is not ready yet; when this process dies they are told to stop by
// the kernel.
type children struct {
	log  *slog.Logger
	ctx  context.Context // ends when they must
	end  context.CancelFunc
	dead func(name, logFile string) // told of the first death before settled
	born atomic.Bool                // settled: a death is mended from now on
	fork chan func()                // run on the one thread whose death the kernel would tell them of
	wg   sync.WaitGroup
}

func newChildren(log *slog.Logger, dead func(name, logFile string)) *children {
	ctx, end := context.WithCancel(context.Background())
	return &children{log: log, ctx: ctx, end: end, dead: dead, fork: newFork()}
}

// newFork runs what it is sent on one thread, until it is closed.
func newFork() chan func() {
	fork := make(chan func())
	go func() {
		runtime.LockOSThread()
		for fn := range fork {
			fn()
		}
	}()
	return fork
}

// begin starts a program that writes to log and does not hear the terminal. It
// is told to stop when ctx ends.
func (c *children) begin(ctx context.Context, log *os.File, env []string, program string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	done := make(chan error, 1)
	c.fork <- func() { done <- cmd.Start() }
	return cmd, <-done
}

func openLog(file string) (*os.File, error) {
	return os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// start keeps a program running until stop.
func (c *children) start(name, logFile, program string, args ...string) error {
	log, err := openLog(logFile)
	if err != nil {
		return err
	}
	cmd, err := c.begin(c.ctx, log, nil, program, args...)
	if err != nil {
		_ = log.Close()
		return fmt.Errorf("start %s: %w", name, err)
	}
	c.wg.Go(func() {
		defer func() { _ = log.Close() }()
		for {
			err := cmd.Wait()
			if c.ctx.Err() != nil {
				return
			}
			if !c.born.Load() {
				c.dead(name, logFile)
				return
			}
			c.log.Warn("a process of the dev fleet died and is started again", "name", name, "err", err, "log", logFile)
			select {
			case <-c.ctx.Done():
				return
			case <-time.After(again):
			}
			if cmd, err = c.begin(c.ctx, log, nil, program, args...); err != nil {
				c.log.Error("cannot start again", "name", name, "err", err)
				return
			}
		}
	})
	return nil
}

// run runs a program to its end.
func (c *children) run(ctx context.Context, logFile string, env []string, program string, args ...string) error {
	log, err := openLog(logFile)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd, err := c.begin(ctx, log, env, program, args...)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("%w (see %s)", err, logFile)
	}
	return nil
}

// settled says that the fleet is ready.
func (c *children) settled() { c.born.Store(true) }

// lastLine is the end of what a child wrote.
func lastLine(logFile string) string {
	text, err := os.ReadFile(logFile)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// stop ends all and waits for them.
func (c *children) stop() {
	c.end()
	c.wg.Wait()
	close(c.fork)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is a mail server that is measured, with a directory of its own.
type server interface {
	name() string
	start(ctx context.Context) error // returns when it serves
	stop() error
	processes() []int
}

// contender is a server whose mailboxes are measured.
type contender interface {
	server
	imap() string // address
	pop3() string
	fill(ctx context.Context, user string, c corpus) error
	mail(user string) string // directory with the files of a user's mail, or of everybody's
}

// Users are accounts at both contenders, all with one password.
const password = "bench-secret"

func user(name string) string { return name + "@example.test" }

// writers have mail appended, idlers do nothing.
const (
	writers = 64
	idlers  = 1010 // some more than are counted, for those that come before
)

func users() (all []string) {
	for _, c := range []corpus{letters, talk, archive} {
		all = append(all, user(c.name))
	}
	for i := range writers {
		all = append(all, writer(i))
	}
	for i := range idlers {
		all = append(all, idler(i))
	}
	return all
}

func writer(i int) string { return user(fmt.Sprintf("writer%d", i)) }
func idler(i int) string  { return user(fmt.Sprintf("idler%d", i)) }

// program is a running program and how to end it.
type program struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, once it has
}

// run starts a program whose output goes to a file.
func run(ctx context.Context, path, log string, args ...string) (*program, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p := &program{cmd: exec.CommandContext(context.WithoutCancel(ctx), path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// end ends a program in good order.
func (p *program) end() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop", filepath.Base(p.cmd.Path))
	}
}

// await tries something until it works, for as long as the program lives.
func (p *program) await(ctx context.Context, log string, try func() error) error {
	deadline := time.Now().Add(time.Minute)
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			text, _ := os.ReadFile(log)
			return fmt.Errorf("%s ended: %w\n%s", filepath.Base(p.cmd.Path), errors.Join(p.err, err), text)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not get ready: %w", filepath.Base(p.cmd.Path), err)
		}
	}
}

// freePort finds a port on loopback that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// cool makes a contender cold: it is started again, and what it has on disk for a user
// is not in memory any more, or only what is not in skip, the name of a directory.
func cool(ctx context.Context, c contender, user, skip string) error {
	if err := c.stop(); err != nil {
		return err
	}
	if err := evict(c.mail(user), skip); err != nil {
		return err
	}
	return c.start(ctx)
}

// evict drops a directory's files from the page cache, but those in directories named skip.
func evict(dir, skip string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(d.Fd())) // what is not on disk yet cannot be dropped
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == skip {
			return fs.SkipDir
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	})
}

// family is a process and those it has started.
func family(pid int) []int {
	all := []int{pid}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return all
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(text, []byte(") "))
		fields := strings.Fields(string(rest))
		child, err := strconv.Atoi(e.Name())
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil && parent == pid {
			all = append(all, child)
		}
	}
	return all
}

// held is the memory processes hold, in bytes: what they share is counted once
// (proc_pid_smaps_rollup, Pss).
func held(pids []int) (total float64, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				if err != nil {
					return 0, err
				}
				total += kb * 1024
			}
		}
	}
	return total, nil
}

// used is the processor time that processes have taken (proc_pid_stat, utime and stime,
// in hundredths of a second).
func used(pids []int) (total time.Duration) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, field := range fields[min(11, len(fields)):min(13, len(fields))] {
			ticks, _ := strconv.ParseInt(field, 10, 64) // the kernel writes numbers
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total
}

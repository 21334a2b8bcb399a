package handover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"mailfleet/inventory"
)

const (
	// DefaultLimit is how long a build may take to stand.
	DefaultLimit = time.Minute
	// leaveLimit is how long a build that stands may take to let go again, and
	// how long one may take to end that is told to stop: its services may take
	// their time.
	leaveLimit = time.Minute
	// pipeWait is how long what an ended build wrote is waited for.
	pipeWait = 2 * time.Second
)

// Carry puts the prepared build on trial and makes this process the one that is
// to run after that. Everything of the agent's must have been let go of. It
// returns only when ctx ended meanwhile, or with an error nobody can mend here.
func (h *Handover) Carry(ctx context.Context, limit time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.book.Trial
	h.log.Info("another build of the agent is on trial", "version", t.To.Number, "instead", t.From, "limit", limit)
	why := h.try(ctx, t.To, limit)
	if ctx.Err() != nil {
		return h.judge(false, inventory.Say("returned to %s because the agent was told to stop while %s was on trial", t.From, t.To.Number))
	}
	if why.None() {
		if err := h.accept(t); err != nil {
			why = inventory.Say("%s", err.Error())
		}
	}
	if why.None() {
		h.log.Info("the agent is handed over", "version", t.To.Number, "instead", t.From)
		why = inventory.Say("%s", become(t.To.Path, t.To.SHA256).Error())
		h.book.Current, h.book.Previous, h.book.Trial = h.book.Previous, nil, t
	}
	h.log.Error("another build of the agent is not taken", "version", t.To.Number, "why", why.String())
	if err := h.judge(false, inventory.Say("returned to %s because %s %s", t.From, t.To.Number, why)); err != nil {
		h.log.Error("why the agent returned is not kept", "err", err) // the next start says that it was ended
	}
	return become("/proc/self/exe", h.build)
}

// accept makes the build on trial the current one.
func (h *Handover) accept(t *trial) error {
	before := h.book
	if h.build == "" { // this is the starter's
		var err error
		if h.book.Installed, err = fingerprint(); err != nil {
			return err
		}
	}
	h.book.Previous, h.book.Current, h.book.Starts = h.book.Current, &t.To, 0
	if err := h.judge(true, inventory.Say("upgraded from %s to %s", t.From, t.To.Number)); err != nil {
		h.book = before
		return err
	}
	return nil
}

// try runs a build on trial and tells why it may not be taken; empty: it may.
func (h *Handover) try(ctx context.Context, p Program, limit time.Duration) (why inventory.Sentence) {
	// The child is killed by the kernel when this thread ends, that is with this
	// process: two agents never run at once.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, w, err := os.Pipe()
	if err != nil {
		return inventory.Say("cannot be watched: %v", err)
	}
	defer func() { _ = r.Close() }()
	last := &lastLine{to: os.Stderr}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.Path, os.Args[1:]...) // it is told to stop, not killed
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = last, last
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(os.Environ(), trialVariable+"=3", buildVariable+"="+p.SHA256)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = pipeWait
	began := time.Now()
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return inventory.Say("cannot be started: %v", err)
	}
	stands, ended := make(chan bool, 1), make(chan error, 1)
	go func() {
		text, _ := io.ReadAll(io.LimitReader(r, int64(len(upLine)))) // an error is a short text
		stands <- string(text) == upLine
	}()
	go func() { ended <- cmd.Wait() }()
	return watched{cmd, stands, ended, last, began, h.leave}.watch(ctx, limit)
}

// watched is a build on trial.
type watched struct {
	cmd    *exec.Cmd
	stands chan bool
	ended  chan error
	last   *lastLine
	began  time.Time
	leave  time.Duration // it may take to end
}

func (b watched) watch(ctx context.Context, limit time.Duration) (why inventory.Sentence) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case up := <-b.stands:
		if up {
			return b.leaves()
		}
	case <-timer.C:
		_ = b.kill()
		return inventory.Say("did not reach the controller within %s%s", limit, b.last.quote())
	case <-ctx.Done():
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		return b.leaves()
	}
	// It closed its end without a word: it ends, or is out of its mind.
	select {
	case err := <-b.ended:
		return b.fell(err)
	case <-timer.C:
		_ = b.kill()
		return inventory.Say("gave no sign of life within %s%s", limit, b.last.quote())
	case <-ctx.Done():
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		return b.leaves()
	}
}

// leaves waits for the build to end by itself.
func (b watched) leaves() inventory.Sentence {
	timer := time.NewTimer(b.leave)
	defer timer.Stop()
	select {
	case err := <-b.ended:
		if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
			return b.fell(err)
		}
		return inventory.Sentence{}
	case <-timer.C:
		_ = b.kill()
		return inventory.Say("came up and did not let go within %s", b.leave)
	}
}

// kill returns when the build is gone, and how it ended.
func (b watched) kill() error {
	_ = b.cmd.Process.Kill()
	return <-b.ended
}

func (b watched) fell(err error) inventory.Sentence {
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	return inventory.Say("ended after %.1f s with %s%s", time.Since(b.began).Seconds(), how, b.last.quote())
}

// lastLine passes on what a build writes and remembers the last line of it.
type lastLine struct {
	to io.Writer

	mu   sync.Mutex
	text []byte
}

const maxLine = 300

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.text = append(l.text, p...)
	if whole := bytes.TrimRight(l.text, "\n"); len(whole) > 0 {
		l.text = bytes.Clone(l.text[bytes.LastIndexByte(whole, '\n')+1:])
	}
	l.text = l.text[max(0, len(l.text)-4*maxLine):]
	l.mu.Unlock()
	return l.to.Write(p)
}

// quote is the last line, for the end of a sentence.
func (l *lastLine) quote() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.ToValidUTF8(strings.TrimSpace(string(l.text)), "")
	if text == "" {
		return ""
	}
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "…"
	}
	return ": " + text
}

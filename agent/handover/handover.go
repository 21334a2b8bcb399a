// Package handover gives the agent's process over to another build of the agent,
// and takes it back when that does not come up.
//
// # How
//
// There is no launcher that stays: the agent that is to be replaced is its
// successor's watchdog. It lets go of everything (services go on by themselves,
// see package supervise), starts the new build as its child, on trial, with the
// very arguments it was started with, and waits. The new build does all that an
// agent does, but carries out no orders; when its link stands and it has read its
// first desired state it says so and ends. Then the old process becomes the new
// build, by exec: with the process id its starter knows, be that systemd, the dev
// fleet's machine or a container. When the new build ends before, hangs, does not
// reach the controller in time or cannot be started at all, it is killed and the
// old process becomes a fresh agent of its own build. So the program that judges a
// new build is always one that was proven before, and nothing waits in memory
// between upgrades.
//
// The starter goes on starting the program it was set up with. That looks into the
// book of this package first: it becomes the current build, unless it is that, or
// was itself replaced by hand since. A current build that dies again and again
// before it has stood is given up for the one before.
//
// # At any moment
//
// The book is replaced whole and is written before each step. An agent that dies
// with a build on trial (the trial dies with it) is one whose upgrade failed. One
// that dies after the build was accepted comes back as the new one. In between is
// nothing.
//
// # The contract between builds
//
// A build on trial finds the number of a file descriptor in MAILFLEET_TRIAL and
// writes the line "up" to it. MAILFLEET_BUILD holds the SHA-256 of the build a
// process was made of. Neither may ever change.
//
// main, app and steward import it.
package handover

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/inventory"
)

const (
	bookFile      = "handover.json"
	trialVariable = "MAILFLEET_TRIAL"
	buildVariable = "MAILFLEET_BUILD"
	upLine        = "up\n"
	// mostStarts is how often the current build may be started in a row without
	// ever standing before the one before it is taken.
	mostStarts = 3
	// keepVerdicts is how many upgrades are remembered.
	keepVerdicts = 100
)

// Program is a build of the agent.
type Program struct {
	Path   string `json:"path"`
	Number string `json:"number"`
	SHA256 string `json:"sha256"`
}

// Verdict is how an upgrade went.
type Verdict struct {
	Up      bool                `json:"up"`
	Message string              `json:"message"`
	Said    *inventory.Sentence `json:"said,omitempty"`
	Time    time.Time           `json:"time"`
}

// Told is the verdict's message.
func (v Verdict) Told() inventory.Sentence { return inventory.Read(v.Message, v.Said) }

// trial is an upgrade that was begun.
type trial struct {
	Order inventory.ID `json:"order"`
	To    Program      `json:"to"`
	From  string       `json:"from"` // version
}

// book is what is remembered over a change of builds.
type book struct {
	Current   *Program                 `json:"current,omitempty"`   // nil: the program the starter starts
	Previous  *Program                 `json:"previous,omitempty"`  // the one before; nil: the starter's
	Installed string                   `json:"installed,omitempty"` // how the starter's was when Current was taken
	Trial     *trial                   `json:"trial,omitempty"`
	Starts    int                      `json:"starts,omitempty"` // of Current in a row since it last stood
	Verdicts  map[inventory.ID]Verdict `json:"verdicts,omitempty"`
}

// Handover is this process's part in it.
type Handover struct {
	dir   string
	log   *slog.Logger
	up    *os.File // told when a build on trial stands; nil: not on trial
	build string   // SHA-256 this process was made of; empty: the starter's program
	leave time.Duration

	mu   sync.Mutex
	book book
}

// Begin finds out which build is to run, before anything of the agent's
// directory is touched. When that is another one this process becomes it, and
// Begin does not return.
func Begin(dir string, log *slog.Logger) (*Handover, error) {
	h := &Handover{dir: dir, log: log.With("component", "handover"), build: os.Getenv(buildVariable), leave: leaveLimit}
	if err := h.read(); err != nil {
		return nil, err
	}
	if text := os.Getenv(trialVariable); text != "" {
		fd, err := strconv.Atoi(text)
		if err != nil || fd < 3 {
			return nil, fmt.Errorf("%s holds %q, which is no file descriptor", trialVariable, text)
		}
		_ = os.Unsetenv(trialVariable) // what this process starts is not on trial
		syscall.CloseOnExec(fd)
		h.up = os.NewFile(uintptr(fd), trialVariable)
		return h, nil
	}
	if t := h.book.Trial; t != nil {
		h.log.Warn("the agent was ended while another build was on trial", "version", t.To.Number)
		if err := h.judge(false, inventory.Say("returned to %s because the agent was ended while %s was on trial", t.From, t.To.Number)); err != nil {
			return nil, err
		}
	}
	return h, h.follow()
}

// follow makes this process the current build, if it is not.
func (h *Handover) follow() error {
	for {
		current := h.book.Current
		if current == nil || h.build == current.SHA256 {
			return nil
		}
		if h.build != "" { // its build was given up meanwhile: it stays what it is until it ends
			return nil
		}
		var why string
		switch installed, err := fingerprint(); {
		case err != nil:
			return err
		case installed != h.book.Installed:
			h.log.Info("another agent was installed by hand and is run from now on", "instead", current.Number)
			h.book.Current, h.book.Previous, h.book.Starts = nil, nil, 0
			return h.write()
		case h.book.Starts >= mostStarts:
			why = fmt.Sprintf("it was started %d times and never stood", h.book.Starts)
		default:
			h.book.Starts++
			if err := h.write(); err != nil {
				return err
			}
			err := become(current.Path, current.SHA256)
			why = err.Error()
		}
		h.log.Error("the current build of the agent is given up", "version", current.Number, "why", why)
		h.book.Current, h.book.Previous, h.book.Starts = h.book.Previous, nil, 0
		if err := h.write(); err != nil {
			return err
		}
	}
}

// become makes this process another build, with the same arguments.
func become(path, build string) error {
	env := make([]string, 0, len(os.Environ())+1)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, buildVariable+"=") {
			env = append(env, v)
		}
	}
	if build != "" {
		env = append(env, buildVariable+"="+build)
	}
	return fmt.Errorf("%s cannot be run: %w", path, syscall.Exec(path, os.Args, env))
}

// fingerprint tells whether the program the starter starts was replaced.
func fingerprint() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	path = strings.TrimSuffix(path, " (deleted)") // by another one of that name
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("look at the installed agent: %w", err)
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano()), nil
}

// OnTrial tells whether this process is a build that must prove itself.
func (h *Handover) OnTrial() bool { return h.up != nil }

// Stand is called once the agent stands: its link is up and it has read its
// desired state, or, when it is not on trial, it has run for a while. A build on
// trial is to end then.
func (h *Handover) Stand() error {
	if h.up != nil {
		_, err := h.up.WriteString(upLine)
		return errors.Join(err, h.up.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.book.Starts == 0 {
		return nil
	}
	h.book.Starts = 0
	return h.write()
}

// Prepare writes down that the agent is about to be handed over to a build.
// Carry must follow when everything is let go of.
func (h *Handover) Prepare(order inventory.ID, to Program, from string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.up != nil {
		return errors.New("this agent is on trial itself")
	}
	h.book.Trial = &trial{Order: order, To: to, From: from}
	return h.write()
}

// Pending tells whether the agent is to be handed over.
func (h *Handover) Pending() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up == nil && h.book.Trial != nil
}

// Verdict tells how the upgrade of an order went; ok is false while that is open.
func (h *Handover) Verdict(order inventory.ID) (v Verdict, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok = h.book.Verdicts[order]
	return v, ok
}

// Open tells whether the upgrade of an order has begun and not ended.
func (h *Handover) Open(order inventory.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.book.Trial != nil && h.book.Trial.Order == order
}

// Runs are the builds that may be run again, by their SHA-256.
func (h *Handover) Runs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var sums []string
	for _, p := range []*Program{h.book.Current, h.book.Previous} {
		if p != nil {
			sums = append(sums, p.SHA256)
		}
	}
	if h.book.Trial != nil {
		sums = append(sums, h.book.Trial.To.SHA256)
	}
	return sums
}

// judge ends the trial.
func (h *Handover) judge(up bool, message inventory.Sentence) error {
	if h.book.Verdicts == nil {
		h.book.Verdicts = make(map[inventory.ID]Verdict)
	}
	h.book.Verdicts[h.book.Trial.Order] = Verdict{Up: up, Message: message.String(), Said: message.Beside(), Time: time.Now().UTC()}
	for len(h.book.Verdicts) > keepVerdicts {
		var oldest inventory.ID
		for id := range h.book.Verdicts { // ids are in order of time
			if oldest == "" || cmp.Less(id, oldest) {
				oldest = id
			}
		}
		delete(h.book.Verdicts, oldest)
	}
	h.book.Trial = nil
	return h.write()
}

func (h *Handover) read() error {
	text, err := os.ReadFile(filepath.Join(h.dir, bookFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which agent is to run: %w", err)
	}
	if err := json.Unmarshal(text, &h.book); err != nil {
		h.log.Error("which agent is to run is not known any more; it is the installed one", "err", err)
		h.book = book{}
	}
	return nil
}

func (h *Handover) write() error {
	text, err := json.Marshal(h.book)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(h.dir, bookFile), text); err != nil {
		return fmt.Errorf("write down which agent is to run: %w", err)
	}
	return nil
}

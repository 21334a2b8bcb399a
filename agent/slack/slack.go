// Package slack lets the kernel gather the agent's timers.
//
// A Go program that wakes looks after itself every twenty microseconds for as long
// as it is busy (the runtime's sysmon), which is a quarter of what an agent takes of
// the processor: its work comes in short pieces, and each begins with that. With a
// few milliseconds of slack (PR_SET_TIMERSLACK) those wake-ups fall together: with five,
// an order costs a quarter fewer switches than with one, with twenty no fewer. Nothing
// that an agent times needs to be more exact.
//
// The agent's main and those of its packages that start other programs import it:
// what it starts gets the slack that everybody has.
package slack

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	wide  = 5 * time.Millisecond
	usual = 50 * time.Microsecond // the kernel's own
)

// Widen gives every thread of this process a wide slack. Threads to come
// inherit it. It may be refused to who is not root (CAP_SYS_NICE).
func Widen() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range threads {
		// Of a thread it is found only in /proc itself (proc_pid_timerslack_ns(5)).
		err := os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", strconv.AppendInt(nil, int64(wide), 10), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // ended meanwhile
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Usual calls start, which starts another program, with the usual slack, which
// the program inherits. Where that cannot be had it is started all the same.
func Usual(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil && set(int(usual)) == nil {
		defer func() { _ = set(before) }()
	}
	return start()
}

func set(slack int) error { return unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) }

package supervise

import (
	"context"
	"errors"
	"syscall"
	"time"

	"mailfleet/inventory"
)

// signals are those a service may be sent, by inventory.Signals.
var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH, "KILL": syscall.SIGKILL,
}

func signalOf(name string, otherwise syscall.Signal) syscall.Signal {
	if s, ok := signals[inventory.SignalName(name)]; ok {
		return s
	}
	return otherwise
}

const (
	// killRounds is how often what is left is killed: a process that forks all
	// the time may need several.
	killRounds = 10
	// killWait is how long killed processes have to go.
	killWait = 2 * time.Second
)

// end makes the processes go that find returns: it asks them with a signal, and
// after grace kills what is left (SIGKILL). It returns nil when find finds none.
func end(ctx context.Context, find func() []stat, ask syscall.Signal, grace time.Duration) error {
	deadline := time.Now().Add(grace)
	for time.Now().Before(deadline) {
		gone, err := signalAll(ctx, find(), ask, time.Until(deadline))
		if gone || err != nil {
			return err
		}
	}
	for range killRounds {
		gone, err := signalAll(ctx, find(), syscall.SIGKILL, killWait)
		if gone || err != nil {
			return err
		}
	}
	left := find()
	if len(left) == 0 {
		return nil
	}
	return inventory.Fail("%d processes did not end when killed, process %d among them", len(left), left[0].pid)
}

// signalAll signals processes and waits for them to end, at most for wait.
// none says that there was nothing to signal.
func signalAll(ctx context.Context, found []stat, s syscall.Signal, wait time.Duration) (none bool, err error) {
	deadline := time.Now().Add(wait)
	var held []*process
	defer func() {
		for _, p := range held {
			p.release()
		}
	}()
	for _, f := range found {
		p, err := hold(f.pid, f.start)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return false, err
		}
		p.signal(s)
		held = append(held, p)
	}
	for _, p := range held {
		if p.waitGone(ctx, time.Until(deadline)) != nil {
			return false, ctx.Err() // the caller looks again what is left
		}
	}
	return len(found) == 0, nil
}

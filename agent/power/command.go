package power

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// maxOutput bounds what is kept of a program's output, in octets.
const maxOutput = 4 << 10

// killGrace is how long the output of a killed program may be held open.
const killGrace = 2 * time.Second

// command is a program of the site. It is called with on, off, cycle or status
// as its last argument, without a shell, and finds in its environment
//
//	MAILFLEET_POWER_SERVER    the server's name
//	MAILFLEET_POWER_ADDRESS   as set
//	MAILFLEET_POWER_USER      as set
//	MAILFLEET_POWER_PASSWORD  as set
//
// For status it prints on, off or unknown. It ends with status 0, or says why
// not on its standard error.
type command struct {
	program []string
	env     []string
	secret  string
}

func newCommand(how api.OrderPower, server, password string) (*command, error) {
	if len(how.Command) == 0 || !filepath.IsAbs(how.Command[0]) {
		return nil, inventory.FieldErrorf("command", "command must begin with the whole path of a program")
	}
	return &command{program: how.Command, secret: password, env: []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
		"MAILFLEET_POWER_SERVER=" + server, "MAILFLEET_POWER_ADDRESS=" + how.Address,
		"MAILFLEET_POWER_USER=" + how.User, "MAILFLEET_POWER_PASSWORD=" + password,
	}}, nil
}

func (d *command) Status(ctx context.Context) (inventory.PowerState, error) {
	out, err := d.run(ctx, "status")
	if err != nil {
		return inventory.PowerUnknown, err
	}
	switch state := inventory.PowerState(strings.ToLower(out)); state {
	case inventory.PowerOn, inventory.PowerOff, inventory.PowerUnknown:
		return state, nil
	default:
		return inventory.PowerUnknown, inventory.Fail("%s status printed %q, not on, off or unknown", d.program[0], mask(oneLine(out), d.secret))
	}
}

func (d *command) On(ctx context.Context) error    { return d.act(ctx, "on") }
func (d *command) Off(ctx context.Context) error   { return d.act(ctx, "off") }
func (d *command) Cycle(ctx context.Context) error { return d.act(ctx, "cycle") }

func (d *command) act(ctx context.Context, verb string) error {
	_, err := d.run(ctx, verb)
	return err
}

// run runs the program in a group of its own, which is killed as a whole when
// its time is over.
func (d *command) run(ctx context.Context, verb string) (string, error) {
	cmd := exec.CommandContext(ctx, d.program[0], append(d.program[1:len(d.program):len(d.program)], verb)...)
	stdout, stderr := &clipped{}, &clipped{}
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = stdout, stderr, d.env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killGrace
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", inventory.Fail("%s %s did not end in time and was killed", d.program[0], verb)
	case errors.Is(err, exec.ErrWaitDelay): // it ended well and left something behind
	case err != nil:
		said := mask(oneLine(lastLine(stderr.String())), d.secret)
		if said != "" {
			said = ": " + said
		}
		return "", inventory.Fail("%s %s: %v%s", d.program[0], verb, err, said)
	}
	return strings.TrimSpace(stdout.String()), nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// oneLine makes text fit into a sentence.
func oneLine(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "…"
	}
	return text
}

// mask takes a password out of what somebody else wrote.
func mask(text, secret string) string {
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, "***")
}

// clipped keeps the beginning of what is written to it.
type clipped struct{ bytes.Buffer }

func (c *clipped) Write(p []byte) (int, error) {
	if room := maxOutput - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

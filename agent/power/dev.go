package power

import (
	"bufio"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"time"

	"mailfleet/inventory"
)

// dev is a machine of the dev fleet: a process that stands for the hardware of
// one server. Its socket takes one line (a word of what follows) and answers
// with one, "ok" and a word, or "error" and a sentence.
//
//	status            on or off
//	boot              the boot id
//	on, off, cycle    as a power supply does: at once
//	reboot, shutdown  as an operating system does: processes may end first
type dev struct{ socket string }

func newDev(machines, server string) (*dev, error) {
	if machines == "" {
		return nil, inventory.FieldErrorf("kind", "power driver dev is of the dev fleet: this agent is not in one")
	}
	if err := inventory.CheckName("server", server); err != nil {
		return nil, err
	}
	return &dev{filepath.Join(machines, server+".sock")}, nil
}

func (d *dev) Status(ctx context.Context) (inventory.PowerState, error) {
	word, err := d.say(ctx, "status")
	if err != nil {
		return inventory.PowerUnknown, err
	}
	return inventory.PowerState(word), nil
}

func (d *dev) On(ctx context.Context) error    { return d.act(ctx, "on") }
func (d *dev) Off(ctx context.Context) error   { return d.act(ctx, "off") }
func (d *dev) Cycle(ctx context.Context) error { return d.act(ctx, "cycle") }

func (d *dev) act(ctx context.Context, word string) error {
	_, err := d.say(ctx, word)
	return err
}

// say is one question.
func (d *dev) say(ctx context.Context, word string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", d.socket)
	if err != nil {
		return "", inventory.Fail("the dev fleet has no such machine: %v", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write([]byte(word + "\n")); err != nil {
		return "", inventory.Fail("tell the machine: %v", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", inventory.Fail("the machine did not answer: %v", err)
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if kind != "ok" {
		return "", errors.New(rest)
	}
	return rest, nil
}

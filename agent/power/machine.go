package power

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"mailfleet/inventory"
)

// Machine is the one the agent runs on.
type Machine interface {
	// BootID is another after every boot.
	BootID(ctx context.Context) (string, error)
	// Reboot and Shutdown return when it has begun; the agent is ended by it.
	Reboot(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

// Own returns the agent's own machine: this one, or the dev fleet's that stands
// for it.
func Own(machines, server string) (Machine, error) {
	if machines == "" {
		return hardware{}, nil
	}
	d, err := newDev(machines, server)
	if err != nil {
		return nil, err
	}
	return devMachine{d}, nil
}

// devMachine is the agent's own machine in the dev fleet.
type devMachine struct{ *dev }

func (m devMachine) BootID(ctx context.Context) (string, error) { return m.say(ctx, "boot") }
func (m devMachine) Reboot(ctx context.Context) error           { return m.act(ctx, "reboot") }
func (m devMachine) Shutdown(ctx context.Context) error         { return m.act(ctx, "shutdown") }

// hardware is this machine itself.
type hardware struct{}

func (hardware) BootID(context.Context) (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", inventory.Fail("read the boot id: %v", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (hardware) Reboot(ctx context.Context) error {
	return leave(ctx, "reboot", syscall.LINUX_REBOOT_CMD_RESTART)
}

func (hardware) Shutdown(ctx context.Context) error {
	return leave(ctx, "poweroff", syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

// leave asks systemd to end everything in order. Where there is none, what is
// in memory is written to the disks and the kernel does it at once.
func leave(ctx context.Context, verb string, command int) error {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		out, err := exec.CommandContext(ctx, "systemctl", "--no-block", "--no-wall", verb).CombinedOutput()
		if err != nil {
			return inventory.Fail("systemctl %s: %v: %s", verb, err, oneLine(string(out)))
		}
		return nil
	}
	syscall.Sync()
	if err := syscall.Reboot(command); err != nil {
		if errors.Is(err, syscall.EPERM) {
			return inventory.Fail("the agent may not %s this machine: it does not run as root", verb)
		}
		return inventory.Fail("%s this machine: %v", verb, err)
	}
	return nil
}

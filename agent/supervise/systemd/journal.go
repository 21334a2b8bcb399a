package systemd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	maxLine = 64 << 10        // octets of a line of the journal
	endWait = 2 * time.Second // for the program to end when it is told to
)

// show prepares to show the journal of a unit: the messages only.
func (u *Units) show(ctx context.Context, unit string, lines int, more ...string) *exec.Cmd {
	args := append([]string{"--unit", unit, "--lines", strconv.Itoa(lines), "--output", "cat", "--no-pager", "--quiet"}, more...)
	cmd := exec.CommandContext(ctx, u.journal, args...)
	cmd.WaitDelay = endWait
	return cmd
}

// Log returns the last lines of a unit's journal, oldest first.
func (u *Units) Log(ctx context.Context, unit string, lines int) ([]string, error) {
	var out []string
	cmd := u.show(ctx, unit, lines)
	err := eachLine(cmd, func(line string) error { out = append(out, line); return nil })
	if err != nil {
		return nil, fmt.Errorf("the journal of unit %s cannot be read: %w", unit, err)
	}
	return out[max(0, len(out)-lines):], nil
}

// Follow gives emit the last lines and those that come, until ctx ends or emit
// does not want more.
func (u *Units) Follow(ctx context.Context, unit string, lines int, emit func(string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var refused error
	err := eachLine(u.show(ctx, unit, lines, "--follow"), func(line string) error {
		if refused = emit(line); refused != nil {
			cancel()
		}
		return refused
	})
	switch {
	case refused != nil:
		return refused
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("the journal of unit %s cannot be followed: %w", unit, err)
	default:
		return nil
	}
}

// eachLine runs a program and gives fn what it prints, until fn refuses.
func eachLine(cmd *exec.Cmd, fn func(string) error) error {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	in := bufio.NewReaderSize(pipe, maxLine)
	for err == nil {
		var part []byte
		part, err = in.ReadSlice('\n')
		if len(part) > 0 { // one that is too long comes in pieces
			if refused := fn(strings.ToValidUTF8(strings.TrimSuffix(string(part), "\n"), "�")); refused != nil {
				break
			}
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
	}
	if err := cmd.Wait(); err != nil {
		if said := strings.TrimSpace(complaint.String()); said != "" {
			return fmt.Errorf("%w: %s", err, said)
		}
		return err
	}
	return nil
}

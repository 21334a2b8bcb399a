package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var operationColumns = []column[inventory.Operation]{
	{"ID", func(v inventory.Operation) string { return string(v.ID) }},
	{"KIND", func(v inventory.Operation) string { return string(v.Kind) }},
	{"STATE", func(v inventory.Operation) string { return string(v.State) }},
	{"TARGETS", func(v inventory.Operation) string { return number(len(v.Targets)) }},
	{"ACTOR", func(v inventory.Operation) string { return v.Actor }},
	{"CREATED", func(v inventory.Operation) string { return moment(v.Created) }},
	{"ENDED", func(v inventory.Operation) string { return moment(v.Ended) }},
	{"REASON", func(v inventory.Operation) string { return v.Reason }},
}

func (s *settings) operationCommand() *cobra.Command {
	return parent("operation", "What was asked of servers and services",
		list(s, "List operations, newest first", api.Operations, operationColumns,
			[2]string{"state", "queued, delivered, running, succeeded, failed, expired, unknown or cancelled"},
			[2]string{"kind", "such as service.stop"}, [2]string{"server", "of these servers"}),
		s.showOperationCommand(), s.createOperationCommand(),
		s.ask("approve OPERATION", "Consent to what somebody else asked for", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			op, err := c.ApproveOperation(cmd.Context(), inventory.ID(args[0]))
			if err != nil {
				return err
			}
			return s.showOperation(cmd, c, op)
		}),
		s.ask("cancel OPERATION", "Cancel what no agent has been handed yet", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			op, err := c.CancelOperation(cmd.Context(), inventory.ID(args[0]))
			if err != nil {
				return err
			}
			return s.showOperation(cmd, c, op)
		}),
	)
}

func (s *settings) showOperationCommand() *cobra.Command {
	var wait bool
	cmd := s.ask("show OPERATION", "Show an operation and its steps", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		op, err := c.Operation(cmd.Context(), inventory.ID(args[0]), 0)
		if err != nil {
			return err
		}
		if !wait {
			return s.showOperation(cmd, c, op)
		}
		return s.follow(cmd, c, op, true)
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end; exit code 1 unless it succeeded")
	return cmd
}

// follow prints an operation, at its end when the user waits for it. On a
// terminal it says meanwhile how far it is.
func (s *settings) follow(cmd *cobra.Command, c *api.Client, op inventory.Operation, wait bool) (err error) {
	tell := progress(cmd.ErrOrStderr())
	for wait && !op.State.Final() {
		tell(op)
		if op, err = c.Operation(cmd.Context(), op.ID, progressEvery); err != nil {
			return err
		}
	}
	if wait {
		tell(inventory.Operation{})
	}
	if err := s.showOperation(cmd, c, op); err != nil || !wait || op.State == inventory.OpSucceeded {
		return err
	}
	return fmt.Errorf("operation %s %s", op.ID, op.State)
}

// progressEvery is how often progress is told anew.
const progressEvery = 2 * time.Second

// progress tells on a terminal how far an operation is, in one line that is
// wiped by telling of none.
func progress(w io.Writer) func(inventory.Operation) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(inventory.Operation) {}
	}
	return func(op inventory.Operation) {
		done := 0
		for _, step := range op.Steps {
			if step.State.Final() {
				done++
			}
		}
		line := ""
		if op.ID != "" {
			line = fmt.Sprintf("%s %s: %d of %d steps done", op.Kind, op.State, done, len(op.Steps))
		}
		_, _ = fmt.Fprint(f, "\r\033[K", line) // nowhere to tell if this fails
	}
}

func (s *settings) showOperation(cmd *cobra.Command, c *api.Client, op inventory.Operation) error {
	if s.output == "json" {
		return printJSON(cmd.OutOrStdout(), op)
	}
	names, err := serverNames(cmd.Context(), c)
	if err != nil {
		return err
	}
	steps := stepColumns(names)
	if s.output == "csv" {
		return show(s, cmd.OutOrStdout(), op.Steps, steps)
	}
	if err := showOne(s, cmd.OutOrStdout(), op, operationDetails); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout()); err != nil {
		return err
	}
	if err := show(s, cmd.OutOrStdout(), op.Steps, steps); err != nil {
		return err
	}
	return printLogs(cmd.OutOrStdout(), names, op)
}

var operationDetails = append(slices.Clip(operationColumns), []column[inventory.Operation]{
	{"APPROVAL", func(v inventory.Operation) string {
		switch {
		case v.Approval == nil:
			return ""
		case v.Approval.By == "":
			return "waited for until " + moment(v.Approval.Expires)
		default:
			return "by " + v.Approval.By
		}
	}},
	{"STOPPED", func(v inventory.Operation) string { return v.Stopped }},
}...)

func stepColumns(names map[inventory.ID]string) []column[inventory.Step] {
	return []column[inventory.Step]{
		{"STEP", func(v inventory.Step) string { return string(v.Kind) }},
		{"SERVER", func(v inventory.Step) string { return names[v.Target.Server] }},
		{"SERVICE", func(v inventory.Step) string { return v.Target.Service }},
		{"STATE", func(v inventory.Step) string { return string(v.State) }},
		{"STARTED", func(v inventory.Step) string { return moment(v.Started) }},
		{"ENDED", func(v inventory.Step) string { return moment(v.Ended) }},
		{"MESSAGE", func(v inventory.Step) string { return v.Message }},
	}
}

// printLogs writes what steps told, under a line that says which step.
func printLogs(w io.Writer, names map[inventory.ID]string, op inventory.Operation) error {
	for _, step := range op.Steps {
		if len(step.Log) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s:\n", strings.Trim(names[step.Target.Server]+" "+step.Target.Service, " ")); err != nil {
			return err
		}
		for _, line := range step.Log {
			if _, err := fmt.Fprintf(w, "  %s  %s\n", line.Time.Local().Format(time.TimeOnly), plain(line.Text)); err != nil {
				return err
			}
		}
	}
	return nil
}

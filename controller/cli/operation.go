package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

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
		s.showOperationCommand(),
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

// follow prints an operation, at its end when the user waits for it.
func (s *settings) follow(cmd *cobra.Command, c *api.Client, op inventory.Operation, wait bool) (err error) {
	if wait {
		if op, err = c.WaitOperation(cmd.Context(), op.ID); err != nil {
			return err
		}
	}
	if err := s.showOperation(cmd, c, op); err != nil || !wait || op.State == inventory.OpSucceeded {
		return err
	}
	return fmt.Errorf("operation %s %s", op.ID, op.State)
}

func (s *settings) showOperation(cmd *cobra.Command, c *api.Client, op inventory.Operation) error {
	if s.output == "json" {
		return printJSON(cmd.OutOrStdout(), op)
	}
	names, err := serverNames(cmd.Context(), c)
	if err != nil {
		return err
	}
	details := append(operationColumns[:len(operationColumns):len(operationColumns)], column[inventory.Operation]{"STEPS", func(op inventory.Operation) string {
		var texts []string
		for _, step := range op.Steps {
			text := names[step.Target.Server] + " " + step.Target.Service + " " + string(step.State)
			if step.Message != "" {
				text += " (" + step.Message + ")"
			}
			texts = append(texts, strings.TrimSpace(text))
		}
		return strings.Join(texts, "; ")
	}})
	return showOne(s, cmd.OutOrStdout(), op, details)
}

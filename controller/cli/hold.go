package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
)

var holdColumns = []column[api.Hold]{
	{"ACCOUNT", func(v api.Hold) string { return v.Address }},
	{"STATE", func(v api.Hold) string { return string(v.State) }},
	{"HELD SINCE", func(v api.Hold) string { return moment(v.Since) }},
	{"SENT", func(v api.Hold) string {
		return fmt.Sprintf("%d in %v, usually %d an hour", v.Sent, time.Duration(v.Over), v.Usual)
	}},
	{"MESSAGES HELD", func(v api.Hold) string { return number(v.Messages) }},
	{"BYTES", func(v api.Hold) string { return number(v.Bytes) }},
}

func (s *settings) heldCommand() *cobra.Command {
	var domain string
	cmd := s.ask("held [ADDRESS]", "List accounts whose mail is held because they send far more than usual", cobra.MaximumNArgs(1),
		func(cmd *cobra.Command, c *api.Client, args []string) error {
			filter := url.Values{}
			if domain != "" {
				filter.Set("domain", domain)
			}
			for _, address := range args {
				filter.Set("account", address)
			}
			list, err := c.Holds(cmd.Context(), filter)
			if err != nil {
				return err
			}
			return errors.Join(show(s, cmd.OutOrStdout(), list.Items, holdColumns), unanswered(list.Partial, list.Silent))
		})
	cmd.Flags().StringVar(&domain, "domain", "", "of this domain")
	return cmd
}

// onHold does something with the held mail of an account.
func (s *settings) onHold(verb, short, done string, do func(*api.Client, context.Context, string, uint64) (int, error)) *cobra.Command {
	return s.ask(verb+" ADDRESS", short, cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		n, err := do(c, cmd.Context(), args[0], 0)
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), done+"\n", args[0], n)
		}
		return err
	})
}

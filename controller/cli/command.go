package cli

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
)

// parent is a command that only holds others.
func parent(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: short + "." + exitHelp}
	c.AddCommand(subs...)
	return c
}

// ask is a command that runs fn with a client of the controller.
func (s *settings) ask(use, short string, args cobra.PositionalArgs, fn func(*cobra.Command, *api.Client, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, given []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			return fn(cmd, c, given)
		},
	}
}

// list is a command that prints a list of the API. Each filter is a query
// parameter and a flag of the same name.
func list[T any](s *settings, short string, from api.List[T], columns []column[T], filters ...[2]string) *cobra.Command {
	return listAs(s, short, from, fixed(columns), filters...)
}

// fixed are columns that nothing needs to be asked for.
func fixed[T any](columns []column[T]) func(context.Context, *api.Client) ([]column[T], error) {
	return func(context.Context, *api.Client) ([]column[T], error) { return columns, nil }
}

// listAs is list with columns that need to be asked for.
func listAs[T any](s *settings, short string, from api.List[T], columns func(context.Context, *api.Client) ([]column[T], error), filters ...[2]string) *cobra.Command {
	var limit int
	given := map[string]*[]string{}
	cmd := s.ask("list", short, cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		q := url.Values{}
		for name, values := range given {
			if len(*values) > 0 {
				q.Set(name, strings.Join(*values, ","))
			}
		}
		var items []T
		for item, err := range from.All(cmd.Context(), c, q) {
			if err != nil {
				return err
			}
			items = append(items, item)
			if len(items) == limit {
				break
			}
		}
		if s.output == "json" {
			return show(s, cmd.OutOrStdout(), items, nil)
		}
		shown, err := columns(cmd.Context(), c)
		if err != nil {
			return err
		}
		return show(s, cmd.OutOrStdout(), items, shown)
	})
	cmd.Flags().IntVar(&limit, "limit", 0, "stop after so many (0: all)")
	for _, f := range filters {
		given[f[0]] = cmd.Flags().StringSlice(f[0], nil, f[1])
	}
	return cmd
}

// remove is a command that deletes the things named.
func (s *settings) remove(use, short string, fn func(*cobra.Command, *api.Client, string) error) *cobra.Command {
	return s.ask(use, short, cobra.MinimumNArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		for _, ref := range args {
			if err := fn(cmd, c, ref); err != nil {
				return err
			}
		}
		return nil
	})
}

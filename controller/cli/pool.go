package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// poolColumns shows members by the names of their servers.
func poolColumns(ctx context.Context, c *api.Client) ([]column[inventory.Pool], error) {
	names, err := serverNames(ctx, c)
	return []column[inventory.Pool]{
		{"NAME", func(v inventory.Pool) string { return v.Name }},
		{"SERVICE", func(v inventory.Pool) string { return v.Service }},
		{"MEMBERS", func(v inventory.Pool) string {
			var texts []string
			for _, m := range v.Members {
				texts = append(texts, fmt.Sprintf("%s=%d", names[m.Server], m.Weight))
			}
			return strings.Join(texts, " ")
		}},
		{"MAX UNAVAILABLE", func(v inventory.Pool) string { return number(v.MaxUnavailable) }},
		{"PER REGION", func(v inventory.Pool) string { return number(v.PerRegion) }},
		{"DESCRIPTION", func(v inventory.Pool) string { return v.Description }},
		{"ID", func(v inventory.Pool) string { return string(v.ID) }},
	}, err
}

func (s *settings) showPool(cmd *cobra.Command, c *api.Client, pool inventory.Pool) error {
	columns, err := poolColumns(cmd.Context(), c)
	if err != nil {
		return err
	}
	return showOne(s, cmd.OutOrStdout(), pool, columns)
}

func (s *settings) poolCommand() *cobra.Command {
	var in api.NewPool
	add := s.ask("add NAME SERVICE [SERVER...]", "Make a pool of a service on servers", cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		in.Name, in.Service = args[0], args[1]
		for _, server := range args[2:] {
			in.Members = append(in.Members, api.NewMember{Server: server})
		}
		pool, err := c.CreatePool(cmd.Context(), in)
		if err != nil {
			return err
		}
		return s.showPool(cmd, c, pool)
	})
	add.Flags().StringVar(&in.Description, "description", "", "what it is for")
	add.Flags().IntVar(&in.MaxUnavailable, "max-unavailable", 1, "members out of service at once, for whatever reason")
	add.Flags().IntVar(&in.PerRegion, "per-region", 0, "least members in service that each region must keep")
	var weight int
	join := s.ask("join POOL SERVER...", "Put servers into a pool, or give them another weight", cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) (err error) {
		var pool inventory.Pool
		for _, server := range args[1:] {
			if pool, err = c.SetPoolMember(cmd.Context(), args[0], server, weight); err != nil {
				return err
			}
		}
		return s.showPool(cmd, c, pool)
	})
	join.Flags().IntVar(&weight, "weight", 1, "share of new connections; 0: drained")
	return parent("pool", "Servers that share a service's traffic",
		listAs(s, "List pools", api.Pools, poolColumns), add, join,
		s.ask("leave POOL SERVER...", "Take servers out of a pool", cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) (err error) {
			var pool inventory.Pool
			for _, server := range args[1:] {
				if pool, err = c.RemovePoolMember(cmd.Context(), args[0], server); err != nil {
					return err
				}
			}
			return s.showPool(cmd, c, pool)
		}),
		s.remove("remove POOL...", "Delete pools; their services stay", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeletePool(cmd.Context(), ref, 0)
		}),
	)
}

// windowColumns shows windows by the names of their servers.
func windowColumns(ctx context.Context, c *api.Client) ([]column[inventory.Window], error) {
	names, err := serverNames(ctx, c)
	return []column[inventory.Window]{
		{"FROM", func(v inventory.Window) string { return moment(v.From) }},
		{"TO", func(v inventory.Window) string {
			if !v.Closed.IsZero() {
				return moment(v.Closed)
			}
			return moment(v.To)
		}},
		{"SERVERS", func(v inventory.Window) string {
			if len(v.Servers) == 0 {
				return "all"
			}
			var texts []string
			for _, id := range v.Servers {
				texts = append(texts, names[id])
			}
			return strings.Join(texts, " ")
		}},
		{"REASON", func(v inventory.Window) string { return v.Reason }},
		{"BY", func(v inventory.Window) string { return v.Actor }},
		{"ID", func(v inventory.Window) string { return string(v.ID) }},
	}, err
}

func (s *settings) windowCommand() *cobra.Command {
	var in api.NewWindow
	var length, later time.Duration
	show := func(cmd *cobra.Command, c *api.Client, w inventory.Window) error {
		columns, err := windowColumns(cmd.Context(), c)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), w, columns)
	}
	open := s.ask("open [SERVER...]", "Open a maintenance window, now or later: its servers' alerts tell nobody", cobra.ArbitraryArgs, func(cmd *cobra.Command, c *api.Client, args []string) error {
		if in.Reason == "" {
			return usagef("say with --reason what is done")
		}
		in.Servers = args
		begin := time.Now().Add(later)
		if later > 0 {
			in.From = begin
		}
		in.To = begin.Add(length)
		w, err := c.CreateWindow(cmd.Context(), in)
		if err != nil {
			return err
		}
		return show(cmd, c, w)
	})
	open.ValidArgsFunction = s.completeServers
	open.Flags().StringVar(&in.Reason, "reason", "", "what is done")
	open.Flags().DurationVar(&length, "for", time.Hour, "how long")
	open.Flags().DurationVar(&later, "in", 0, "begin after this time")
	return parent("window", "Maintenance windows",
		listAs(s, "List windows", api.Windows, windowColumns), open,
		s.ask("close ID", "End a window now", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			w, err := c.CloseWindow(cmd.Context(), inventory.ID(args[0]))
			if err != nil {
				return err
			}
			return show(cmd, c, w)
		}),
		s.remove("remove ID...", "Delete windows that are not open", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteWindow(cmd.Context(), inventory.ID(ref), 0)
		}),
	)
}

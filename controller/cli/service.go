package cli

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// placed is a service with its server's name.
type placed struct {
	inventory.Service
	ServerName string `json:"server_name"`
}

var serviceColumns = []column[placed]{
	{"SERVER", func(v placed) string { return v.ServerName }},
	{"NAME", func(v placed) string { return v.Name }},
	{"STATE", func(v placed) string { return string(v.State) }},
	{"WANT", func(v placed) string { return string(v.Want) }},
	{"PID", func(v placed) string { return number(v.PID) }},
	{"RESTARTS", func(v placed) string { return number(v.Restarts) }},
	{"SINCE", func(v placed) string { return moment(v.Since) }},
	{"LAST EXIT", func(v placed) string { return v.Exit }},
	{"ID", func(v placed) string { return string(v.ID) }},
}

func (s *settings) serviceCommand() *cobra.Command {
	return parent("service", "Services on the servers",
		s.listServicesCommand(),
		s.onServices("start", "Start services", inventory.OpServiceStart),
		s.onServices("stop", "Stop services", inventory.OpServiceStop),
		s.onServices("restart", "Restart services", inventory.OpServiceRestart),
		s.onServices("reload", "Have services read their configuration again", inventory.OpServiceReload),
		s.onServices("drain", "Give services no new work", inventory.OpServiceDrain),
		s.onServices("undrain", "Give drained services work again", inventory.OpServiceUndrain),
		s.logCommand(),
	)
}

func (s *settings) listServicesCommand() *cobra.Command {
	var server string
	cmd := s.ask("list", "List services", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		var services []placed
		for v, err := range servers(cmd.Context(), c, server) {
			if err != nil {
				return err
			}
			for _, service := range v.Services {
				services = append(services, placed{service, v.Name})
			}
		}
		return show(s, cmd.OutOrStdout(), services, serviceColumns)
	})
	cmd.Flags().StringVar(&server, "server", "", "of this server")
	return cmd
}

// servers walks one server, or all.
func servers(ctx context.Context, c *api.Client, ref string) func(func(api.Server, error) bool) {
	if ref == "" {
		return api.Servers.All(ctx, c, url.Values{"limit": {"1000"}})
	}
	return func(yield func(api.Server, error) bool) { yield(c.Server(ctx, ref)) }
}

func (s *settings) logCommand() *cobra.Command {
	var lines int
	cmd := s.ask("log SERVER SERVICE", "Print the last lines a service wrote", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		log, err := c.ServiceLog(cmd.Context(), args[0], args[1], lines)
		if err != nil {
			return err
		}
		if s.output == "json" {
			return printJSON(cmd.OutOrStdout(), log)
		}
		for _, line := range log.Lines {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), plain(line)); err != nil {
				return err
			}
		}
		return nil
	})
	cmd.Flags().IntVar(&lines, "lines", 200, "how many")
	return cmd
}

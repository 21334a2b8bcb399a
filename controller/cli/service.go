package cli

import (
	"context"
	"encoding/json"
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
		s.addServiceCommand(), s.settingsCommand(), s.removeServiceCommand(),
		s.onServices("start", "Start services", inventory.OpServiceStart),
		s.onServices("stop", "Stop services", inventory.OpServiceStop),
		s.onServices("restart", "Restart services", inventory.OpServiceRestart),
		s.onServices("reload", "Have services read their configuration again", inventory.OpServiceReload),
		s.onServices("upgrade", "Have services run another release, and go back when that does not do well", inventory.OpServiceUpgrade),
		s.onServices("apply", "Put services' settings in force now", inventory.OpConfigApply),
		s.onServices("drain", "Give services no new work", inventory.OpServiceDrain),
		s.onServices("undrain", "Give drained services work again", inventory.OpServiceUndrain),
		s.logCommand(),
		s.crashCommand(),
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
	var follow bool
	cmd := s.ask("log SERVER SERVICE", "Print the last lines a service wrote", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		if follow {
			return s.followLog(cmd, c, args[0], args[1], lines)
		}
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
	cmd.Aliases = []string{"logs"}
	cmd.Flags().IntVar(&lines, "lines", 200, "how many")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print the lines that come, too, until interrupted")
	return cmd
}

// followLog prints a log as it grows; JSON is one line for each.
func (s *settings) followLog(cmd *cobra.Command, c *api.Client, server, service string, lines int) error {
	id, err := serviceID(cmd.Context(), c, server, service)
	if err != nil {
		return err
	}
	out, one := cmd.OutOrStdout(), json.NewEncoder(cmd.OutOrStdout())
	for line, err := range c.FollowLog(cmd.Context(), id, lines) {
		if cmd.Context().Err() != nil {
			return nil // interrupted, as it must be to end
		}
		if err != nil {
			return err
		}
		if s.output == "json" {
			err = one.Encode(line)
		} else {
			if line.Skipped > 0 {
				_, err = fmt.Fprintf(out, "… %d bytes are not shown …\n", line.Skipped)
			}
			if err == nil {
				_, err = fmt.Fprintln(out, plain(line.Line))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// crashCommand tells how a service ended.
func (s *settings) crashCommand() *cobra.Command {
	return s.ask("crash SERVER SERVICE", "Print how a service last ended without being asked to", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		id, err := serviceID(cmd.Context(), c, args[0], args[1])
		if err != nil {
			return err
		}
		crash, err := c.ServiceCrash(cmd.Context(), id)
		if err != nil {
			return err
		}
		if s.output == "json" {
			return printJSON(cmd.OutOrStdout(), crash)
		}
		for _, line := range crash.Lines {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), plain(line)); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, after %d restarts\n", moment(crash.Time), plain(crash.Exit), crash.Restarts)
		return err
	})
}

// serviceID finds a service by the names of its server and itself.
func serviceID(ctx context.Context, c *api.Client, server, service string) (inventory.ID, error) {
	v, err := c.Server(ctx, server)
	if err != nil {
		return "", err
	}
	for _, s := range v.Services {
		if s.Name == service {
			return s.ID, nil
		}
	}
	return "", fmt.Errorf("%s has no service %q", v.Name, service)
}

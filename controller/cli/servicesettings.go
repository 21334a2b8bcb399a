package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// addServiceCommand has an agent supervise a program or a unit. What the
// commonest flags do not say comes as the API has it, in a file.
func (s *settings) addServiceCommand() *cobra.Command {
	in := api.NewService{Kind: inventory.KindCommand}
	var file, probe string
	cmd := s.ask("add SERVER NAME [-- COMMAND [ARGUMENT...]]", "Have a server's agent supervise a program or a systemd unit", cobra.MinimumNArgs(2),
		func(cmd *cobra.Command, c *api.Client, args []string) error {
			if file != "" {
				if err := readSettings(cmd, file, &in.ServiceConfig); err != nil {
					return err
				}
			}
			in.Server, in.Name = args[0], args[1]
			if len(args) > 2 {
				in.Command = args[2:]
			}
			if in.Unit != "" {
				in.Kind = inventory.KindUnit
			}
			if probe != "" {
				in.Probe = &inventory.Probe{Kind: inventory.ProbeTCP, Address: probe}
			}
			service, err := c.AddService(cmd.Context(), in)
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), placed{service, args[0]}, serviceColumns)
		})
	cmd.ValidArgsFunction = s.completeServers
	f := cmd.Flags()
	f.StringVar(&file, "settings", "", "file with all settings as JSON, as service settings prints them (-: standard input)")
	f.StringVar(&in.Unit, "unit", "", "the systemd unit, instead of a command")
	f.StringVar(&in.Dir, "dir", "", "working directory")
	f.StringVar(&in.User, "user", "", "it runs as (default: the agent's)")
	f.StringToStringVar(&in.Env, "env", nil, "environment, as NAME=value")
	f.StringSliceVar(&in.After, "after", nil, "services of the server that must be ready first")
	f.StringVar(&probe, "tcp", "", "host:port that must take connections while it is well")
	return cmd
}

// settingsCommand prints a service's settings, or replaces them.
func (s *settings) settingsCommand() *cobra.Command {
	var file string
	cmd := s.ask("settings SERVER SERVICE", "Print a service's settings as JSON, or replace them from a file", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		id, err := serviceID(cmd.Context(), c, args[0], args[1])
		if err != nil {
			return err
		}
		service, err := c.Service(cmd.Context(), id)
		if err != nil {
			return err
		}
		if file == "" {
			return printJSON(cmd.OutOrStdout(), service.ServiceConfig)
		}
		var to inventory.ServiceConfig
		if err := readSettings(cmd, file, &to); err != nil {
			return err
		}
		if service, err = c.ChangeService(cmd.Context(), id, service.Version, api.ServiceChange{Config: &to}); err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), placed{service, args[0]}, serviceColumns)
	})
	cmd.ValidArgsFunction = s.completeServices
	cmd.Flags().StringVar(&file, "replace", "", "file with the new settings (-: standard input)")
	return cmd
}

// removeServiceCommand has an agent stop a service and forget it.
func (s *settings) removeServiceCommand() *cobra.Command {
	cmd := s.ask("remove SERVER SERVICE", "Stop a service and supervise it no more", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		id, err := serviceID(cmd.Context(), c, args[0], args[1])
		if err != nil {
			return err
		}
		return c.RemoveService(cmd.Context(), id, 0)
	})
	cmd.ValidArgsFunction = s.completeServices
	return cmd
}

// readSettings reads a service's settings. A name that is not one is an error.
func readSettings(cmd *cobra.Command, file string, into *inventory.ServiceConfig) error {
	r := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return Usage(err)
		}
		defer func() { _ = f.Close() }()
		r = f
	}
	d := json.NewDecoder(io.LimitReader(r, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return Usage(fmt.Errorf("the settings in %s: %w", file, err))
	}
	return nil
}

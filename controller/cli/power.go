package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var powerColumns = []column[inventory.Power]{
	{"KIND", func(v inventory.Power) string { return string(v.Kind) }},
	{"ADDRESS", func(v inventory.Power) string { return v.Address }},
	{"USER", func(v inventory.Power) string { return v.User }},
	{"PASSWORD KEPT", func(v inventory.Power) string { return strconv.FormatBool(v.HasSecret) }},
	{"MAC", func(v inventory.Power) string { return v.MAC }},
	{"COMMAND", func(v inventory.Power) string { return strings.Join(v.Command, " ") }},
	{"TESTED", func(v inventory.Power) string { return moment(v.Tested) }},
	{"RESULT", func(v inventory.Power) string { return v.Result }},
}

// powerCommand is about how servers' power is switched.
func (s *settings) powerCommand() *cobra.Command {
	show := s.ask("show SERVER", "Show how a server's power is switched", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		p, err := c.Power(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), p, powerColumns)
	})
	test := s.ask("test SERVER", "Ask a server's power driver whether it is on", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		status, err := c.TestPower(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), status, []column[api.PowerStatus]{
			{"POWER", func(v api.PowerStatus) string { return string(v.State) }},
			{"MESSAGE", func(v api.PowerStatus) string { return v.Message }},
			{"ASKED BY", func(v api.PowerStatus) string { return v.Via }},
			{"TOOK", func(v api.PowerStatus) string { return age(v.Took) }},
		})
	})
	forget := s.remove("remove SERVER...", "Forget how servers' power is switched", func(cmd *cobra.Command, c *api.Client, ref string) error {
		return c.RemovePower(cmd.Context(), ref, 0)
	})
	set := s.setPowerCommand()
	for _, cmd := range []*cobra.Command{show, set, test, forget} {
		cmd.ValidArgsFunction = s.completeServers
	}
	return parent("power", "How servers' power is switched", show, set, test, forget)
}

func (s *settings) setPowerCommand() *cobra.Command {
	var in api.NewPower
	var password bool
	cmd := s.ask("set SERVER KIND [-- COMMAND [ARGUMENT...]]", "Set how a server's power is switched: ipmi, redfish, wol, command or dev", cobra.MinimumNArgs(2),
		func(cmd *cobra.Command, c *api.Client, args []string) error {
			in.Kind, in.Command = inventory.PowerKind(args[1]), args[2:]
			if password {
				text, err := readPassword(cmd)
				if err != nil {
					return err
				}
				in.Password = &text
			}
			p, err := c.SetPower(cmd.Context(), args[0], 0, in)
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), p, powerColumns)
		})
	f := cmd.Flags()
	f.StringVar(&in.Address, "bmc", "", "the management controller's address; a URL for redfish; wol: the broadcast address")
	f.StringVar(&in.User, "user", "", "of the management controller")
	f.BoolVar(&password, "password", false, "read its password from the terminal or standard input; without, the one kept stays")
	f.StringVar(&in.MAC, "mac", "", "wol: hardware address")
	f.StringVar(&in.Via, "via", "", "server whose agent acts (default: one of the same region)")
	f.StringVar(&in.TLSPin, "tls-pin", "", "redfish: SHA-256 of its certificate, hexadecimal")
	return cmd
}

// preflightCommand shows whether servers are fit to serve mail.
func (s *settings) preflightCommand() *cobra.Command {
	show := s.ask("show SERVER", "Show what was checked on a server, and what to do about it", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		p, err := c.Preflight(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if s.output == "json" {
			return printJSON(cmd.OutOrStdout(), p)
		}
		return show(s, cmd.OutOrStdout(), p.Checks, []column[inventory.Check]{
			{"CHECK", func(v inventory.Check) string { return v.Name }},
			{"STATE", func(v inventory.Check) string { return string(v.State) }},
			{"FOUND", func(v inventory.Check) string { return v.Found }},
			{"WANTED", func(v inventory.Check) string { return v.Wanted }},
			{"WHAT TO DO", func(v inventory.Check) string { return v.Advice }},
		})
	})
	show.ValidArgsFunction = s.completeServers
	tune := &act{in: api.NewOperation{Kind: inventory.OpServerTune}}
	fix := s.ask("fix SERVER CHECK...", "Have the agent mend what these checks found", cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		tune.in.Targets = []api.NewTarget{{Server: args[0]}}
		tune.in.Params.Fixes = args[1:]
		return s.operate(cmd, c, tune)
	})
	tune.flags(fix.Flags())
	return parent("preflight", "Whether servers are fit to serve mail",
		list(s, "List servers by their worst check", api.Preflights, []column[api.Preflight]{
			{"SERVER", func(v api.Preflight) string { return v.ServerName }},
			{"WORST", func(v api.Preflight) string { return string(v.Worst) }},
			{"CHECKED", func(v api.Preflight) string { return moment(v.Checked) }},
		}), show,
		s.onServers("run", "Check servers now", inventory.OpServerPreflight), fix)
}

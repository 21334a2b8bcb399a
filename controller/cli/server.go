package cli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var serverColumns = []column[api.Server]{
	{"NAME", func(v api.Server) string { return v.Name }},
	{"STATE", func(v api.Server) string { return string(v.State) }},
	{"ADDRESS", func(v api.Server) string { return v.Address }},
	{"REGION", func(v api.Server) string { return v.Region }},
	{"SERVICES", func(v api.Server) string {
		var texts []string
		for _, s := range v.Services {
			texts = append(texts, s.Name+" "+string(s.State))
		}
		return strings.Join(texts, ", ")
	}},
	{"LAST SEEN", func(v api.Server) string { return moment(v.LastSeen) }},
	{"ID", func(v api.Server) string { return string(v.ID) }},
}

var serverDetails = append(slices.Clip(serverColumns), []column[api.Server]{
	{"SINCE", func(v api.Server) string { return moment(v.Since) }},
	{"MISSED BY", func(v api.Server) string { return strings.Join(v.Witnesses, ", ") }},
	{"LABELS", func(v api.Server) string { return pairs(v.Labels) }},
	{"AGENT", func(v api.Server) string { return v.AgentVersion }},
	{"CLOCK SKEW", func(v api.Server) string { return fmt.Sprintf("%.1fs", v.ClockSkew) }},
	{"CERTIFICATE", func(v api.Server) string { return moment(v.CertExpires) }},
	{"PROBLEM", func(v api.Server) string { return v.Problem }},
}...)

func pairs(m map[string]string) string {
	var texts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		texts = append(texts, k+"="+m[k])
	}
	return strings.Join(texts, " ")
}

func (s *settings) serverCommand() *cobra.Command {
	return parent("server", "Servers of the fleet",
		list(s, "List servers", api.Servers, serverColumns,
			[2]string{"state", "joining, up, suspect, down or removed"}, [2]string{"region", "of these regions"}),
		s.ask("show SERVER", "Show a server", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			server, err := c.Server(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), server, serverDetails)
		}),
		s.addServerCommand(),
		s.ask("invite SERVER", "Make a new token for a server's agent to join with", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			e, err := c.InviteServer(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.enrolment(cmd, e)
		}),
		s.onServers("reboot", "Reboot servers", inventory.OpServerReboot),
		s.onServers("shutdown", "Shut servers down", inventory.OpServerShutdown),
		s.onServers("poweron", "Switch servers on, and wait for their agents", inventory.OpServerPowerOn),
		s.onServers("powercycle", "Switch servers off and on again by their power driver", inventory.OpServerPowerCycle),
		s.onServers("upgrade", "Have servers run another release of the agent, and go back when that does not come up", inventory.OpAgentUpgrade),
		s.remove("remove SERVER...", "Take servers from the fleet", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.RemoveServer(cmd.Context(), ref, 0)
		}),
	)
}

func (s *settings) addServerCommand() *cobra.Command {
	var in api.NewServer
	cmd := s.ask("add NAME ADDRESS", "Add a server and print the line to run on it", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		in.Name, in.Address = args[0], args[1]
		e, err := c.AddServer(cmd.Context(), in)
		if err != nil {
			return err
		}
		return s.enrolment(cmd, e)
	})
	cmd.Flags().StringVar(&in.Region, "region", "", "where it is")
	cmd.Flags().StringToStringVar(&in.Labels, "label", nil, "labels, as name=value")
	return cmd
}

func (s *settings) enrolment(cmd *cobra.Command, e api.Enrolment) error {
	return showOne(s, cmd.OutOrStdout(), e, []column[api.Enrolment]{
		{"SERVER", func(e api.Enrolment) string { return e.Server.Name }},
		{"EXPIRES", func(e api.Enrolment) string { return moment(e.Expires) }},
		{"RUN THERE", func(e api.Enrolment) string { return e.Command }},
	})
}

// serverNames are the names of all servers that ever were, by id.
func serverNames(ctx context.Context, c *api.Client) (map[inventory.ID]string, error) {
	names := map[inventory.ID]string{}
	states := url.Values{"state": {"joining,up,suspect,down,removed"}, "limit": {"1000"}}
	for server, err := range api.Servers.All(ctx, c, states) {
		if err != nil {
			return nil, err
		}
		names[server.ID] = server.Name
	}
	return names, nil
}

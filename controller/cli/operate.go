package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// act is an operation as flags describe it.
type act struct {
	in      api.NewOperation
	rolling api.NewRolling
	rolled  bool
	wait    bool
	preview bool
	expires time.Duration
	health  time.Duration
	drain   bool
	undo    bool
	window  bool
}

// flags are those that every operation has.
func (a *act) flags(f *pflag.FlagSet) {
	f.StringVar(&a.in.Reason, "reason", "", "why; it is kept with the operation")
	f.DurationVar(&a.expires, "expires", 0, "give up what has not begun by then (default 5m)")
	f.BoolVar(&a.wait, "wait", false, "wait for the end; exit code 1 unless it succeeded")
	f.BoolVar(&a.preview, "preview", false, "only say what it would do")
	f.BoolVar(&a.in.Approval, "approval", false, "begin when a second person has approved it")
	f.StringVar(&a.in.Confirm, "confirm", "", "what the preview asks to be typed: the server's name, or the number of targets")
	f.StringSliceVar(&a.in.Override, "override", nil, "pass over refusals of the preview, by name")
	f.BoolVar(&a.window, "window", true, "silence alerts of its targets while it lasts")
	if k := a.in.Kind; k == "" || k == inventory.OpServiceUpgrade || k == inventory.OpAgentUpgrade {
		f.StringVar(&a.in.Params.Release, "release", "", "build to run, by version or id (upgrades)")
	}
}

// spread are the flags of what goes over several targets.
func (a *act) spread(f *pflag.FlagSet) {
	f.StringVarP(&a.in.Selector, "selector", "l", "", "targets by terms that must all hold, such as region=hk,service=mailnode")
	f.IntVar(&a.rolling.Batch, "batch", 0, "go over the targets so many at once (default: all)")
	f.IntVar(&a.rolling.MaxUnavailable, "max-unavailable", 0, "of all that the selector covers, down for whatever reason (default: --batch)")
	f.DurationVar(&a.health, "health", 0, "how long a batch must be well before the next begins (default 5s)")
	f.BoolVar(&a.drain, "drain", true, "drain each target first and undrain it after, when going over them in batches")
	f.BoolVar(&a.undo, "undo", true, "on failure undo what was opened")
}

// request completes the operation from the flags that were given.
func (a *act) request(f *pflag.FlagSet) api.NewOperation {
	a.in.Expires = inventory.Duration(a.expires)
	if f.Changed("window") {
		a.in.Window = &a.window
	}
	for _, name := range []string{"batch", "max-unavailable", "health", "drain", "undo"} {
		a.rolled = a.rolled || f.Changed(name)
	}
	if a.rolled {
		a.rolling.Health = inventory.Duration(a.health)
		if f.Changed("drain") {
			a.rolling.Drain = &a.drain
		}
		if f.Changed("undo") {
			a.rolling.Compensate = &a.undo
		}
		a.in.Rolling = &a.rolling
	}
	return a.in
}

// run previews the operation or has it done.
func (s *settings) operate(cmd *cobra.Command, c *api.Client, a *act) error {
	in := a.request(cmd.Flags())
	var err error
	if in.Params.Release, err = releaseID(cmd.Context(), c, in.Kind, in.Params.Release); err != nil {
		return err
	}
	if a.preview {
		impact, err := c.PreviewOperation(cmd.Context(), in)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), impact, impactColumns)
	}
	op, err := c.CreateOperation(cmd.Context(), string(inventory.NewID()), in)
	if err != nil {
		return err
	}
	return s.follow(cmd, c, op, a.wait)
}

var impactColumns = []column[api.Impact]{
	{"TARGETS", func(v api.Impact) string {
		var names []string
		for _, t := range v.Targets {
			names = append(names, strings.Trim(t.ServerName+"/"+t.Target.Service, "/"))
		}
		return strings.Join(names, " ")
	}},
	{"BATCHES", func(v api.Impact) string { return number(v.Batches) }},
	{"USERS", func(v api.Impact) string { return number(v.Users) }},
	{"SESSIONS", func(v api.Impact) string { return known(v.Sessions) }},
	{"QUEUED MAIL", func(v api.Impact) string { return known(v.Queued) }},
	{"UNAVAILABLE NOW", func(v api.Impact) string { return number(v.Down) }},
	{"WARNINGS", func(v api.Impact) string { return strings.Join(v.Warnings, "; ") }},
	{"REFUSED FOR", func(v api.Impact) string {
		var texts []string
		for _, r := range v.Refusals {
			texts = append(texts, r.Message+" (--override "+r.Name+")")
		}
		return strings.Join(texts, "; ")
	}},
	{"APPROVAL", func(v api.Impact) string { return number(v.Approval) }},
	{"CONFIRM WITH", func(v api.Impact) string { return v.Confirm }},
}

func known(n int) string {
	if n < 0 {
		return "not known"
	}
	return number(n)
}

// parseTarget reads server or server/service.
func parseTarget(s string) api.NewTarget {
	server, service, _ := strings.Cut(s, "/")
	return api.NewTarget{Server: server, Service: service}
}

// createOperationCommand asks for an operation of any kind.
func (s *settings) createOperationCommand() *cobra.Command {
	a := &act{}
	cmd := s.ask("create KIND [SERVER[/SERVICE]...]", "Act on servers or services, by name or by --selector", cobra.MinimumNArgs(1),
		func(cmd *cobra.Command, c *api.Client, args []string) error {
			a.in.Kind = inventory.OperationKind(args[0])
			for _, t := range args[1:] {
				a.in.Targets = append(a.in.Targets, parseTarget(t))
			}
			return s.operate(cmd, c, a)
		})
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return s.completeServers(cmd, args[1:], "")
		}
		var kinds []string
		for _, k := range inventory.OperationKinds {
			kinds = append(kinds, string(k))
		}
		return kinds, cobra.ShellCompDirectiveNoFileComp
	}
	a.flags(cmd.Flags())
	a.spread(cmd.Flags())
	cmd.Flags().StringSliceVar(&a.in.Params.Fixes, "fix", nil, "checks to mend, by name (server.tune)")
	return cmd
}

// onServers is a command that acts on servers: those named, or a selector's.
func (s *settings) onServers(verb, short string, kind inventory.OperationKind) *cobra.Command {
	a := &act{in: api.NewOperation{Kind: kind}}
	cmd := s.ask(verb+" [SERVER...]", short, cobra.ArbitraryArgs, func(cmd *cobra.Command, c *api.Client, args []string) error {
		for _, name := range args {
			a.in.Targets = append(a.in.Targets, api.NewTarget{Server: name})
		}
		if len(args) == 0 && a.in.Selector == "" {
			return usagef("name servers, or give --selector")
		}
		return s.operate(cmd, c, a)
	})
	cmd.ValidArgsFunction = s.completeServers
	a.flags(cmd.Flags())
	a.spread(cmd.Flags())
	return cmd
}

// onServices is a command that acts on services: one named, or a selector's.
func (s *settings) onServices(verb, short string, kind inventory.OperationKind) *cobra.Command {
	a := &act{in: api.NewOperation{Kind: kind}}
	cmd := s.ask(verb+" [SERVER SERVICE]", short, cobra.MaximumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		switch {
		case len(args) == 2:
			a.in.Targets = []api.NewTarget{{Server: args[0], Service: args[1]}}
		case len(args) == 1 || a.in.Selector == "":
			return usagef("name a server and a service, or give --selector")
		}
		return s.operate(cmd, c, a)
	})
	cmd.ValidArgsFunction = s.completeServices
	a.flags(cmd.Flags())
	a.spread(cmd.Flags())
	return cmd
}

// completeServers offers the names of servers that are not named yet.
func (s *settings) completeServers(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for v, err := range servers(cmd.Context(), c, "") {
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		if !slices.Contains(given, v.Name) {
			names = append(names, fmt.Sprintf("%s\t%s %s", v.Name, v.State, v.Region))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeServices offers a server, then its services.
func (s *settings) completeServices(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) == 0 {
		return s.completeServers(cmd, nil, "")
	}
	c, err := s.client()
	if err != nil || len(given) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	server, err := c.Server(cmd.Context(), given[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, v := range server.Services {
		names = append(names, v.Name+"\t"+string(v.State))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var mailColumns = []column[inventory.Domain]{
	{"DOMAIN", func(v inventory.Domain) string { return v.Name }},
	{"DELIMITER", func(v inventory.Domain) string { return v.Mail.Delimiter }},
	{"CATCH ALL", func(v inventory.Domain) string { return v.Mail.CatchAll }},
	{"ABUSE", func(v inventory.Domain) string { return v.Mail.Abuse }},
	{"DMARC", func(v inventory.Domain) string { return string(v.Mail.DMARC) }},
	{"GREYLISTING", func(v inventory.Domain) string { return string(v.Mail.Greylisting) }},
	{"BLOCKLISTS", func(v inventory.Domain) string { return string(v.Mail.Blocklists) }},
	{"REVERSE NAMES", func(v inventory.Domain) string { return string(v.Mail.ReverseNames) }},
	{"ROUTE", func(v inventory.Domain) string { return routeText(v.Mail.Route) }},
	{"HOOKS", func(v inventory.Domain) string { return number(len(v.Mail.Hooks)) }},
	{"MTA-STS", func(v inventory.Domain) string { return v.Mail.MTASTS }},
	{"REPORTS TO", func(v inventory.Domain) string { return v.Mail.Report }},
	{"POLICY", func(v inventory.Domain) string { return string(v.Mail.Policy) }},
}

// routeText is a smart host in one word.
func routeText(r inventory.Route) string {
	if r.Host == "" {
		return ""
	}
	text := r.Host
	if r.Port != 0 {
		text += ":" + strconv.Itoa(r.Port)
	}
	if r.User != "" {
		text = r.User + "@" + text
	}
	if r.TLS != "" {
		text += " (" + r.TLS + ")"
	}
	return text
}

func (s *settings) domainMailCommand() *cobra.Command {
	get := s.ask("get DOMAIN", "Show how a domain's mail is handled; what is empty is as the server has it", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		domain, err := c.Domain(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if s.output == "json" {
			return printJSON(cmd.OutOrStdout(), domain.Mail)
		}
		return showOne(s, cmd.OutOrStdout(), domain, mailColumns)
	})
	get.ValidArgsFunction = s.completeDomains
	get.Example = `  mailfleet-controller domain mail get example.test
  mailfleet-controller domain mail get example.test -o json`
	return parent("mail", "How a domain's mail is handled", get, s.setDomainMailCommand())
}

// choices are flags of a fixed set of values, which the shell completes.
func choices(cmd *cobra.Command, to *string, name, usage string, values ...string) {
	cmd.Flags().StringVar(to, name, "", usage+": "+strings.Join(values, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func (s *settings) setDomainMailCommand() *cobra.Command {
	var to inventory.DomainMail
	cmd := s.ask("set DOMAIN", "Change how a domain's mail is handled; what is not named stays, an empty value is as the server has it", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *api.Client, args []string) error {
			if cmd.Flags().NFlag() == 0 {
				return usagef("name what is to be changed")
			}
			return s.changeMail(cmd, c, args[0], nil, func(m *inventory.DomainMail) error {
				for name, field := range map[string][2]*string{
					"delimiter": {&m.Delimiter, &to.Delimiter}, "catch-all": {&m.CatchAll, &to.CatchAll}, "abuse": {&m.Abuse, &to.Abuse},
					"dmarc": {(*string)(&m.DMARC), (*string)(&to.DMARC)}, "greylisting": {(*string)(&m.Greylisting), (*string)(&to.Greylisting)},
					"blocklists": {(*string)(&m.Blocklists), (*string)(&to.Blocklists)}, "reverse-names": {(*string)(&m.ReverseNames), (*string)(&to.ReverseNames)},
					"mta-sts": {&m.MTASTS, &to.MTASTS}, "report": {&m.Report, &to.Report}, "policy": {(*string)(&m.Policy), (*string)(&to.Policy)},
				} {
					if cmd.Flags().Changed(name) {
						*field[0] = *field[1]
					}
				}
				return nil
			})
		})
	f := cmd.Flags()
	f.StringVar(&to.Delimiter, "delimiter", "", "parts a sub-address from its account's: one character, or none")
	f.StringVar(&to.CatchAll, "catch-all", "", "who gets what is for nobody")
	f.StringVar(&to.Abuse, "abuse", "", "who gets the mail for abuse")
	f.StringVar(&to.Report, "report", "", "who gets the reports of others on the domain")
	choices(cmd, (*string)(&to.DMARC), "dmarc", "the most that is done with mail that fails its author's policy", "none", "mark", "quarantine", "refuse")
	choices(cmd, (*string)(&to.Greylisting), "greylisting", "defer what comes from a stranger for the first time", "on", "off")
	choices(cmd, (*string)(&to.Blocklists), "blocklists", "refuse mail from addresses on blocklists", "on", "off")
	choices(cmd, (*string)(&to.ReverseNames), "reverse-names", "what is done without a name that leads back", "none", "mark", "refuse")
	choices(cmd, &to.MTASTS, "mta-sts", "mode of the policy that the DNS records announce", "none", "testing", "enforce")
	choices(cmd, (*string)(&to.Policy), "policy", "what others are asked to do with mail that only pretends to be the domain's", "none", "quarantine", "refuse")
	cmd.ValidArgsFunction = s.completeDomains
	cmd.Example = `  mailfleet-controller domain mail set example.test --dmarc quarantine --greylisting off
  mailfleet-controller domain mail set example.test --catch-all user1@example.test
  mailfleet-controller domain mail set example.test --catch-all ""`
	return cmd
}

// changeMail changes a domain's settings in the version it was read in.
func (s *settings) changeMail(cmd *cobra.Command, c *api.Client, ref string, password *string, change func(*inventory.DomainMail) error) error {
	domain, err := c.Domain(cmd.Context(), ref)
	if err != nil {
		return err
	}
	in := api.NewDomainMail{DomainMail: domain.Mail, RoutePassword: password}
	if err := change(&in.DomainMail); err != nil {
		return err
	}
	if domain, err = c.SetDomainMail(cmd.Context(), domain.Name, domain.Version, in); err != nil {
		return err
	}
	if s.output == "json" {
		return printJSON(cmd.OutOrStdout(), domain.Mail)
	}
	return showOne(s, cmd.OutOrStdout(), domain, mailColumns)
}

// routeCommand sets the smart host of a domain.
func (s *settings) routeCommand() *cobra.Command {
	var to inventory.Route
	set := s.ask("set DOMAIN HOST", "Send a domain's mail to others by a smart host; with --user its password is read from the terminal or standard input", cobra.ExactArgs(2),
		func(cmd *cobra.Command, c *api.Client, args []string) error {
			to.Host = args[1]
			var password *string
			if to.User != "" {
				text, err := readPassword(cmd)
				if err != nil {
					return err
				}
				password = &text
			}
			return s.changeMail(cmd, c, args[0], password, func(m *inventory.DomainMail) error { m.Route = to; return nil })
		})
	set.Flags().IntVar(&to.Port, "port", 0, "default 587, with TLS from the first byte 465")
	set.Flags().StringVar(&to.User, "user", "", "who to sign in as")
	choices(set, &to.TLS, "tls", "default required", "opportunistic", "required", "implicit")
	set.Example = `  mailfleet-controller route set example.test relay.example.net --tls required
  mailfleet-controller route set example.test relay.example.net --user relay <password.txt`
	set.ValidArgsFunction = s.completeDomains
	clear := s.ask("clear DOMAIN", "Send a domain's mail to where it is for", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		return s.changeMail(cmd, c, args[0], nil, func(m *inventory.DomainMail) error { m.Route = inventory.Route{}; return nil })
	})
	clear.ValidArgsFunction = s.completeDomains
	routes := fixed([]column[inventory.Domain]{mailColumns[0], mailColumns[8]})
	return parent("route", "Smart hosts that take domains' mail to others", listAs(s, "List domains and their smart hosts", api.Domains, routes), set, clear)
}

// ownedHook is a hook and its domain.
type ownedHook struct {
	Domain string `json:"domain"`
	inventory.Hook
}

var hookColumns = []column[ownedHook]{
	{"DOMAIN", func(v ownedHook) string { return v.Domain }},
	{"URL", func(v ownedHook) string { return v.URL }},
	{"EVENTS", func(v ownedHook) string { return strings.Join(v.Events, " ") }},
	{"ID", func(v ownedHook) string { return string(v.ID) }},
}

func (s *settings) hookCommand() *cobra.Command {
	list := s.ask("list DOMAIN", "List who is told of a domain's mail by HTTP", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		domain, err := c.Domain(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		var hooks []ownedHook
		for _, h := range domain.Mail.Hooks {
			hooks = append(hooks, ownedHook{domain.Name, h})
		}
		return show(s, cmd.OutOrStdout(), hooks, hookColumns)
	})
	var in api.NewHook
	add := s.ask("add DOMAIN URL", "Tell somebody of a domain's mail; the secret that events are signed with is shown once", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		in.URL = args[1]
		hook, err := c.CreateHook(cmd.Context(), args[0], in)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), hook, []column[api.IssuedHook]{
			{"ID", func(v api.IssuedHook) string { return string(v.ID) }},
			{"URL", func(v api.IssuedHook) string { return v.URL }},
			{"EVENTS", func(v api.IssuedHook) string { return strings.Join(v.Events, " ") }},
			{"SECRET", func(v api.IssuedHook) string { return v.Secret }},
		})
	})
	add.Flags().StringSliceVar(&in.Events, "event", nil, strings.Join(inventory.HookEvents, ", ")+" (default: all)")
	_ = add.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(inventory.HookEvents, cobra.ShellCompDirectiveNoFileComp))
	add.Example = `  mailfleet-controller hook add example.test https://hooks.example.test/mail --event bounced,deferred`
	remove := s.ask("remove DOMAIN ID...", "Tell somebody no more", cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		for _, id := range args[1:] {
			if err := c.DeleteHook(cmd.Context(), args[0], inventory.ID(id)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, cmd := range []*cobra.Command{list, add, remove} {
		cmd.ValidArgsFunction = s.completeDomains
	}
	return parent("hook", "Who is told of domains' mail by HTTP", list, add, remove)
}

// completeDomains offers the names of domains for the first argument.
func (s *settings) completeDomains(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return complete(s, cmd.Context(), api.Domains, func(d inventory.Domain) string { return d.Name })
}

// completeAccounts offers the addresses of accounts for the first argument.
func (s *settings) completeAccounts(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return complete(s, cmd.Context(), api.Accounts, func(a inventory.Account) string { return a.Address })
}

// mostOffered bounds what the shell is offered: nobody reads more.
const mostOffered = 500

func complete[T any](s *settings, ctx context.Context, from api.List[T], name func(T) string) (names []string, _ cobra.ShellCompDirective) {
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for item, err := range from.All(ctx, c, nil) {
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		if names = append(names, name(item)); len(names) == mostOffered {
			break
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

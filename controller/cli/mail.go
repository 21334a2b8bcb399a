package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var domainColumns = []column[inventory.Domain]{
	{"NAME", func(v inventory.Domain) string { return v.Name }},
	{"POSTMASTER", func(v inventory.Domain) string { return v.Postmaster }},
	{"ID", func(v inventory.Domain) string { return string(v.ID) }},
}

func (s *settings) domainCommand() *cobra.Command {
	var in api.NewDomain
	add := s.ask("add DOMAIN", "Serve a mail domain", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		in.Name = args[0]
		domain, err := c.CreateDomain(cmd.Context(), in)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), domain, domainColumns)
	})
	add.Flags().StringVar(&in.Postmaster, "postmaster", "", "account that gets postmaster@")
	return parent("domain", "Mail domains",
		list(s, "List mail domains", api.Domains, domainColumns), add, s.setDomainCommand(), s.domainMailCommand(), s.domainRecordsCommand(),
		s.remove("remove DOMAIN...", "Serve mail domains no more", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteDomain(cmd.Context(), ref, 0)
		}),
	)
}

// setDomainCommand changes what is named and leaves the rest.
func (s *settings) setDomainCommand() *cobra.Command {
	var to api.NewDomain
	var tenant, plan string
	var accounts int
	cmd := s.ask("set DOMAIN", "Change a mail domain; what is not named stays", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		now, err := c.Domain(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		f := cmd.Flags()
		in := api.NewDomain{Name: now.Name, Postmaster: now.Postmaster}
		if f.Changed("postmaster") {
			in.Postmaster = to.Postmaster
		}
		if f.Changed("tenant") {
			in.Tenant = &tenant
		}
		if f.Changed("plan") {
			in.Plan = &plan
		}
		if f.Changed("max-accounts") {
			in.MaxAccounts = &accounts
		}
		if now, err = c.ReplaceDomain(cmd.Context(), now.Name, now.Version, in); err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), now, domainColumns)
	})
	f := cmd.Flags()
	f.StringVar(&to.Postmaster, "postmaster", "", "account that gets postmaster@")
	f.StringVar(&tenant, "tenant", "", "it belongs to; empty: the operator")
	f.StringVar(&plan, "plan", "", "of its accounts that name none; empty: the tenant's")
	f.IntVar(&accounts, "max-accounts", 0, "0: no limit")
	return cmd
}

func accountColumns(ctx context.Context, c *api.Client) ([]column[inventory.Account], error) {
	names, err := serverNames(ctx, c)
	return []column[inventory.Account]{
		{"ADDRESS", func(v inventory.Account) string { return v.Address }},
		{"NAME", func(v inventory.Account) string { return v.Name }},
		{"STATE", func(v inventory.Account) string { return string(v.State) }},
		{"SERVER", func(v inventory.Account) string { return names[v.Server] }},
		{"ID", func(v inventory.Account) string { return string(v.ID) }},
	}, err
}

func (s *settings) showAccount(cmd *cobra.Command, c *api.Client, account inventory.Account) error {
	columns, err := accountColumns(cmd.Context(), c)
	if err != nil {
		return err
	}
	return showOne(s, cmd.OutOrStdout(), account, columns)
}

func (s *settings) accountCommand() *cobra.Command {
	return parent("account", "Mail accounts",
		listAs(s, "List accounts", api.Accounts, accountColumns,
			[2]string{"domain", "of these domains"}, [2]string{"server", "at home on these servers"}, [2]string{"state", "active or suspended"}),
		s.addAccountCommand(), s.showAccountCommand(),
		s.ask("password ADDRESS", "Set an account's password, read from the terminal or standard input", cobra.ExactArgs(1),
			func(cmd *cobra.Command, c *api.Client, args []string) error {
				password, err := readPassword(cmd)
				if err != nil {
					return err
				}
				return s.changeAccount(cmd, c, args[0], api.AccountChange{Password: &password})
			}),
		s.ask("plan ADDRESS [PLAN]", "Give an account a plan of its own, or (without one) its domain's", cobra.RangeArgs(1, 2),
			func(cmd *cobra.Command, c *api.Client, args []string) error {
				plan := strings.Join(args[1:], "")
				return s.changeAccount(cmd, c, args[0], api.AccountChange{Plan: &plan})
			}),
		s.accountStateCommand("suspend", "Suspend an account", inventory.AccountSuspended),
		s.accountStateCommand("resume", "End an account's suspension", inventory.AccountActive),
		s.heldCommand(),
		s.onHold("release", "Let an account send again whose mail is held, and its held mail go",
			"%s may send again; entries of the queue released: %d", (*api.Client).ReleaseHold),
		s.onHold("delete-held", "Delete the held mail of an account; the account stays held",
			"%s is still held; entries of the queue deleted: %d", (*api.Client).DeleteHeldMail),
		s.remove("remove ADDRESS...", "Delete accounts", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteAccount(cmd.Context(), ref, 0)
		}),
	)
}

func (s *settings) addAccountCommand() *cobra.Command {
	var in api.NewAccount
	cmd := s.ask("add ADDRESS", "Create an account; its password is read from the terminal or standard input", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *api.Client, args []string) (err error) {
			in.Address = args[0]
			if in.Password, err = readPassword(cmd); err != nil {
				return err
			}
			account, err := c.CreateAccount(cmd.Context(), in)
			if err != nil {
				return err
			}
			return s.showAccount(cmd, c, account)
		})
	cmd.Flags().StringVar(&in.Name, "name", "", "of the person")
	cmd.Flags().StringVar(&in.Server, "server", "", "home server (default: the one with the fewest accounts)")
	return cmd
}

func (s *settings) accountStateCommand(verb, short string, state inventory.AccountState) *cobra.Command {
	return s.ask(verb+" ADDRESS", short, cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		return s.changeAccount(cmd, c, args[0], api.AccountChange{State: &state})
	})
}

func (s *settings) changeAccount(cmd *cobra.Command, c *api.Client, address string, change api.AccountChange) error {
	account, err := c.ChangeAccount(cmd.Context(), address, 0, change)
	if err != nil {
		return err
	}
	return s.showAccount(cmd, c, account)
}

// readPassword reads a line without showing it. Passwords are no arguments:
// everybody on the machine can see those.
func readPassword(cmd *cobra.Command) (string, error) {
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		cmd.PrintErr("Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		cmd.PrintErrln()
		return string(b), err
	}
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", Usage(fmt.Errorf("no password on standard input: %w", err))
	}
	return line, nil
}

package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// addressOf is one of the other addresses of an account, or one its mail goes to.
type addressOf struct {
	Account string `json:"account"`
	Address string `json:"address"`
}

var aliasColumns = []column[addressOf]{
	{"ACCOUNT", func(v addressOf) string { return v.Account }},
	{"ALIAS", func(v addressOf) string { return v.Address }},
}

// aliasCommand is about the other addresses of accounts; those of several people are groups.
func (s *settings) aliasCommand() *cobra.Command {
	change := func(use, short string, edit func(have, named []string) []string) *cobra.Command {
		cmd := s.ask(use, short, cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
			account, err := c.Account(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			list := edit(account.Aliases, args[1:])
			if list == nil {
				list = []string{}
			}
			if account, err = c.ChangeAccount(cmd.Context(), string(account.ID), account.Version, api.AccountChange{Aliases: list}); err != nil {
				return err
			}
			return s.showAliases(cmd, account)
		})
		cmd.ValidArgsFunction = s.completeAccounts
		return cmd
	}
	list := s.ask("list ACCOUNT", "List the other addresses of an account", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		account, err := c.Account(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return s.showAliases(cmd, account)
	})
	list.ValidArgsFunction = s.completeAccounts
	add := change("add ACCOUNT ALIAS...", "Give an account other addresses", func(have, named []string) []string {
		for _, a := range named {
			if !slices.Contains(have, a) {
				have = append(have, a)
			}
		}
		return have
	})
	add.Example = `  mailfleet-controller alias add user1@example.test info@example.test sales@example.test`
	remove := change("remove ACCOUNT ALIAS...", "Take addresses from an account", func(have, named []string) []string {
		return slices.DeleteFunc(have, func(a string) bool { return slices.Contains(named, a) })
	})
	return parent("alias", "Other addresses of accounts (of several people: group)", list, add, remove)
}

func (s *settings) showAliases(cmd *cobra.Command, account inventory.Account) error {
	var shown []addressOf
	for _, a := range account.Aliases {
		shown = append(shown, addressOf{account.Address, a})
	}
	return show(s, cmd.OutOrStdout(), shown, aliasColumns)
}

// forwarding is where an account's mail goes.
type forwarding struct {
	Account string `json:"account"`
	inventory.Forward
}

var forwardColumns = []column[forwarding]{
	{"ACCOUNT", func(v forwarding) string { return v.Account }},
	{"FORWARDED TO", func(v forwarding) string { return strings.Join(v.To, " ") }},
	{"COPY KEPT", func(v forwarding) string {
		if len(v.To) == 0 {
			return ""
		}
		return number(v.Keep)
	}},
}

func (s *settings) forwardCommand() *cobra.Command {
	set := func(cmd *cobra.Command, c *api.Client, ref string, to inventory.Forward) error {
		account, err := c.ChangeAccount(cmd.Context(), ref, 0, api.AccountChange{Forward: &to})
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), forwarding{account.Address, account.Forward}, forwardColumns)
	}
	show := s.ask("show ACCOUNT", "Show where an account's mail goes", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		account, err := c.Account(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), forwarding{account.Address, account.Forward}, forwardColumns)
	})
	keep := false
	to := s.ask("set ACCOUNT TO...", "Forward an account's mail, in place of where it went", cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		return set(cmd, c, args[0], inventory.Forward{To: args[1:], Keep: keep})
	})
	to.Flags().BoolVar(&keep, "keep", false, "a copy stays in the mailbox")
	to.Example = `  mailfleet-controller forward set user1@example.test user1@elsewhere.example --keep`
	clear := s.ask("clear ACCOUNT", "Forward an account's mail no more", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		return set(cmd, c, args[0], inventory.Forward{})
	})
	for _, cmd := range []*cobra.Command{show, to, clear} {
		cmd.ValidArgsFunction = s.completeAccounts
	}
	return parent("forward", "Where accounts' mail goes besides, or instead of, their mailboxes", show, to, clear)
}

package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var groupColumns = []column[inventory.Group]{
	{"ADDRESS", func(v inventory.Group) string { return v.Address }},
	{"NAME", func(v inventory.Group) string { return v.Name }},
	{"WRITERS", func(v inventory.Group) string { return string(v.Writers) }},
	{"MEMBERS", func(v inventory.Group) string { return strings.Join(v.Members, " ") }},
	{"ID", func(v inventory.Group) string { return string(v.ID) }},
}

func (s *settings) groupCommand() *cobra.Command {
	var in api.NewGroup
	add := s.ask("add ADDRESS MEMBER...", "Make a group; with one member it is an alias", cobra.MinimumNArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		in.Address, in.Members = args[0], args[1:]
		group, err := c.CreateGroup(cmd.Context(), in)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), group, groupColumns)
	})
	add.Flags().StringVar(&in.Name, "name", "", "of the group")
	add.Flags().StringVar((*string)(&in.Writers), "writers", "", "anyone, domain or members (default anyone)")
	return parent("group", "Groups and aliases of domains",
		list(s, "List groups", api.Groups, groupColumns, [2]string{"domain", "of these domains"}, [2]string{"member", "with these members"}), add,
		s.remove("remove ADDRESS...", "Delete groups", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteGroup(cmd.Context(), ref, 0)
		}))
}

var dkimColumns = []column[inventory.DKIMKey]{
	{"DOMAIN", func(v inventory.DKIMKey) string { return v.Domain }},
	{"SELECTOR", func(v inventory.DKIMKey) string { return v.Selector }},
	{"ALGORITHM", func(v inventory.DKIMKey) string { return v.Algorithm }},
	{"STATE", func(v inventory.DKIMKey) string { return v.State }},
	{"SINCE", func(v inventory.DKIMKey) string { return moment(v.Since) }},
	{"ID", func(v inventory.DKIMKey) string { return string(v.ID) }},
}

func (s *settings) dkimCommand() *cobra.Command {
	change := func(use, short, state string) *cobra.Command {
		return s.ask(use, short, cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			key, err := c.ChangeDKIMKey(cmd.Context(), inventory.ID(args[0]), 0, api.DKIMKeyChange{State: state})
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), key, dkimColumns)
		})
	}
	return parent("dkim", "Keys that domains sign their mail with",
		list(s, "List keys", api.DKIMKeys, dkimColumns, [2]string{"domain", "of these domains"}, [2]string{"state", "next, active or retired"}),
		s.ask("add DOMAIN ALGORITHM", "Make a key (rsa-sha256 or ed25519-sha256), to be published before it signs", cobra.ExactArgs(2),
			func(cmd *cobra.Command, c *api.Client, args []string) error {
				key, err := c.CreateDKIMKey(cmd.Context(), api.NewDKIMKey{Domain: args[0], Algorithm: args[1]})
				if err != nil {
					return err
				}
				return showOne(s, cmd.OutOrStdout(), key, dkimColumns)
			}),
		change("activate ID", "Let a key sign in place of the one of its kind", "active"), change("retire ID", "Let a key sign no more", "retired"),
		s.remove("remove ID...", "Delete keys that do not sign", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteDKIMKey(cmd.Context(), inventory.ID(ref), 0)
		}))
}

var recordColumns = []column[api.DNSRecord]{
	{"PURPOSE", func(v api.DNSRecord) string { return v.Purpose }},
	{"STATE", func(v api.DNSRecord) string { return v.State }},
	{"RECORD", func(v api.DNSRecord) string { return v.Zone }},
	{"NOTE", func(v api.DNSRecord) string { return v.Note }},
}

func (s *settings) domainRecordsCommand() *cobra.Command {
	check := false
	cmd := s.ask("records DOMAIN", "The DNS records a domain's mail needs", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		records, err := c.DomainRecords(cmd.Context(), args[0], check)
		if err != nil {
			return err
		}
		return show(s, cmd.OutOrStdout(), records.Records, recordColumns)
	})
	cmd.Flags().BoolVar(&check, "check", false, "compare with what the DNS has")
	return cmd
}

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var sessionColumns = []column[api.LiveSession]{
	{"KIND", func(v api.LiveSession) string { return v.Kind }},
	{"WHO", func(v api.LiveSession) string { return v.Who }},
	{"SERVER", func(v api.LiveSession) string { return v.Server }},
	{"ADDRESS", func(v api.LiveSession) string { return v.Address }},
	{"SINCE", func(v api.LiveSession) string { return moment(v.Since) }},
	{"ACTIVE", func(v api.LiveSession) string { return moment(v.Active) }},
	{"TLS", func(v api.LiveSession) string { return strconv.FormatBool(v.TLS) }},
	{"ID", func(v api.LiveSession) string { return v.ID }},
}

func (s *settings) sessionCommand() *cobra.Command {
	return parent("session", "Who is signed in to the console and to mail", s.listSessionsCommand(), s.endSessionsCommand())
}

// sessionFlags are those that choose sessions, by the names of query parameters.
func sessionFlags(cmd *cobra.Command, names ...string) func() url.Values {
	usage := map[string]string{
		"kind":    "console, smtp, submission, pop3, imap or webmail",
		"account": "of this account",
		"domain":  "of this domain",
		"who":     "whose name or address has this in it",
		"server":  "on these servers",
	}
	given := map[string]*[]string{}
	for _, name := range names {
		given[name] = cmd.Flags().StringSlice(name, nil, usage[name])
	}
	return func() url.Values {
		q := url.Values{}
		for name, values := range given {
			if len(*values) > 0 {
				q.Set(name, strings.Join(*values, ","))
			}
		}
		return q
	}
}

func (s *settings) listSessionsCommand() *cobra.Command {
	var filter func() url.Values
	var limit int
	cmd := s.ask("list", "List who is signed in where, on all servers", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		all, silent, err := sessions(cmd, c, filter(), limit)
		if err != nil {
			return err
		}
		return errors.Join(show(s, cmd.OutOrStdout(), all, sessionColumns), silent)
	})
	filter = sessionFlags(cmd, "kind", "account", "domain", "who", "server")
	cmd.Flags().IntVar(&limit, "limit", 0, "stop after so many (0: all)")
	return cmd
}

// sessions walks the list; silent is an error when it is not whole.
func sessions(cmd *cobra.Command, c *api.Client, q url.Values, limit int) (all []api.LiveSession, silent, err error) {
	q.Set("limit", "1000")
	for {
		page, err := c.Sessions(cmd.Context(), q)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, page.Items...)
		silent = cmp.Or(silent, unanswered(page.Partial, page.Silent))
		if limit > 0 && len(all) >= limit {
			return all[:limit], silent, nil
		}
		if page.Next == "" {
			return all, silent, nil
		}
		q.Set("cursor", page.Next)
	}
}

func unanswered(partial bool, servers []string) error {
	switch {
	case !partial:
		return nil
	case len(servers) == 0:
		return errors.New("some servers did not answer")
	default:
		return fmt.Errorf("%s did not answer", strings.Join(servers, ", "))
	}
}

func (s *settings) endSessionsCommand() *cobra.Command {
	var filter func() url.Values
	cmd := s.ask("end [ID...]", "End sessions by their ids, or all of an account or of a domain", cobra.ArbitraryArgs,
		func(cmd *cobra.Command, c *api.Client, ids []string) error {
			q := filter()
			whose := q.Has("account") || q.Has("domain")
			if whose == (len(ids) > 0) || !whose && q.Has("kind") {
				return usagef("name sessions by their ids, or whose shall end with --account or --domain")
			}
			for _, id := range ids {
				if err := c.EndSession(cmd.Context(), id); err != nil {
					return err
				}
			}
			if !whose {
				return nil
			}
			ended, err := c.EndSessions(cmd.Context(), q)
			if err != nil {
				return err
			}
			columns := []column[api.EndedSessions]{{"ENDED", func(v api.EndedSessions) string { return strconv.Itoa(v.Ended) }}}
			return errors.Join(showOne(s, cmd.OutOrStdout(), ended, columns), unanswered(ended.Partial, ended.Silent))
		})
	filter = sessionFlags(cmd, "kind", "account", "domain")
	return cmd
}

var mailboxColumns = []column[inventory.Mailbox]{
	{"MAILBOX", func(v inventory.Mailbox) string { return v.Name }},
	{"USE", func(v inventory.Mailbox) string { return strings.TrimPrefix(v.Use, `\`) }},
	{"MESSAGES", func(v inventory.Mailbox) string { return number(v.Messages) }},
	{"UNSEEN", func(v inventory.Mailbox) string { return number(v.Unseen) }},
	{"BYTES", func(v inventory.Mailbox) string { return number(v.Bytes) }},
}

var signInColumns = []column[inventory.MailSignIn]{
	{"SIGN-IN", func(v inventory.MailSignIn) string { return moment(v.Last) }},
	{"PROTOCOL", func(v inventory.MailSignIn) string { return v.Protocol }},
	{"ADDRESS", func(v inventory.MailSignIn) string { return v.Address }},
	{"MECHANISM", func(v inventory.MailSignIn) string { return v.Mechanism }},
	{"TIMES", func(v inventory.MailSignIn) string { return number(v.Count) }},
	{"OUTCOME", func(v inventory.MailSignIn) string {
		if v.OK {
			return "ok"
		}
		return v.Reason
	}},
}

// accountPage is all there is to see of an account.
type accountPage struct {
	Account   api.AccountTerms       `json:"account"`
	Mailboxes api.AccountMailboxes   `json:"mailboxes"`
	SignIns   []inventory.MailSignIn `json:"sign_ins"`
	Sessions  []api.LiveSession      `json:"sessions"`
}

func (s *settings) showAccountCommand() *cobra.Command {
	return s.ask("show ADDRESS", "Show an account: mailboxes, quota, last sign-ins, application passwords, sessions", cobra.ExactArgs(1),
		func(cmd *cobra.Command, c *api.Client, args []string) (err error) {
			var p accountPage
			if p.Account, err = c.AccountTerms(cmd.Context(), args[0]); err != nil {
				return err
			}
			if p.Mailboxes, err = c.Mailboxes(cmd.Context(), args[0]); err != nil {
				return err
			}
			signIns, err := c.SignIns(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p.SignIns = signIns.Items
			var silent error
			if p.Sessions, silent, err = sessions(cmd, c, url.Values{"account": {args[0]}}, 0); err != nil {
				return err
			}
			return errors.Join(s.printAccount(cmd, c, p), silent)
		})
}

func (s *settings) printAccount(cmd *cobra.Command, c *api.Client, p accountPage) error {
	out := cmd.OutOrStdout()
	if s.output == "json" {
		return printJSON(out, p)
	}
	columns, err := accountColumns(cmd.Context(), c)
	if err != nil {
		return err
	}
	columns = append(columns,
		column[inventory.Account]{"USED", func(inventory.Account) string {
			return used(p.Mailboxes.Bytes, p.Mailboxes.Quota) + " bytes, " + used(p.Mailboxes.Messages, p.Mailboxes.MaxMessages) + " messages"
		}},
		column[inventory.Account]{"APPLICATION PASSWORDS", func(v inventory.Account) string {
			var names []string
			for _, app := range v.AppPasswords {
				names = append(names, app.Name)
			}
			return strings.Join(names, ", ")
		}})
	if err := showOne(s, out, p.Account.Account, columns); err != nil || s.output == "csv" {
		return err
	}
	_, err = fmt.Fprintln(out)
	err = errors.Join(err, show(s, out, p.Mailboxes.Mailboxes.Mailboxes, mailboxColumns))
	if len(p.SignIns) > 0 {
		_, blank := fmt.Fprintln(out)
		err = errors.Join(err, blank, show(s, out, p.SignIns, signInColumns))
	}
	if len(p.Sessions) > 0 {
		_, blank := fmt.Fprintln(out)
		err = errors.Join(err, blank, show(s, out, p.Sessions, sessionColumns))
	}
	return err
}

// used is an amount, and its limit when there is one.
func used(n, most int64) string {
	if most == 0 {
		return number(n)
	}
	return fmt.Sprintf("%d of %d", n, most)
}

package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var ruleColumns = []column[inventory.Rule]{
	{"NAME", func(v inventory.Rule) string { return v.Name }},
	{"METRIC", func(v inventory.Rule) string { return v.Metric }},
	{"CONDITION", func(v inventory.Rule) string { return string(v.Comparison) + " " + number(v.Value) }},
	{"CLEAR", func(v inventory.Rule) string { return number(v.Clear) }},
	{"FOR", func(v inventory.Rule) string { return time.Duration(v.For).String() }},
	{"SEVERITY", func(v inventory.Rule) string { return string(v.Severity) }},
	{"ENABLED", func(v inventory.Rule) string { return number(v.Enabled) }},
	{"ID", func(v inventory.Rule) string { return string(v.ID) }},
}

func (s *settings) ruleCommand() *cobra.Command {
	return parent("rule", "Thresholds on metrics",
		list(s, "List rules", api.Rules, ruleColumns, [2]string{"metric", "on these metrics"}),
		s.addRuleCommand(),
		s.remove("remove RULE...", "Delete rules, by id or name", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteRule(cmd.Context(), ref, 0)
		}),
	)
}

func (s *settings) addRuleCommand() *cobra.Command {
	var (
		in                  api.NewRule
		clearAt, severity   string
		lasting             time.Duration
		recipients, servers []string
	)
	cmd := s.ask("add NAME METRIC COMPARISON VALUE", `Add a rule: rule add memory mem_used_percent above 90`, cobra.ExactArgs(4), func(cmd *cobra.Command, c *api.Client, args []string) (err error) {
		in.Name, in.Metric, in.Comparison = args[0], args[1], args[2]
		if in.Value, err = strconv.ParseFloat(args[3], 64); err != nil {
			return usagef("the value %q is not a number", args[3])
		}
		if clearAt != "" {
			v, err := strconv.ParseFloat(clearAt, 64)
			if err != nil {
				return usagef("--clear %q is not a number", clearAt)
			}
			in.Clear = &v
		}
		in.For, in.Severity, in.Servers = inventory.Duration(lasting), inventory.Severity(severity), servers
		for _, id := range recipients {
			in.Recipients = append(in.Recipients, inventory.ID(id))
		}
		rule, err := c.CreateRule(cmd.Context(), in)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), rule, ruleColumns)
	})
	f := cmd.Flags()
	f.StringVar(&clearAt, "clear", "", "resolved beyond this (default: the value)")
	f.DurationVar(&lasting, "for", 0, "how long it must hold")
	f.StringVar(&severity, "severity", "warning", "info, warning or critical")
	f.StringSliceVar(&servers, "server", nil, "only on these servers")
	f.StringSliceVar(&recipients, "recipient", nil, "only to these contacts, by id")
	return cmd
}

var contactColumns = []column[inventory.Contact]{
	{"NAME", func(v inventory.Contact) string { return v.Name }},
	{"PHONE", func(v inventory.Contact) string { return v.Phone }},
	{"LANGUAGE", func(v inventory.Contact) string { return v.Language }},
	{"ID", func(v inventory.Contact) string { return string(v.ID) }},
}

func (s *settings) contactCommand() *cobra.Command {
	var language string
	add := s.ask("add NAME PHONE", "Have somebody told of alerts", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
		contact, err := c.CreateContact(cmd.Context(), api.NewContact{Name: args[0], Phone: args[1], Language: language})
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), contact, contactColumns)
	})
	add.Flags().StringVar(&language, "language", "zh", "zh or en")
	return parent("contact", "Who is told of alerts",
		list(s, "List contacts", api.Contacts, contactColumns), add,
		s.remove("remove CONTACT...", "Delete contacts, by id", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteContact(cmd.Context(), inventory.ID(ref), 0)
		}),
	)
}

var alertColumns = []column[inventory.Alert]{
	{"STATE", func(v inventory.Alert) string { return string(v.State) }},
	{"SEVERITY", func(v inventory.Alert) string { return string(v.Severity) }},
	{"SERVER", func(v inventory.Alert) string { return v.ServerName }},
	{"RULE", func(v inventory.Alert) string { return v.RuleName }},
	{"METRIC", func(v inventory.Alert) string { return v.Metric }},
	{"SERIES", func(v inventory.Alert) string { return pairs(v.Tags) }},
	{"VALUE", func(v inventory.Alert) string { return strconv.FormatFloat(v.Value, 'f', 2, 64) }},
	{"SINCE", func(v inventory.Alert) string { return moment(v.Since) }},
	{"TAKEN BY", func(v inventory.Alert) string { return v.AckedBy }},
	{"ID", func(v inventory.Alert) string { return string(v.ID) }},
}

func (s *settings) alertCommand() *cobra.Command {
	return parent("alert", "Alerts",
		list(s, "List alerts, newest first", api.Alerts, alertColumns,
			[2]string{"state", "pending, firing or resolved"}, [2]string{"severity", "info, warning or critical"}, [2]string{"server", "of these servers"}),
		s.ask("ack ALERT...", "Take alerts on", cobra.MinimumNArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			var taken []inventory.Alert
			for _, id := range args {
				a, err := c.AcknowledgeAlert(cmd.Context(), inventory.ID(id))
				if err != nil {
					return err
				}
				taken = append(taken, a)
			}
			return show(s, cmd.OutOrStdout(), taken, alertColumns)
		}),
	)
}

var smsColumns = []column[inventory.SMS]{
	{"CREATED", func(v inventory.SMS) string { return moment(v.Created) }},
	{"TO", func(v inventory.SMS) string { return v.To }},
	{"STATE", func(v inventory.SMS) string { return string(v.State) }},
	{"TEXT", func(v inventory.SMS) string { return v.Text }},
	{"PARTS", func(v inventory.SMS) string { return number(v.Parts) }},
	{"GATEWAY", func(v inventory.SMS) string { return v.Gateway }},
	{"ERROR", func(v inventory.SMS) string { return v.Error }},
}

func (s *settings) smsCommand() *cobra.Command {
	return parent("sms", "Text messages",
		list(s, "List text messages, newest first", api.SMS, smsColumns,
			[2]string{"state", "queued, sent, delivered or failed"}, [2]string{"to", "to these phones"}),
		s.ask("send PHONE TEXT", "Send a text message", cobra.ExactArgs(2), func(cmd *cobra.Command, c *api.Client, args []string) error {
			m, err := c.SendSMS(cmd.Context(), api.NewSMS{To: args[0], Text: args[1]})
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), m, smsColumns)
		}),
	)
}

package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func (s *settings) statusCommand() *cobra.Command {
	cmd := s.ask("status", "Show the fleet at a glance", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		status, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), status, []column[api.Status]{
			{"VERSION", func(v api.Status) string { return v.Version }},
			{"SERVERS", func(v api.Status) string { return counts(v.Servers) }},
			{"SERVICES", func(v api.Status) string { return counts(v.Services) }},
			{"ALERTS FIRING", func(v api.Status) string { return counts(v.Alerts) }},
			{"PROBLEMS", func(v api.Status) string { return strings.Join(v.Problems, "; ") }},
		})
	})
	return cmd
}

// counts names what there is some of.
func counts[K ~string](m map[K]int) string {
	some := map[string]string{}
	for k, n := range m {
		if n > 0 {
			some[string(k)] = strconv.Itoa(n)
		}
	}
	return pairs(some)
}

// sample is a point of a series, or the name of a metric alone.
type sample struct {
	metric, series, time, value string
}

func (s *settings) sampleCommand() *cobra.Command {
	var q api.SampleQuery
	cmd := s.ask("sample SERVER [METRIC...]", "Print a server's samples, or the metrics it has", cobra.MinimumNArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		q.Metrics = args[1:]
		found, err := c.ServerSamples(cmd.Context(), args[0], q)
		if err != nil {
			return err
		}
		if s.output == "json" {
			return printJSON(cmd.OutOrStdout(), found)
		}
		columns := []column[sample]{{"METRIC", func(v sample) string { return v.metric }}}
		var rows []sample
		if len(q.Metrics) == 0 {
			for _, name := range found.Metrics {
				rows = append(rows, sample{metric: name})
			}
			return show(s, cmd.OutOrStdout(), rows, columns)
		}
		for _, series := range found.Series {
			delete(series.Tags, "server")
			for _, p := range series.Points {
				at := moment(time.UnixMilli(int64(p[0] * 1000)))
				rows = append(rows, sample{series.Metric, pairs(series.Tags), at, strconv.FormatFloat(p[1], 'f', -1, 64)})
			}
		}
		return show(s, cmd.OutOrStdout(), rows, append(columns,
			column[sample]{"SERIES", func(v sample) string { return v.series }},
			column[sample]{"TIME", func(v sample) string { return v.time }},
			column[sample]{"VALUE", func(v sample) string { return v.value }}))
	})
	f := cmd.Flags()
	f.StringVar(&q.From, "from", "-1h", "RFC 3339, unix seconds, or -1h for an hour ago")
	f.StringVar(&q.To, "to", "", "as --from (default now)")
	f.DurationVar(&q.Step, "step", 0, "one point for each (default: a 300th of the range)")
	f.StringVar(&q.Aggregate, "aggregate", "", "avg (the default), min, max, sum, last or rate")
	return cmd
}

var tokenColumns = []column[inventory.Token]{
	{"NAME", func(v inventory.Token) string { return v.Name }},
	{"ROLE", func(v inventory.Token) string { return string(v.Role) }},
	{"SCOPE", func(v inventory.Token) string { return many(v.Scope) }},
	{"ONLY", func(v inventory.Token) string { return strings.Join(v.Scopes, " ") }},
	{"EXPIRES", func(v inventory.Token) string { return moment(v.Expires) }},
	{"MADE BY", func(v inventory.Token) string { return v.Actor }},
	{"ID", func(v inventory.Token) string { return string(v.ID) }},
}

func (s *settings) tokenCommand() *cobra.Command {
	var in api.NewToken
	var role string
	var scope []string
	var life time.Duration
	add := s.ask("add NAME", "Make an API token; it is printed this once", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		in.Name, in.Role, in.Expires = args[0], inventory.Role(role), api.Expiry{For: life}
		in.Scope = scopes(scope)
		token, err := c.CreateToken(cmd.Context(), in)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), token, []column[api.IssuedToken]{
			{"NAME", func(v api.IssuedToken) string { return v.Name }},
			{"TOKEN", func(v api.IssuedToken) string { return v.Secret }},
			{"EXPIRES", func(v api.IssuedToken) string { return moment(v.Expires) }},
		})
	})
	f := add.Flags()
	roleFlags(f, &role, &scope, inventory.RoleViewer)
	f.StringSliceVar(&in.Scopes, "only", nil, "narrow the role to resource:read, resource:write or *:read")
	f.DurationVar(&life, "expires", 0, "lifetime (default 2160h)")
	return parent("token", "API tokens",
		list(s, "List tokens", api.Tokens, tokenColumns), add,
		s.remove("remove TOKEN...", "Delete tokens, by id or name", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteToken(cmd.Context(), ref, 0)
		}),
	)
}

var auditColumns = []column[inventory.AuditEntry]{
	{"SEQ", func(v inventory.AuditEntry) string { return number(v.Seq) }},
	{"TIME", func(v inventory.AuditEntry) string { return moment(v.Created) }},
	{"ACTOR", func(v inventory.AuditEntry) string { return v.Actor }},
	{"ADDRESS", func(v inventory.AuditEntry) string { return v.Address }},
	{"ACTION", func(v inventory.AuditEntry) string { return v.Action }},
	{"TARGET", func(v inventory.AuditEntry) string { return v.Target }},
	{"REASON", func(v inventory.AuditEntry) string { return v.Reason }},
}

func (s *settings) auditCommand() *cobra.Command {
	return parent("audit", "The audit log",
		list(s, "List audit entries, newest first", api.Audit, auditColumns,
			[2]string{"actor", "of these actors"}, [2]string{"action", "such as operation.create"},
			[2]string{"resource", "such as servers"}, [2]string{"target", "on the thing with this id or name"}),
		s.ask("verify", "Check the chain of audit entries", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
			check, err := c.VerifyAudit(cmd.Context())
			if err != nil {
				return err
			}
			if err := showOne(s, cmd.OutOrStdout(), check, []column[api.AuditCheck]{
				{"ENTRIES", func(v api.AuditCheck) string { return number(v.Entries) }},
				{"INTACT", func(v api.AuditCheck) string { return number(v.Intact) }},
				{"PROBLEM", func(v api.AuditCheck) string { return v.Problem }},
			}); err != nil || check.Intact {
				return err
			}
			return fmt.Errorf("the audit log is broken: %s", check.Problem)
		}),
	)
}

func (s *settings) apiCommand() *cobra.Command {
	return s.ask("api", "Print the description of the API (OpenAPI 3.1)", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		description, err := c.OpenAPI(cmd.Context())
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), description)
	})
}

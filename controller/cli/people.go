package cli

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// many joins the names of a list of things.
func many[T ~string](list []T) string {
	var texts []string
	for _, v := range list {
		texts = append(texts, string(v))
	}
	return strings.Join(texts, " ")
}

var personColumns = []column[inventory.Person]{
	{"NAME", func(v inventory.Person) string { return v.Name }},
	{"ROLE", func(v inventory.Person) string { return string(v.Role) }},
	{"SCOPE", func(v inventory.Person) string { return many(v.Scope) }},
	{"SECOND FACTOR", func(v inventory.Person) string { return strconv.FormatBool(v.HasTOTP) }},
	{"STATE", func(v inventory.Person) string {
		switch {
		case v.Disabled:
			return "disabled"
		case v.Locked.After(time.Now()):
			return "locked till " + moment(v.Locked)
		}
		return "active"
	}},
	{"EMAIL", func(v inventory.Person) string { return v.Email }},
	{"ID", func(v inventory.Person) string { return string(v.ID) }},
}

func (s *settings) personCommand() *cobra.Command {
	var in api.NewPerson
	var role string
	var scope []string
	add := s.ask("add NAME", "Let somebody sign in; their first password is printed this once", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		in.Name, in.Role, in.Scope = args[0], inventory.Role(role), scopes(scope)
		made, err := c.CreatePerson(cmd.Context(), in)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), made, []column[api.NewPersonMade]{
			{"NAME", func(v api.NewPersonMade) string { return v.Name }},
			{"ROLE", func(v api.NewPersonMade) string { return string(v.Role) }},
			{"SCOPE", func(v api.NewPersonMade) string { return many(v.Scope) }},
			{"PASSWORD", func(v api.NewPersonMade) string { return v.Password }},
		})
	})
	roleFlags(add.Flags(), &role, &scope, inventory.RoleViewer)
	add.Flags().StringVar(&in.Email, "email", "", "for sign-in through an OpenID provider")
	return parent("person", "Who may sign in to the console",
		list(s, "List people", api.People, personColumns), add, s.setPersonCommand(),
		s.ask("password NAME", "Give somebody another password, read from the terminal or standard input", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			password, err := readPassword(cmd)
			if err != nil {
				return err
			}
			return s.changePerson(cmd, c, args[0], api.PersonChange{Password: &password})
		}),
		s.remove("remove NAME...", "Delete people", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeletePerson(cmd.Context(), ref, 0)
		}),
	)
}

func roleFlags(f *pflag.FlagSet, role *string, scope *[]string, value inventory.Role) {
	f.StringVar(role, "role", string(value), strings.ReplaceAll(many(inventory.Roles), " ", ", "))
	f.StringSliceVar(scope, "scope", nil, "where the role holds: fleet, tenant:NAME, domain:NAME, account:ADDRESS")
}

func scopes(texts []string) []inventory.Scope {
	var list []inventory.Scope
	for _, t := range texts {
		list = append(list, inventory.Scope(t))
	}
	return list
}

func (s *settings) setPersonCommand() *cobra.Command {
	var role, email string
	var scope []string
	var disabled, unlock, noTOTP bool
	cmd := s.ask("set NAME", "Change what somebody may do", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		change := api.PersonChange{Unlock: unlock}
		f := cmd.Flags()
		if f.Changed("role") {
			change.Role = (*inventory.Role)(&role)
		}
		if f.Changed("scope") {
			list := scopes(scope)
			change.Scope = &list
		}
		if f.Changed("email") {
			change.Email = &email
		}
		if f.Changed("disabled") {
			change.Disabled = &disabled
		}
		if noTOTP {
			change.TOTP = new(bool)
		}
		return s.changePerson(cmd, c, args[0], change)
	})
	f := cmd.Flags()
	roleFlags(f, &role, &scope, "")
	f.StringVar(&email, "email", "", "for sign-in through an OpenID provider")
	f.BoolVar(&disabled, "disabled", false, "may not sign in")
	f.BoolVar(&unlock, "unlock", false, "forget failed sign-ins")
	f.BoolVar(&noTOTP, "forget-second-factor", false, "for somebody who lost it")
	return cmd
}

func (s *settings) changePerson(cmd *cobra.Command, c *api.Client, name string, change api.PersonChange) error {
	person, err := c.ChangePerson(cmd.Context(), name, 0, change)
	if err != nil {
		return err
	}
	return showOne(s, cmd.OutOrStdout(), person, personColumns)
}

// tenantColumns shows plans and tenants by name.
func tenantColumns(ctx context.Context, c *api.Client) ([]column[inventory.Tenant], error) {
	plans, tenants := map[inventory.ID]string{}, map[inventory.ID]string{}
	for p, err := range api.Plans.All(ctx, c, nil) {
		if err != nil {
			return nil, err
		}
		plans[p.ID] = p.Name
	}
	for t, err := range api.Tenants.All(ctx, c, nil) {
		if err != nil {
			return nil, err
		}
		tenants[t.ID] = t.Name
	}
	return []column[inventory.Tenant]{
		{"NAME", func(v inventory.Tenant) string { return v.Name }},
		{"KIND", func(v inventory.Tenant) string { return string(v.Kind) }},
		{"PARENT", func(v inventory.Tenant) string { return tenants[v.Parent] }},
		{"PLAN", func(v inventory.Tenant) string { return plans[v.Plan] }},
		{"MAX DOMAINS", func(v inventory.Tenant) string { return limit(int64(v.Domains)) }},
		{"MAX ACCOUNTS", func(v inventory.Tenant) string { return limit(int64(v.Accounts)) }},
		{"CONTACT", func(v inventory.Tenant) string { return v.Contact }},
		{"ID", func(v inventory.Tenant) string { return string(v.ID) }},
	}, nil
}

func limit(n int64) string {
	if n == 0 {
		return ""
	}
	return number(n)
}

func (s *settings) tenantCommand() *cobra.Command {
	return parent("tenant", "Who domains belong to: resellers and enterprises",
		listAs(s, "List tenants", api.Tenants, tenantColumns),
		put(s, "add", "Add a tenant", tenantColumns, tenantFlags, func(ctx context.Context, c *api.Client, in api.NewTenant) (inventory.Tenant, error) {
			return c.CreateTenant(ctx, in)
		}),
		put(s, "set", "Replace a tenant", tenantColumns, tenantFlags, func(ctx context.Context, c *api.Client, in api.NewTenant) (inventory.Tenant, error) {
			return c.ReplaceTenant(ctx, in.Name, 0, in)
		}),
		s.remove("remove TENANT...", "Delete tenants that nothing belongs to", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeleteTenant(cmd.Context(), ref, 0)
		}),
	)
}

// put is a command that makes or replaces the thing of a name: fill sets what the
// flags do not write themselves, send asks the controller.
func put[In, Out any](s *settings, verb, short string, columns func(context.Context, *api.Client) ([]column[Out], error),
	flags func(*pflag.FlagSet, *In) (fill func(name string)), send func(context.Context, *api.Client, In) (Out, error)) *cobra.Command {
	var in In
	var fill func(string)
	cmd := s.ask(verb+" NAME", short, cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		fill(args[0])
		thing, err := send(cmd.Context(), c, in)
		if err != nil {
			return err
		}
		shown, err := columns(cmd.Context(), c)
		if err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), thing, shown)
	})
	fill = flags(cmd.Flags(), &in)
	return cmd
}

func tenantFlags(f *pflag.FlagSet, in *api.NewTenant) func(string) {
	kind := f.String("kind", "enterprise", "enterprise or reseller")
	f.StringVar(&in.Parent, "parent", "", "reseller it is below")
	f.StringVar(&in.Plan, "plan", "", "of its domains that name none")
	f.IntVar(&in.MaxDomains, "max-domains", 0, "0: no limit")
	f.IntVar(&in.MaxAccounts, "max-accounts", 0, "0: no limit")
	f.StringVar(&in.Contact, "contact", "", "who to talk to")
	return func(name string) { in.Name, in.Kind = name, inventory.TenantKind(*kind) }
}

// limits are those of a plan, by the names that the API has for them.
var limits = []struct {
	name, usage string
	of          func(*inventory.Limits) *int64
}{
	{"quota", "bytes in a mailbox", func(l *inventory.Limits) *int64 { return &l.Quota }},
	{"messages", "messages in a mailbox", func(l *inventory.Limits) *int64 { return &l.Messages }},
	{"message-size", "bytes of one message", func(l *inventory.Limits) *int64 { return &l.MessageSize }},
	{"attachment", "bytes of one attachment", func(l *inventory.Limits) *int64 { return &l.Attachment }},
}

// rates are the limits of a plan on what is sent.
var rates = []struct {
	name, usage string
	of          func(*inventory.Limits) *int
}{
	{"recipients", "of one message sent; 0: no limit", func(l *inventory.Limits) *int { return &l.Recipients }},
	{"sent-a-day", "recipients written to in a day; 0: no limit", func(l *inventory.Limits) *int { return &l.SentADay }},
	{"sent-an-hour", "recipients written to in an hour; 0: as the server has it", func(l *inventory.Limits) *int { return &l.SentAnHour }},
	{"messages-an-hour", "messages sent in an hour; 0: as the server has it", func(l *inventory.Limits) *int { return &l.MessagesAnHour }},
	{"sms-a-month", "0: no limit", func(l *inventory.Limits) *int { return &l.SMSAMonth }},
}

var planColumns = []column[inventory.Plan]{
	{"NAME", func(v inventory.Plan) string { return v.Name }},
	{"LIMITS", func(v inventory.Plan) string {
		some := map[string]int{}
		for _, l := range limits {
			some[l.name] = int(*l.of(&v.Limits))
		}
		for _, r := range rates {
			some[r.name] = *r.of(&v.Limits)
		}
		return counts(some)
	}},
	{"OFF", func(v inventory.Plan) string {
		var off []inventory.Feature
		for _, f := range slices.Sorted(maps.Keys(v.Features)) {
			if !v.Features[f] {
				off = append(off, f)
			}
		}
		return many(off)
	}},
	{"ID", func(v inventory.Plan) string { return string(v.ID) }},
}

func (s *settings) planCommand() *cobra.Command {
	return parent("plan", "Service plans: limits and features of domains and accounts",
		list(s, "List plans", api.Plans, planColumns),
		put(s, "add", "Make a plan", fixed(planColumns), planFlags, func(ctx context.Context, c *api.Client, in api.NewPlan) (inventory.Plan, error) {
			return c.CreatePlan(ctx, in)
		}),
		put(s, "set", "Replace a plan", fixed(planColumns), planFlags, func(ctx context.Context, c *api.Client, in api.NewPlan) (inventory.Plan, error) {
			return c.ReplacePlan(ctx, in.Name, 0, in)
		}),
		s.remove("remove PLAN...", "Delete plans that nobody has", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.DeletePlan(cmd.Context(), ref, 0)
		}),
	)
}

func planFlags(f *pflag.FlagSet, in *api.NewPlan) func(string) {
	for _, l := range limits {
		f.Int64Var(l.of(&in.Limits), l.name, 0, l.usage+"; 0: no limit")
	}
	for _, r := range rates {
		f.IntVar(r.of(&in.Limits), r.name, 0, r.usage)
	}
	off := f.StringSlice("off", nil, "features that its accounts do not have: "+strings.ReplaceAll(many(inventory.Features), " ", ", "))
	f.StringVar(&in.Tenant, "tenant", "", "whose plan it is (default: the operator's, for all)")
	return func(name string) {
		in.Name, in.Features = name, map[inventory.Feature]bool{}
		for _, feature := range *off {
			in.Features[inventory.Feature(feature)] = false
		}
	}
}

var policyColumns = []column[api.Policy]{
	{"PASSWORD LENGTH", func(v api.Policy) string { return number(v.PasswordLength) }},
	{"PASSWORD AGE", func(v api.Policy) string { return age(v.PasswordAge) }},
	{"SECOND FACTOR FOR", func(v api.Policy) string { return many(v.TOTPRoles) }},
	{"APPROVAL OF", func(v api.Policy) string { return many(v.ApprovalKinds) }},
	{"TOKEN LIFE", func(v api.Policy) string { return age(v.TokenLife) }},
}

func age(d inventory.Duration) string {
	if d == 0 {
		return "no limit"
	}
	return time.Duration(d).String()
}

func (s *settings) policyCommand() *cobra.Command {
	var to api.Policy
	var passwordAge, tokenLife time.Duration
	var roles, kinds []string
	set := s.ask("set", "Change what is asked of people and of operations; what is not named stays", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		now, err := c.Policy(cmd.Context())
		if err != nil {
			return err
		}
		f := cmd.Flags()
		if f.Changed("password-length") {
			now.PasswordLength = to.PasswordLength
		}
		if f.Changed("password-age") {
			now.PasswordAge = inventory.Duration(passwordAge)
		}
		if f.Changed("token-life") {
			now.TokenLife = inventory.Duration(tokenLife)
		}
		if f.Changed("second-factor") {
			now.TOTPRoles = []inventory.Role{}
			for _, r := range roles {
				now.TOTPRoles = append(now.TOTPRoles, inventory.Role(r))
			}
		}
		if f.Changed("approval") {
			now.ApprovalKinds = []inventory.OperationKind{}
			for _, k := range kinds {
				now.ApprovalKinds = append(now.ApprovalKinds, inventory.OperationKind(k))
			}
		}
		if now, err = c.ReplacePolicy(cmd.Context(), now); err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), now, policyColumns)
	})
	f := set.Flags()
	f.IntVar(&to.PasswordLength, "password-length", 0, "least characters of a password")
	f.DurationVar(&passwordAge, "password-age", 0, "after which a password must be changed; 0: never")
	f.StringSliceVar(&roles, "second-factor", nil, "roles that must have a second factor")
	f.StringSliceVar(&kinds, "approval", nil, "operations that want a second person, such as server.shutdown")
	f.DurationVar(&tokenLife, "token-life", 0, "longest life of a token; 0: no limit")
	return parent("policy", "What is asked of people and of operations",
		s.ask("show", "Show the policy", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
			p, err := c.Policy(cmd.Context())
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), p, policyColumns)
		}), set)
}

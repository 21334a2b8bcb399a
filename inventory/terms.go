package inventory

// Terms are what an account may use: no field of Limits is left to a wider
// one, and every feature is named.
type Terms struct {
	Limits   Limits           `json:"limits"` // 0: no limit at all
	Features map[Feature]bool `json:"features"`
}

// TermsOf works out an account's terms. The nearest that says something holds:
// the account, its plan, its domain, its domain's plan, its tenant's plan and
// those of the tenants above. Any of them may be nil. Without the account they
// are what the domain gives.
func TermsOf(account *Account, plan *Plan, domain *Domain, domainPlan *Plan, tenantPlans ...*Plan) Terms {
	t := Terms{Features: make(map[Feature]bool, len(Features))}
	if account != nil {
		t.add(account.Limits, account.Features)
	}
	if plan != nil {
		t.add(plan.Limits, plan.Features)
	}
	if domain != nil {
		t.add(domain.Limits, nil)
	}
	for _, p := range append([]*Plan{domainPlan}, tenantPlans...) {
		if p != nil {
			t.add(p.Limits, p.Features)
		}
	}
	for _, f := range Features {
		if _, said := t.Features[f]; !said {
			t.Features[f] = true
		}
	}
	return t
}

// add takes up what nothing nearer has said.
func (t *Terms) add(l Limits, features map[Feature]bool) {
	t.Limits = Limits{
		Quota:       first(t.Limits.Quota, l.Quota),
		Messages:    first(t.Limits.Messages, l.Messages),
		MessageSize: first(t.Limits.MessageSize, l.MessageSize),
		Attachment:  first(t.Limits.Attachment, l.Attachment),
		Recipients:  first(t.Limits.Recipients, l.Recipients),
		SentADay:    first(t.Limits.SentADay, l.SentADay),
		SMSAMonth:   first(t.Limits.SMSAMonth, l.SMSAMonth),

		SentAnHour:     first(t.Limits.SentAnHour, l.SentAnHour),
		MessagesAnHour: first(t.Limits.MessagesAnHour, l.MessagesAnHour),
	}
	for f, on := range features {
		if _, said := t.Features[f]; !said {
			t.Features[f] = on
		}
	}
}

func first[N int | int64](near, wide N) N {
	if near != 0 {
		return near
	}
	return wide
}

// Grants returns nil when limits and features stay within the terms, or an
// Invalid error naming the first that goes beyond. A limit of 0 asks for none
// of its own and is always within.
func (t Terms) Grants(l Limits, features map[Feature]bool) error {
	for _, one := range []struct {
		name        string
		asked, most int64
	}{
		{"quota", l.Quota, t.Limits.Quota}, {"messages", l.Messages, t.Limits.Messages},
		{"message_size", l.MessageSize, t.Limits.MessageSize}, {"attachment", l.Attachment, t.Limits.Attachment},
		{"recipients", int64(l.Recipients), int64(t.Limits.Recipients)},
		{"sent_a_day", int64(l.SentADay), int64(t.Limits.SentADay)}, {"sms_a_month", int64(l.SMSAMonth), int64(t.Limits.SMSAMonth)},
		{"sent_an_hour", int64(l.SentAnHour), int64(t.Limits.SentAnHour)}, {"messages_an_hour", int64(l.MessagesAnHour), int64(t.Limits.MessagesAnHour)},
	} {
		if one.most != 0 && one.asked > one.most {
			return FieldErrorf("limits."+one.name, "%s can be %d at most here, not %d", one.name, one.most, one.asked)
		}
	}
	for _, f := range Features {
		if features[f] && !t.Features[f] {
			return FieldErrorf("features."+string(f), "the feature %s is off here and cannot be switched on", f)
		}
	}
	return nil
}

// Check refuses limits below nothing.
func (l Limits) Check() error {
	for name, n := range map[string]int64{
		"quota": l.Quota, "messages": l.Messages, "message_size": l.MessageSize, "attachment": l.Attachment,
		"recipients": int64(l.Recipients), "sent_a_day": int64(l.SentADay), "sms_a_month": int64(l.SMSAMonth),
		"sent_an_hour": int64(l.SentAnHour), "messages_an_hour": int64(l.MessagesAnHour),
	} {
		if n < 0 {
			return FieldErrorf("limits."+name, "%s must not be negative", name)
		}
	}
	return nil
}

// CheckFeatures refuses names that are no features.
func CheckFeatures(features map[Feature]bool) error {
	for f := range features {
		if !known(f) {
			return FieldErrorf("features", "%q is not a feature: there are %v", f, Features)
		}
	}
	return nil
}

func known(f Feature) bool {
	for _, one := range Features {
		if one == f {
			return true
		}
	}
	return false
}

// TermsReader reads accounts' terms in a transaction, and every plan, domain
// and tenant once.
type TermsReader struct {
	tx      Tx
	plans   map[ID]*Plan
	tenants map[ID]*Tenant
	domains map[string]*Domain
}

// NewTermsReader returns a reader for the time of the transaction.
func NewTermsReader(tx Tx) *TermsReader {
	return &TermsReader{tx, map[ID]*Plan{}, map[ID]*Tenant{}, map[string]*Domain{}}
}

// Account returns an account's terms.
func (r *TermsReader) Account(a *Account) (Terms, error) {
	plan, err := r.plan(a.Plan)
	if err != nil {
		return Terms{}, err
	}
	domain, domainPlan, tenantPlans, err := r.domain(a.Domain)
	return TermsOf(a, plan, domain, domainPlan, tenantPlans...), err
}

// Domain returns the terms of an account that says nothing of its own.
func (r *TermsReader) Domain(name string) (Terms, error) {
	domain, domainPlan, tenantPlans, err := r.domain(name)
	return TermsOf(nil, nil, domain, domainPlan, tenantPlans...), err
}

// Tenant returns the terms of a domain that says nothing of its own.
func (r *TermsReader) Tenant(id ID) (Terms, error) {
	plans, err := r.tenantPlans(id)
	return TermsOf(nil, nil, nil, nil, plans...), err
}

func (r *TermsReader) domain(name string) (d *Domain, plan *Plan, tenantPlans []*Plan, err error) {
	if d, err = read(r.domains, name, func() (*Domain, error) { return r.tx.Domains().Find("name", name) }); err != nil || d == nil {
		return nil, nil, nil, err
	}
	if plan, err = r.plan(d.Plan); err != nil {
		return nil, nil, nil, err
	}
	tenantPlans, err = r.tenantPlans(d.Tenant)
	return d, plan, tenantPlans, err
}

// maxTenants bounds how deep tenants lie below each other.
const maxTenants = 16

// tenantPlans are the plans of the tenant and of those above, nearest first.
func (r *TermsReader) tenantPlans(id ID) (plans []*Plan, err error) {
	for range maxTenants {
		if id == "" {
			break
		}
		t, err := read(r.tenants, id, func() (*Tenant, error) { return r.tx.Tenants().Get(id) })
		if err != nil {
			return nil, err
		}
		if t == nil {
			break
		}
		plan, err := r.plan(t.Plan)
		if err != nil {
			return nil, err
		}
		plans = append(plans, plan)
		id = t.Parent
	}
	return plans, nil
}

func (r *TermsReader) plan(id ID) (*Plan, error) {
	if id == "" {
		return nil, nil
	}
	return read(r.plans, id, func() (*Plan, error) { return r.tx.Plans().Get(id) })
}

// read gets a thing once; one that is not there is nil.
func read[K comparable, R any](have map[K]*R, key K, get func() (*R, error)) (*R, error) {
	if r, ok := have[key]; ok {
		return r, nil
	}
	r, err := get()
	if Is(err, NotFound) {
		r, err = nil, nil
	}
	if err == nil {
		have[key] = r
	}
	return r, err
}

package ops

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mailfleet/inventory"
)

// A selector is terms parted by commas that must all hold:
//
//	region=hk,service=mailnode|rspamd,label.rack!=a,pool=webmail,state=up
//
// A term is a name, = or !=, and values parted by | of which one must fit (with
// !=: none may). Names are region, state, server (name or id), service, pool
// (name or id), and label.NAME. A server has the empty value for a label it
// does not have.
type selector []term

type term struct {
	name   string // region, state, server, service, pool, label
	label  string // its name
	not    bool
	values []string
}

// Limits of a selector.
const (
	maxTerms  = 20
	maxValues = 200
)

var (
	valueRE = regexp.MustCompile(`^[\pL\pN_.:@/-]*$`)
	labelRE = regexp.MustCompile(`^[\pL\pN_./-]+$`)
)

// parseSelector reads a selector. The error is one sentence.
func parseSelector(text string) (selector, error) {
	var sel selector
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("the selector is empty: write terms such as region=hk,service=mailnode")
	}
	parts := strings.Split(text, ",")
	if len(parts) > maxTerms {
		return nil, fmt.Errorf("the selector has %d terms, at most %d are allowed", len(parts), maxTerms)
	}
	for _, part := range parts {
		t, err := parseTerm(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		sel = append(sel, t)
	}
	return sel, nil
}

func parseTerm(text string) (t term, err error) {
	name, values, found := strings.Cut(text, "=")
	if !found {
		return t, fmt.Errorf("the term %q has no = between name and value", text)
	}
	name, t.not = strings.CutSuffix(strings.TrimSpace(name), "!")
	t.name = strings.TrimSpace(name)
	if label, ok := strings.CutPrefix(t.name, "label."); ok {
		if !labelRE.MatchString(label) {
			return t, fmt.Errorf("%q is not the name of a label", label)
		}
		t.name, t.label = "label", label
	} else if !slices.Contains([]string{"region", "state", "server", "service", "pool"}, t.name) {
		return t, fmt.Errorf("there is no term %q: there are region, state, server, service, pool and label.NAME", t.name)
	}
	for _, v := range strings.Split(values, "|") {
		v = strings.TrimSpace(v)
		if !valueRE.MatchString(v) {
			return t, fmt.Errorf("%q cannot be a value of %s", v, name)
		}
		if v == "" && t.name != "label" && t.name != "region" {
			return t, fmt.Errorf("the term %q has an empty value", text)
		}
		t.values = append(t.values, v)
	}
	if len(t.values) > maxValues {
		return t, fmt.Errorf("the term %q has %d values, at most %d are allowed", t.name, len(t.values), maxValues)
	}
	return t, nil
}

func (t term) String() string {
	name, sign := t.name, "="
	if t.label != "" {
		name = "label." + t.label
	}
	if t.not {
		sign = "!="
	}
	return name + sign + strings.Join(t.values, "|")
}

func (s selector) String() string {
	texts := make([]string, len(s))
	for i, t := range s {
		texts[i] = t.String()
	}
	return strings.Join(texts, ",")
}

// lasting is the selector without what passes: what it covers whatever the
// state of its servers is.
func (s selector) lasting() selector {
	return slices.DeleteFunc(slices.Clone(s), func(t term) bool { return t.name == "state" })
}

// names are the values of the terms with a name that are not negated.
func (s selector) names(name string) (values []string) {
	for _, t := range s {
		if t.name == name && !t.not {
			values = append(values, t.values...)
		}
	}
	return values
}

// find returns what of the fleet the selector covers, as targets of the kind,
// ordered by the names of servers and services.
func (s selector) find(f *snapshot, kind inventory.OperationKind) []inventory.Target {
	var found []inventory.Target
	for _, server := range f.byName() {
		if server.State == inventory.ServerRemoved {
			continue
		}
		if !kind.OnServices() {
			if s.coversServer(f, server) {
				found = append(found, inventory.Target{Server: server.ID})
			}
			continue
		}
		for _, service := range f.servicesOf(server.ID) {
			if s.covers(f, server, service) {
				found = append(found, inventory.Target{Server: server.ID, Service: service.Name})
			}
		}
	}
	return found
}

// coversServer tells whether the terms hold for a server: those about services
// when one of its services fits them all.
func (s selector) coversServer(f *snapshot, server *inventory.Server) bool {
	about := func(t term) bool { return t.name == "service" || t.name == "pool" }
	if !slices.ContainsFunc(s, about) {
		return s.covers(f, server, nil)
	}
	services := f.servicesOf(server.ID)
	if len(services) == 0 {
		return s.covers(f, server, &inventory.Service{})
	}
	return slices.ContainsFunc(services, func(v *inventory.Service) bool { return s.covers(f, server, v) })
}

func (s selector) covers(f *snapshot, server *inventory.Server, service *inventory.Service) bool {
	return !slices.ContainsFunc(s, func(t term) bool { return t.holds(f, server, service) == t.not })
}

// holds tells whether one of the term's values fits.
func (t term) holds(f *snapshot, server *inventory.Server, service *inventory.Service) bool {
	has := func(v string) bool { return slices.Contains(t.values, v) }
	switch t.name {
	case "region":
		return has(server.Region)
	case "state":
		return has(string(server.State))
	case "server":
		return has(server.Name) || has(string(server.ID))
	case "label":
		return has(server.Labels[t.label])
	case "service":
		return service != nil && has(service.Name)
	default: // pool
		return service != nil && slices.ContainsFunc(f.pools, func(p *inventory.Pool) bool {
			return (has(p.Name) || has(string(p.ID))) && p.Service == service.Name && isMember(p, server.ID)
		})
	}
}

func isMember(p *inventory.Pool, server inventory.ID) bool {
	return slices.ContainsFunc(p.Members, func(m inventory.Member) bool { return m.Server == server })
}

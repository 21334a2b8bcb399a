package auth

import (
	"maps"
	"slices"
	"strings"

	"mailfleet/inventory"
)

// maxBelow bounds how many tenants deep a scope reaches.
const maxBelow = 16

// Reach is what lies in a principal's scope, as a transaction sees it.
type Reach struct {
	fleet    bool
	roots    map[inventory.ID]bool // tenants the scope names
	tenants  map[inventory.ID]bool // those, and all below them
	lenders  map[inventory.ID]bool // tenants whose plans may be used: those, those above, and the domains' own
	domains  map[string]bool       // named, or of the tenants
	accounts map[string]bool       // named
}

// ReachOf works out p's reach.
func ReachOf(tx inventory.Tx, p Principal) (*Reach, error) {
	r := &Reach{
		fleet: p.Fleet(), roots: map[inventory.ID]bool{}, tenants: map[inventory.ID]bool{}, lenders: map[inventory.ID]bool{},
		domains: map[string]bool{}, accounts: map[string]bool{},
	}
	if r.fleet {
		return r, nil
	}
	for _, scope := range p.Scope {
		kind, name := scope.Split()
		switch kind {
		case "tenant":
			r.roots[inventory.ID(name)] = true
		case "domain":
			r.domains[name] = true
		case "account":
			r.accounts[name] = true
		}
	}
	if err := r.below(tx); err != nil {
		return nil, err
	}
	return r, r.lend(tx)
}

// below adds the tenants below the roots, and the domains of all.
func (r *Reach) below(tx inventory.Tx) error {
	level := slices.Collect(maps.Keys(r.roots))
	for range maxBelow {
		var parents []string
		for _, id := range level {
			if !r.tenants[id] {
				r.tenants[id] = true
				parents = append(parents, string(id))
			}
		}
		if len(parents) == 0 {
			break
		}
		children, _, err := tx.Tenants().List(inventory.Query{Where: map[string][]string{"parent": parents}})
		if err != nil {
			return err
		}
		level = level[:0]
		for _, t := range children {
			level = append(level, t.ID)
		}
	}
	if len(r.tenants) == 0 {
		return nil
	}
	domains, _, err := tx.Domains().List(inventory.Query{Where: map[string][]string{"tenant": texts(r.tenants)}})
	for _, d := range domains {
		r.domains[d.Name] = true
	}
	return err
}

// lend finds the tenants whose plans may be used.
func (r *Reach) lend(tx inventory.Tx) error {
	up := maps.Clone(r.tenants)
	for name := range r.domains {
		d, err := tx.Domains().Find("name", name)
		if inventory.Is(err, inventory.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if d.Tenant != "" {
			up[d.Tenant] = true
		}
	}
	for id := range up {
		for range maxBelow {
			if id == "" || r.lenders[id] {
				break
			}
			r.lenders[id] = true
			t, err := tx.Tenants().Get(id)
			if inventory.Is(err, inventory.NotFound) {
				break
			}
			if err != nil {
				return err
			}
			id = t.Parent
		}
	}
	return nil
}

// Fleet reports whether everything is in reach.
func (r *Reach) Fleet() bool { return r.fleet }

// Sees reports whether a thing lies where it may be read. Kinds that are the
// fleet's never do in a narrower scope.
func (r *Reach) Sees(thing any) bool {
	if r.fleet {
		return true
	}
	switch t := thing.(type) {
	case *inventory.Tenant:
		return r.tenants[t.ID]
	case *inventory.Plan:
		return t.Tenant == "" || r.lenders[t.Tenant]
	case *inventory.Domain:
		return r.domains[t.Name]
	case *inventory.Account:
		return r.domains[t.Domain] || r.accounts[t.Address]
	case *inventory.Group:
		return r.domains[t.Domain]
	case *inventory.DKIMKey:
		return r.domains[t.Domain]
	case *inventory.Person:
		return r.Covers(t.Role, t.Scope)
	case *inventory.Token:
		return r.Covers(t.Role, t.Scope)
	case *inventory.AuditEntry:
		return r.Touches(t.Scope)
	default:
		return false
	}
}

// Holds reports whether a thing lies where it may be changed. Of tenants those
// below one's own, and of plans one's own.
func (r *Reach) Holds(thing any) bool {
	if r.fleet {
		return true
	}
	switch t := thing.(type) {
	case *inventory.Tenant:
		return r.tenants[t.ID] && !r.roots[t.ID] || t.ID == "" && r.tenants[t.Parent]
	case *inventory.Plan:
		return r.tenants[t.Tenant]
	case *inventory.Domain:
		return r.domains[t.Name] && (t.Tenant == "" || len(r.tenants) == 0 || r.tenants[t.Tenant]) || t.ID == "" && r.tenants[t.Tenant]
	default:
		return r.Sees(thing)
	}
}

// Covers reports whether a role with that scope holds nowhere beyond r.
func (r *Reach) Covers(role inventory.Role, scope []inventory.Scope) bool {
	if r.fleet {
		return true
	}
	if len(scope) == 0 {
		return false
	}
	for _, s := range scope {
		kind, name := s.Split()
		switch kind {
		case "tenant":
			if !r.tenants[inventory.ID(name)] {
				return false
			}
		case "domain":
			if !r.domains[name] {
				return false
			}
		case "account":
			if !r.accounts[name] && !r.domains[name[strings.LastIndexByte(name, '@')+1:]] {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// Touches reports whether any of the scopes lies in r.
func (r *Reach) Touches(scopes []inventory.Scope) bool {
	if r.fleet {
		return true
	}
	for _, s := range scopes {
		kind, name := s.Split()
		if kind == "tenant" && r.tenants[inventory.ID(name)] || kind == "domain" && r.domains[name] || kind == "account" && r.accounts[name] {
			return true
		}
	}
	return false
}

// Narrow names the values of a field that a kind's things in reach have, so
// that a list need not read the others. ok is false when there is no such field.
func (r *Reach) Narrow(kind inventory.Kind) (field string, values []string, ok bool) {
	switch {
	case r.fleet:
		return "", nil, false
	case kind == inventory.Domains:
		return "name", texts(r.domains), true
	case kind == inventory.Groups, kind == inventory.DKIMKeys:
		return "domain", texts(r.domains), true
	case kind == inventory.Accounts && len(r.accounts) == 0:
		return "domain", texts(r.domains), true
	case kind == inventory.Accounts && len(r.domains) == 0:
		return "address", texts(r.accounts), true
	case kind == inventory.Audit:
		return "scope", r.scopes(), true
	default:
		return "", nil, false
	}
}

// scopes are the scopes that lie in r.
func (r *Reach) scopes() []string {
	var all []string
	for id := range r.tenants {
		all = append(all, "tenant:"+string(id))
	}
	for name := range r.domains {
		all = append(all, "domain:"+name)
	}
	for address := range r.accounts {
		all = append(all, "account:"+address)
	}
	return all
}

// Roots are the tenants that the scope names.
func (r *Reach) Roots() []inventory.ID { return slices.Sorted(maps.Keys(r.roots)) }

func texts[K ~string](set map[K]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, string(k))
	}
	slices.Sort(out)
	return out
}

// ScopeOf is where a thing lies, from near to wide, for its audit entries;
// empty: the fleet.
func ScopeOf(tx inventory.Tx, thing any) ([]inventory.Scope, error) {
	switch t := thing.(type) {
	case *inventory.Tenant:
		scopes := []inventory.Scope{inventory.ScopeTenant(t.ID)}
		if t.Parent != "" { // so that the reseller sees what became of it once it is deleted
			scopes = append(scopes, inventory.ScopeTenant(t.Parent))
		}
		return scopes, nil
	case *inventory.Plan:
		if t.Tenant == "" {
			return nil, nil
		}
		return []inventory.Scope{inventory.ScopeTenant(t.Tenant)}, nil
	case *inventory.Domain:
		return domainScope(t), nil
	case *inventory.Account:
		return widen(tx, []inventory.Scope{inventory.ScopeAccount(t.Address)})
	case *inventory.Group:
		return widen(tx, []inventory.Scope{inventory.ScopeDomain(t.Domain)})
	case *inventory.DKIMKey:
		return widen(tx, []inventory.Scope{inventory.ScopeDomain(t.Domain)})
	case *inventory.Person:
		return widen(tx, t.Scope)
	case *inventory.Token:
		return widen(tx, t.Scope)
	default:
		return nil, nil
	}
}

func domainScope(d *inventory.Domain) []inventory.Scope {
	scopes := []inventory.Scope{inventory.ScopeDomain(d.Name)}
	if d.Tenant != "" {
		scopes = append(scopes, inventory.ScopeTenant(d.Tenant))
	}
	return scopes
}

// widen adds an account's domain and a domain's tenant.
func widen(tx inventory.Tx, scopes []inventory.Scope) ([]inventory.Scope, error) {
	var out []inventory.Scope
	for _, s := range scopes {
		kind, name := s.Split()
		switch kind {
		case "account":
			out = append(out, s)
			name = name[strings.LastIndexByte(name, '@')+1:]
		case "domain":
		case "tenant":
			out = append(out, s)
			continue
		default:
			continue
		}
		d, err := tx.Domains().Find("name", name)
		switch {
		case inventory.Is(err, inventory.NotFound):
			out = append(out, inventory.ScopeDomain(name))
		case err != nil:
			return nil, err
		default:
			out = append(out, domainScope(d)...)
		}
	}
	return out, nil
}

// Within are the addresses and domains in reach, sorted, for who picks by them;
// of the fleet they are not known.
func (r *Reach) Within() []string {
	return slices.Sorted(slices.Values(append(texts(r.domains), texts(r.accounts)...)))
}

// Domains are the names of the domains in reach; of the fleet they are not known.
func (r *Reach) Domains() []string { return texts(r.domains) }

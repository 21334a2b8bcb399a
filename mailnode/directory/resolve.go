package directory

import (
	"errors"
	"slices"
	"strings"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// Sender is who writes to an address, as far as it is known.
type Sender struct {
	Address string // reverse-path; "" is the null one
	Account string // id of the account that signed in; "" for mail from outside
}

// Target is one place where mail for an address goes.
type Target struct {
	// Account is whose mailbox here takes it; nil when it goes elsewhere.
	Account *Account
	// Server is the name of the server of the fleet that has the mailbox; "" when it
	// is here, or outside the fleet.
	Server string

	Address string // the recipient there, its sub-address kept
	Detail  string // what followed the delimiter of a sub-address here; "" for nothing

	// Via is the address of the fleet on whose behalf the mail leaves it, so that the
	// reverse-path must become one of that address's domain (SRS); "" when it does not.
	Via string
}

// Route is where mail for an address goes.
type Route struct {
	Domain  *api.Domain // of the address; nil for postmaster without a domain
	Targets []Target    // one at least, no mailbox twice
	// MessageBytes is the largest message that can go there; 0: what the server takes.
	MessageBytes int64
}

// Bounds of where one address may lead.
const (
	MaxTargets = 5000
	maxDepth   = 16     // groups within groups, forwards of forwards
	maxSteps   = 20_000 // addresses looked at, those that lead nowhere too
)

// Resolve says where mail for an address goes: through aliases, groups, forwards and
// the domain's catch-all. The address may be a sub-address, and postmaster stands
// without a domain for this server's own (RFC 5321 §4.5.1). Its errors are the ones
// above. Members of a group that are gone or suspended are passed over while others
// are left.
func (d *Directory) Resolve(address string, from Sender) (Route, error) {
	r := resolver{Table: d.table.Load(), from: from, passed: map[string]bool{}}
	address = strings.ToLower(address)
	_, domain, whole := cutLast(address)
	switch {
	case !whole && address != postmaster:
		return Route{}, ErrUnknown
	case whole && r.domains[domain] == nil:
		return Route{}, ErrNotLocal
	}
	if _, err := r.follow(address, hop{top: true}); err != nil {
		return Route{}, err
	}
	if len(r.targets) == 0 {
		return Route{}, ErrUnknown // a circle of groups
	}
	return Route{Domain: r.domains[domain], Targets: r.targets, MessageBytes: r.most}, nil
}

// Recipient returns the account of this server that an address leads to by its own
// name, an alias, a sub-address or as postmaster.
func (d *Directory) Recipient(address string) (Account, error) {
	route, err := d.Resolve(address, Sender{})
	if err != nil {
		return Account{}, err
	}
	for _, t := range route.Targets {
		if t.Account != nil {
			return *t.Account, nil
		}
	}
	return Account{}, ErrUnknown
}

// resolver works out one address.
type resolver struct {
	*Table
	from    Sender
	passed  map[string]bool // what was come to; true when mail gets somewhere from there
	targets []Target
	most    int64
	steps   int
}

// hop is how an address was come to.
type hop struct {
	depth int
	top   bool   // it is the one asked for
	via   string // the group or account that leads to it
}

func (h hop) through(via string) hop { return hop{depth: h.depth + 1, via: via} }

// follow adds the targets of an address in lower case that are not there yet. there
// reports whether mail for it gets anywhere; in a circle it does not.
func (r *resolver) follow(address string, h hop) (there bool, err error) {
	if r.steps++; r.steps > maxSteps || h.depth > maxDepth || len(r.targets) >= MaxTargets {
		return false, ErrTooMany
	}
	local, domain, _ := cutLast(address)
	if domain != "" && r.domains[domain] == nil {
		return r.add(address, Target{Address: address, Via: h.via}), nil
	}
	base, detail, sub := r.split(address)
	switch {
	case r.has(address) || r.groups[address] != nil:
		return r.known(address, "", h)
	case sub && r.has(base):
		return r.known(base, detail, h)
	case local == postmaster || sub && base == postmaster+"@"+domain:
		return r.role(postmaster, domain, h)
	case local == abuse:
		return r.role(abuse, domain, h)
	}
	if d := r.domains[domain]; d != nil && d.Mail.CatchAll != "" {
		return r.once(catchAll+domain, func() (bool, error) {
			return r.follow(strings.ToLower(d.Mail.CatchAll), h.through(address))
		}, ErrUnknown)
	}
	if r.partial {
		return false, ErrNotKnown
	}
	return false, ErrUnknown
}

const (
	postmaster = "postmaster"
	abuse      = "abuse"
	catchAll   = "*@" // before a domain: its catch-all
)

// has reports whether an address is of an account, here or away: who can have
// sub-addresses.
func (r *resolver) has(address string) bool {
	_, here := r.byAddress[address]
	return here || r.away[address] != nil
}

// once goes through something, unless that was done: it then tells what came of it,
// or circle where it is still being done.
func (r *resolver) once(key string, through func() (bool, error), circle error) (there bool, err error) {
	if there, passed := r.passed[key]; passed {
		if !there {
			return false, circle
		}
		return true, nil
	}
	r.passed[key] = false
	there, err = through()
	r.passed[key] = there
	return there, err
}

// add adds a target, once.
func (r *resolver) add(key string, t Target) bool {
	if !r.passed[key] {
		r.passed[key] = true
		r.targets = append(r.targets, t)
	}
	return true
}

// known follows an address that is somebody's, come to with a detail.
func (r *resolver) known(address, detail string, h hop) (bool, error) {
	if i, here := r.byAddress[address]; here {
		a := &r.accounts[i]
		if a.Suspended {
			return false, ErrSuspended
		}
		return r.once(a.Address, func() (bool, error) { return r.mailbox(a, detail, h) }, nil)
	}
	if g := r.groups[address]; g != nil {
		if h.top && !r.writes(g) {
			return false, ErrNotAllowed
		}
		return r.once(g.Address, func() (bool, error) { return r.group(g, h) }, nil)
	}
	a := r.away[address]
	if a.Suspended {
		return false, ErrSuspended
	}
	return r.add(a.Address, Target{Server: a.Server, Address: r.sub(a.Address, detail), Detail: detail}), nil
}

// mailbox adds an account's mailbox, and whom its mail is forwarded to.
func (r *resolver) mailbox(a *Account, detail string, h hop) (bool, error) {
	if h.top {
		r.most = a.MessageBytes
	}
	forwarded := false
	if a.May(inventory.FeatureForward) {
		for _, to := range a.Forward.To {
			there, err := r.follow(strings.ToLower(to), h.through(a.Address))
			if !passable(err) {
				return false, err
			}
			forwarded = forwarded || there
		}
	}
	// A forward that leads nowhere, or only back to where it came from, loses nothing.
	if a.Forward.Keep || !forwarded {
		r.targets = append(r.targets, Target{Account: a, Address: r.sub(a.Address, detail), Detail: detail})
	}
	return true, nil
}

// group adds the members of a group. Whoever may write to a group may write to those
// within it.
func (r *resolver) group(g *api.Group, h hop) (there bool, err error) {
	if _, domain, _ := cutLast(g.Address); h.top && r.domains[domain] != nil {
		r.most = r.domains[domain].MessageBytes
	}
	var last error
	for _, m := range g.Members {
		reached, err := r.follow(strings.ToLower(m), h.through(g.Address))
		if !passable(err) {
			return false, err
		}
		if err != nil {
			last = err
		}
		there = there || reached
	}
	if there {
		return true, nil
	}
	return false, last
}

// passable reports whether one of several may be passed over for an error: it is gone
// or suspended.
func passable(err error) bool {
	return err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrSuspended) || errors.Is(err, ErrNoPostmaster)
}

// writes reports whether the sender may write to a group. Anybody can claim an
// address, so members and users of the fleet must have signed in.
func (r *resolver) writes(g *api.Group) bool {
	if g.Writers == inventory.WritersAnyone {
		return true
	}
	_, domain, _ := cutLast(g.Address)
	if i, known := r.byID[r.from.Account]; known {
		a := &r.accounts[i]
		_, of, _ := cutLast(a.Address)
		if g.Writers == inventory.WritersDomain {
			return of == domain
		}
		mine := append([]string{a.Address}, a.Aliases...)
		return slices.ContainsFunc(g.Members, func(m string) bool {
			return slices.ContainsFunc(mine, func(address string) bool { return strings.EqualFold(m, address) })
		})
	}
	_, of, _ := cutLast(strings.ToLower(r.from.Address))
	return g.Writers == inventory.WritersMembers && r.from.Address != "" && r.domains[of] == nil &&
		slices.ContainsFunc(g.Members, func(m string) bool { return strings.EqualFold(m, r.from.Address) })
}

// role follows postmaster or abuse of a domain, which nobody is called: to whom the
// domain names, or else whom the server does.
func (r *resolver) role(name, domain string, h hop) (bool, error) {
	var ways []string
	if d := r.domains[domain]; d != nil {
		if name == abuse {
			ways = append(ways, d.Mail.Abuse, postmaster+"@"+domain)
		}
		ways = append(ways, d.Postmaster)
	}
	return r.once(name+"@"+domain, func() (bool, error) {
		for _, way := range append(ways, r.postmaster) {
			if way == "" {
				continue
			}
			there, err := r.follow(strings.ToLower(way), hop{depth: h.depth + 1, top: h.top, via: name + "@" + domain})
			if there || !passable(err) {
				return there, err
			}
		}
		return false, ErrNoPostmaster
	}, ErrNoPostmaster)
}

// cutLast parts an address at its last @; whole is false when there is none.
func cutLast(address string) (local, domain string, whole bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, "", false
	}
	return address[:at], address[at+1:], true
}

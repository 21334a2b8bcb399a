package api

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailfleet/inventory"
)

// checkFlow looks at what the vocabulary itself can tell.
func (c *Config) checkFlow() error { return asField("mail", c.Mail.Check()) }

// asField says an error of the vocabulary as one about a field below another.
func asField(below string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*inventory.Error](err); ok && e.Field != "" {
		return wrong(below+"."+e.Field, "%s", e.Message)
	}
	return wrong(below, "%s", err)
}

// claims are the addresses that are somebody's.
type claims map[string]bool

func (c claims) claim(field, address string) error {
	key := strings.ToLower(address)
	if c[key] {
		return wrong(field, "the address %s is there twice", address)
	}
	c[key] = true
	return nil
}

func (c *Config) checkAccounts() error {
	domains := map[string]bool{}
	for i, d := range c.Domains {
		field, name := fmt.Sprintf("domains[%d]", i), strings.ToLower(d.Name)
		if err := d.check(field); err != nil {
			return err
		}
		if domains[name] {
			return wrong(field+".name", "the domain %s is there twice", d.Name)
		}
		domains[name] = true
	}
	ids, addresses := map[string]bool{}, claims{}
	for i, a := range c.Accounts {
		field := fmt.Sprintf("accounts[%d]", i)
		if err := a.check(field, domains); err != nil {
			return err
		}
		if ids[a.ID] {
			return wrong(field+".id", "the account %s is there twice", a.ID)
		}
		ids[a.ID] = true
		if err := addresses.claim(field+".address", a.Address); err != nil {
			return err
		}
		for j, alias := range a.Aliases {
			if err := addresses.claim(fmt.Sprintf("%s.aliases[%d]", field, j), alias); err != nil {
				return err
			}
		}
	}
	for i, g := range c.Groups {
		field := fmt.Sprintf("groups[%d].address", i)
		if err := checkLocal(field, g.Address, domains); err != nil {
			return err
		}
		if err := addresses.claim(field, g.Address); err != nil {
			return err
		}
	}
	return c.checkAway(domains, addresses)
}

// checkAway looks at who is elsewhere, and at the postmaster, who may be.
func (c *Config) checkAway(domains map[string]bool, here claims) error {
	peers := map[string]bool{}
	for i, p := range c.Peers {
		field := fmt.Sprintf("peers[%d]", i)
		if p.Name == "" || peers[p.Name] {
			return wrong(field+".name", "a peer needs a name of its own, not %q", p.Name)
		}
		peers[p.Name] = true
		if a, err := netip.ParseAddrPort(p.Address); err != nil || a.Port() == 0 {
			return wrong(field+".address", "%q is not an IP address and port", p.Address)
		}
	}
	postmaster := c.Postmaster == "" || here[strings.ToLower(c.Postmaster)]
	for i, a := range c.Away {
		field := fmt.Sprintf("away[%d]", i)
		for j, address := range append([]string{a.Address}, a.Aliases...) {
			name := field + ".address"
			if j > 0 {
				name = fmt.Sprintf("%s.aliases[%d]", field, j-1)
			}
			if err := checkLocal(name, address, domains); err != nil {
				return err
			}
		}
		if a.Server == "" {
			return wrong(field+".server", "name its home server")
		}
		postmaster = postmaster || strings.EqualFold(a.Address, c.Postmaster)
	}
	if !postmaster {
		return wrong("postmaster", "%s is not the address of an account in this file", c.Postmaster)
	}
	return nil
}

// checkLocal accepts an address in a local domain.
func checkLocal(field, address string, domains map[string]bool) error {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || !isLocalPart(local) || !isDomain(domain) {
		return wrong(field, "%q is not a mail address", address)
	}
	if !domains[strings.ToLower(domain)] {
		return wrong(field, "the domain of %s is not one of domains", address)
	}
	return nil
}

// checkDestination accepts any address that mail can be sent to.
func checkDestination(field, address string) error {
	if _, _, err := inventory.ParseAddress("address", address); err != nil {
		return wrong(field, "%q is not a mail address", address)
	}
	return nil
}

func (c *Config) checkGroups() error {
	for i, g := range c.Groups {
		field := fmt.Sprintf("groups[%d]", i)
		if len(g.Members) > inventory.MaxMembers {
			return wrong(field+".members", "a group has %d members at most", inventory.MaxMembers)
		}
		for j, m := range g.Members {
			if err := checkDestination(fmt.Sprintf("%s.members[%d]", field, j), m); err != nil {
				return err
			}
		}
		if !slices.Contains([]inventory.Writers{inventory.WritersAnyone, inventory.WritersDomain, inventory.WritersMembers}, g.Writers) {
			return wrong(field+".writers", "%q is not one of anyone, domain, members", g.Writers)
		}
	}
	return nil
}

func (d *Domain) check(field string) error {
	if !isDomain(strings.ToLower(d.Name)) {
		return wrong(field+".name", "%q is not a domain", d.Name)
	}
	if d.Postmaster != "" {
		if err := checkDestination(field+".postmaster", d.Postmaster); err != nil {
			return err
		}
	}
	if d.MessageBytes < 0 {
		return wrong(field+".message_bytes", "message_bytes must not be negative")
	}
	if err := asField(field+".mail", d.Mail.Check()); err != nil {
		return err
	}
	selectors := map[string]bool{}
	for i, k := range d.DKIM {
		field := fmt.Sprintf("%s.dkim[%d]", field, i)
		if !isDomain(k.Selector) || selectors[k.Selector] {
			return wrong(field+".selector", "a key needs a selector of its own, not %q", k.Selector)
		}
		selectors[k.Selector] = true
		if !strings.HasPrefix(k.Private, "-----BEGIN ") {
			return wrong(field+".private", "the key is not in PEM form")
		}
	}
	return nil
}

func (a Account) check(field string, domains map[string]bool) error {
	if !isUUID(a.ID) {
		return wrong(field+".id", "%q is not a UUID in lower case", a.ID)
	}
	if err := checkLocal(field+".address", a.Address, domains); err != nil {
		return err
	}
	if err := checkHash(a.PasswordHash); err != nil {
		return wrong(field+".password_hash", "%s", err)
	}
	if err := checkSCRAM(a.SCRAM); err != nil {
		return wrong(field+".scram", "%s", err)
	}
	for name, n := range map[string]int64{
		"quota_bytes": a.QuotaBytes, "quota_messages": a.QuotaMessages, "message_bytes": a.MessageBytes,
		"recipients": int64(a.Recipients), "sent_a_day": int64(a.SentADay),
		"sent_an_hour": int64(a.SentAnHour), "messages_an_hour": int64(a.MessagesAnHour),
	} {
		if n < 0 {
			return wrong(field+"."+name, "%s must not be negative", name)
		}
	}
	for i, f := range a.Off {
		if !slices.Contains(inventory.Features, f) {
			return wrong(fmt.Sprintf("%s.off[%d]", field, i), "%q is not a feature: there are %v", f, inventory.Features)
		}
	}
	return a.checkMail(field, domains)
}

// checkMail looks at an account's other addresses, where its mail goes, and its
// application passwords.
func (a Account) checkMail(field string, domains map[string]bool) error {
	for i, alias := range a.Aliases {
		if err := checkLocal(fmt.Sprintf("%s.aliases[%d]", field, i), alias, domains); err != nil {
			return err
		}
	}
	for i, to := range a.Forward.To {
		if err := checkDestination(fmt.Sprintf("%s.forward.to[%d]", field, i), to); err != nil {
			return err
		}
	}
	if err := inventory.CheckLanguage(a.Language); err != nil {
		return wrong(field+".language", "%s", err)
	}
	ids := map[string]bool{}
	for i, app := range a.AppPasswords {
		field := fmt.Sprintf("%s.app_passwords[%d]", field, i)
		if err := app.check(field); err != nil {
			return err
		}
		if ids[app.ID] {
			return wrong(field+".id", "the application password %s is there twice", app.ID)
		}
		ids[app.ID] = true
	}
	return nil
}

package fleet

import (
	"cmp"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"mailfleet/controller/api"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
)

// readDomains reads all domains, whatever was touched: each server serves them all.
func (b *board) readDomains(tx inventory.Tx, _ map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	list, _, err := tx.Domains().List(inventory.Query{})
	if err != nil {
		return err
	}
	keys, err := b.signingKeys(tx)
	if err != nil {
		return err
	}
	administrators, err := administrators(tx)
	if err != nil {
		return err
	}
	terms := inventory.NewTermsReader(tx)
	domains := make([]api.DesiredDomain, 0, len(list))
	for _, d := range list {
		desired, err := b.domain(d, terms)
		if err != nil {
			return err
		}
		if desired.Postmaster == "" {
			desired.Postmaster = administrators[d.Name]
		}
		desired.DKIM = keys[d.Name]
		domains = append(domains, desired)
	}
	for _, doc := range docs {
		put(doc, &doc.desired.Mail.Domains, domains)
	}
	return nil
}

func (b *board) domain(d *inventory.Domain, terms *inventory.TermsReader) (out api.DesiredDomain, err error) {
	may, err := terms.Domain(d.Name)
	if err != nil {
		return out, err
	}
	out = api.DesiredDomain{Name: d.Name, Postmaster: d.Postmaster, MessageSize: may.Limits.MessageSize, Mail: d.Mail}
	// A secret that cannot be opened is as one that was never given: mail goes on, and
	// whoever is to be told of it finds no signature.
	if password, err := b.seal.Unseal(seal.RoutePassword(d.ID), d.RoutePassword); err == nil {
		out.RoutePassword = string(password)
	} else if len(d.RoutePassword) > 0 {
		b.log.Warn("the password of a domain's smart host cannot be read: set it again", "domain", d.Name, "err", err)
	}
	for id, sealed := range d.HookSecrets {
		if secret, err := b.seal.Unseal(seal.HookSecret(id), sealed); err == nil {
			if out.HookSecrets == nil {
				out.HookSecrets = make(map[inventory.ID]string)
			}
			out.HookSecrets[id] = string(secret)
		} else {
			b.log.Warn("the secret of a domain's hook cannot be read: make the hook anew", "domain", d.Name, "hook", id, "err", err)
		}
	}
	return out, nil
}

// administrators are, by domain, the account of somebody who administers it as things
// were when a person or a domain last changed (a mailnode passes over one that has gone): of
// several the one who came first.
func administrators(tx inventory.Tx) (map[string]string, error) {
	people, _, err := tx.People().List(inventory.Query{})
	if err != nil {
		return nil, err
	}
	first := make(map[string]string)
	for _, p := range people {
		if p.Disabled || p.Role != inventory.RoleDomainAdmin {
			continue
		}
		account, err := accountOf(tx, p)
		if err != nil {
			return nil, err
		}
		for _, scope := range p.Scope {
			if kind, domain := scope.Split(); kind == "domain" && account != "" && first[domain] == "" {
				first[domain] = account
			}
		}
	}
	return first, nil
}

// accountOf is the address of a person's account of the fleet; "" when there is none.
func accountOf(tx inventory.Tx, p *inventory.Person) (string, error) {
	for _, address := range []string{strings.ToLower(p.Email), strings.ToLower(p.Name)} {
		if address == "" {
			continue
		}
		_, err := tx.Accounts().Find("address", address)
		if err == nil {
			return address, nil
		}
		if !inventory.Is(err, inventory.NotFound) {
			return "", err
		}
	}
	return "", nil
}

// signingKeys are the keys that sign now, by their domain.
func (b *board) signingKeys(tx inventory.Tx) (map[string][]api.DesiredDKIM, error) {
	list, _, err := tx.DKIMKeys().List(inventory.Query{Where: map[string][]string{"state": {string(domainkey.Active)}}})
	if err != nil {
		return nil, err
	}
	keys := make(map[string][]api.DesiredDKIM)
	for _, k := range list {
		private, err := b.seal.Unseal(seal.DKIMKey(k.Domain, k.Selector), k.Private)
		if err != nil { // sealed by another controller's key: it cannot sign
			b.log.Warn("a domain's DKIM key cannot be read and does not sign: rotate the keys", "domain", k.Domain, "selector", k.Selector, "err", err)
			continue
		}
		keys[k.Domain] = append(keys[k.Domain], api.DesiredDKIM{Selector: k.Selector, Private: string(private)})
	}
	return keys, nil
}

// readGroups reads all groups, whatever was touched: each server expands them all.
func (b *board) readGroups(tx inventory.Tx, _ map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	list, _, err := tx.Groups().List(inventory.Query{})
	if err != nil {
		return err
	}
	var groups []api.DesiredGroup
	for _, g := range list {
		groups = append(groups, api.DesiredGroup{Address: g.Address, Members: g.Members, Writers: g.Writers})
	}
	for _, doc := range docs {
		put(doc, &doc.desired.Mail.Groups, groups)
	}
	return nil
}

// home is where an account is, as other servers must know it.
type home struct {
	server    inventory.ID
	address   string
	aliases   []string
	suspended bool
}

// maxHomes bounds how many accounts each server is told of that are not its own:
// the list goes whole to each with every change.
const maxHomes = 20_000

// house takes down where an account is.
func (b *board) house(a *inventory.Account) {
	h := home{a.Server, a.Address, a.Aliases, a.State == inventory.AccountSuspended}
	if !reflect.DeepEqual(b.homes[a.ID], h) {
		b.homes[a.ID], b.strayed = h, true
	}
}

// tellHomes tells every mailnode where the others are and which accounts they have. A
// single mailnode has them all.
func (b *board) tellHomes() {
	var peers []api.DesiredPeer
	for _, doc := range b.docs {
		if port := smtpPort(doc.desired.Services); port != 0 {
			peers = append(peers, api.DesiredPeer{
				Name: doc.desired.Server.Name, Address: net.JoinHostPort(doc.desired.Server.Address, strconv.Itoa(port)),
			})
		}
	}
	slices.SortFunc(peers, func(a, b api.DesiredPeer) int { return cmp.Compare(a.Name, b.Name) })
	if b.strayed {
		b.listHomes()
	}
	for _, doc := range b.docs {
		mail := &doc.desired.Mail
		if len(peers) < 2 || smtpPort(doc.desired.Services) == 0 {
			put(doc, &mail.Peers, nil)
			put(doc, &mail.Homes, nil)
			put(doc, &mail.Partial, false)
			continue
		}
		put(doc, &mail.Peers, peers)
		put(doc, &mail.Homes, b.listed)
		put(doc, &mail.Partial, b.partial)
	}
}

// smtpPort is the port that a server's mailnode takes mail on; 0 for none.
func smtpPort(services []api.DesiredService) int {
	for _, v := range services {
		if v.Kind == inventory.KindMailnode && v.Ports["smtp"] != 0 {
			return v.Ports["smtp"]
		}
	}
	return 0
}

// listHomes lists the homes in the order of addresses, as many as are told.
func (b *board) listHomes() {
	list := make([]api.DesiredHome, 0, len(b.homes))
	for _, h := range b.homes {
		if doc := b.docs[h.server]; doc != nil {
			list = append(list, api.DesiredHome{Address: h.address, Aliases: h.aliases, Server: doc.desired.Server.Name, Suspended: h.suspended})
		}
	}
	slices.SortFunc(list, func(a, b api.DesiredHome) int { return cmp.Compare(a.Address, b.Address) })
	b.partial = len(list) > maxHomes
	b.listed, b.strayed = slices.Clip(list[:min(len(list), maxHomes)]), false
}

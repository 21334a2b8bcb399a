package fleet

import (
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// readAccounts reads the accounts of the servers that the touched ones are or were at home on.
func (b *board) readAccounts(tx inventory.Tx, ids map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	at := make(map[inventory.ID]bool)
	if ids == nil {
		for id := range docs {
			at[id] = true
		}
	}
	for id := range ids {
		if home, ok := b.homes[id]; ok {
			at[home.server] = true
		}
		switch a, err := tx.Accounts().Get(id); {
		case err == nil:
			at[a.Server] = true
		case inventory.Is(err, inventory.NotFound):
			delete(b.homes, id)
			b.strayed = true
		default:
			return err
		}
	}
	return b.readHomes(tx, at, docs)
}

// readDomainTerms reads the accounts of the servers where the touched domains
// have any: their terms may be others now. With all kinds read afresh (ids is
// nil), accounts are, too.
func (b *board) readDomainTerms(tx inventory.Tx, ids map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	at := make(map[inventory.ID]bool)
	for id := range ids {
		d, err := tx.Domains().Get(id)
		if inventory.Is(err, inventory.NotFound) {
			continue // only one without accounts is deleted
		}
		if err != nil {
			return err
		}
		list, _, err := tx.Accounts().List(inventory.Query{Where: map[string][]string{"domain": {d.Name}}})
		if err != nil {
			return err
		}
		for _, a := range list {
			at[a.Server] = true
		}
	}
	return b.readHomes(tx, at, docs)
}

// readTerms reads all accounts when a plan or a tenant was touched: whose terms
// hang on it only the terms themselves tell.
func (b *board) readTerms(tx inventory.Tx, ids map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	if ids == nil {
		return nil
	}
	return b.readAccounts(tx, nil, docs)
}

// readHomes reads the accounts that are at home on some servers.
func (b *board) readHomes(tx inventory.Tx, at map[inventory.ID]bool, docs map[inventory.ID]*document) error {
	terms := inventory.NewTermsReader(tx)
	for home := range at {
		doc := docs[home]
		if doc == nil {
			continue
		}
		list, _, err := tx.Accounts().List(inventory.Query{Where: map[string][]string{"server": {string(home)}}})
		if err != nil {
			return err
		}
		accounts := make([]api.DesiredAccount, 0, len(list))
		for _, a := range list {
			b.house(a)
			may, err := terms.Account(a)
			if err != nil {
				return err
			}
			accounts = append(accounts, api.DesiredAccount{
				ID: a.ID, Address: a.Address, Password: a.Password, Suspended: a.State == inventory.AccountSuspended,
				SCRAM: a.SCRAM, AppPasswords: appPasswords(a), Limits: may.Limits, Off: off(may),
				Aliases: a.Aliases, Forward: a.Forward, Language: a.Language,
			})
		}
		put(doc, &doc.desired.Mail.Accounts, accounts)
	}
	return nil
}

// off are the features that are switched off, in the order people see them.
func off(t inventory.Terms) (features []inventory.Feature) {
	for _, f := range inventory.Features {
		if !t.Features[f] {
			features = append(features, f)
		}
	}
	return features
}

// appPasswords are those of an account as its server needs them.
func appPasswords(a *inventory.Account) (list []api.DesiredAppPassword) {
	for _, p := range a.AppPasswords {
		list = append(list, api.DesiredAppPassword{AppPassword: p, AppSecret: a.AppSecrets[p.ID]})
	}
	return list
}

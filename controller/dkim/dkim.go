// Package dkim makes the keys that the fleet's domains sign their mail with, keeps
// them sealed, and replaces them in time: what is due, package domainkey says. rest
// and app import it.
package dkim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
	"mailfleet/inventory/zone"
)

// Make makes a key for a domain. taken are the selectors the domain has.
func Make(sealer *seal.Key, domain string, algorithm domainkey.Algorithm, state domainkey.State, taken []string, now time.Time) (*inventory.DKIMKey, error) {
	signer, err := domainkey.Generate(algorithm)
	if err != nil {
		return nil, inventory.Wrap(inventory.Invalid, err, "%s", err)
	}
	private, err := domainkey.Encode(signer)
	if err != nil {
		return nil, err
	}
	record, err := domainkey.TXT(signer.Public())
	if err != nil {
		return nil, err
	}
	k := &inventory.DKIMKey{
		Domain: domain, Selector: domainkey.Selector(algorithm, now, taken), Algorithm: string(algorithm),
		State: string(state), Since: now.UTC(), Record: record,
	}
	k.Private = sealer.Seal(seal.DKIMKey(domain, k.Selector), private)
	return k, nil
}

// First makes the keys of a new domain: one of each algorithm, which sign at once.
func First(sealer *seal.Key, domain string, now time.Time) (keys []*inventory.DKIMKey, err error) {
	for _, a := range domainkey.Algorithms {
		k, err := Make(sealer, domain, a, domainkey.Active, nil, now)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Of lists the keys of a domain.
func Of(tx inventory.Tx, domain string) ([]*inventory.DKIMKey, error) {
	keys, _, err := tx.DKIMKeys().List(inventory.Query{Where: map[string][]string{"domain": {domain}}})
	return keys, err
}

// Open is a key with its private part.
func Open(sealer *seal.Key, k *inventory.DKIMKey) (domainkey.Key, error) {
	private, err := sealer.Unseal(seal.DKIMKey(k.Domain, k.Selector), k.Private)
	if err != nil {
		return domainkey.Key{}, err
	}
	signer, algorithm, err := domainkey.Decode(private)
	return domainkey.Key{Selector: k.Selector, Algorithm: algorithm, State: domainkey.State(k.State), Since: k.Since, Signer: signer}, err
}

// Activate lets a key sign; the one of its algorithm that did is retired.
func Activate(tx inventory.Tx, k *inventory.DKIMKey, now time.Time) error {
	keys, err := Of(tx, k.Domain)
	if err != nil {
		return err
	}
	for _, other := range keys {
		if other.ID == k.ID || other.Algorithm != k.Algorithm || other.State != string(domainkey.Active) {
			continue
		}
		other.State, other.Since = string(domainkey.Retired), now.UTC()
		if err := tx.DKIMKeys().Update(other); err != nil {
			return err
		}
	}
	k.State, k.Since = string(domainkey.Active), now.UTC()
	return nil
}

// Keeper replaces keys in time.
type Keeper struct {
	Store    inventory.Store
	Seal     *seal.Key
	DNS      zone.Resolver
	Rotation domainkey.Rotation
	Log      *slog.Logger
}

const (
	tendEvery   = time.Hour
	lookupLimit = 10 * time.Second
)

// Run takes the steps that are due, now and then until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	for {
		if err := k.Tend(ctx, time.Now()); err != nil && ctx.Err() == nil {
			k.Log.Error("keep the domains' DKIM keys", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Tend takes the steps that are due.
func (k *Keeper) Tend(ctx context.Context, now time.Time) error {
	keys := make(map[string][]*inventory.DKIMKey)
	err := k.Store.View(ctx, func(tx inventory.Tx) error {
		domains, _, err := tx.Domains().List(inventory.Query{})
		if err != nil {
			return err
		}
		all, _, err := tx.DKIMKeys().List(inventory.Query{})
		for _, d := range domains {
			keys[d.Name] = nil
		}
		for _, key := range all {
			keys[key.Domain] = append(keys[key.Domain], key)
		}
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for domain, own := range keys {
		for _, step := range k.Rotation.Due(plain(own), now, func(key domainkey.Key) bool { return k.published(ctx, domain, key, own) }) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := k.take(ctx, domain, step, now); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", domain, err))
			}
		}
	}
	return errors.Join(errs...)
}

// plain are keys as domainkey looks at them.
func plain(keys []*inventory.DKIMKey) (list []domainkey.Key) {
	for _, key := range keys {
		list = append(list, domainkey.Key{
			Selector: key.Selector, Algorithm: domainkey.Algorithm(key.Algorithm), State: domainkey.State(key.State), Since: key.Since,
		})
	}
	return list
}

// published reports whether a key's record can be seen.
func (k *Keeper) published(ctx context.Context, domain string, key domainkey.Key, own []*inventory.DKIMKey) bool {
	i := slices.IndexFunc(own, func(o *inventory.DKIMKey) bool { return o.Selector == key.Selector })
	if i < 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	found := zone.Check(ctx, k.DNS, []zone.Record{{Name: domainkey.Name(key.Selector, domain), Type: "TXT", Value: own[i].Record, Job: zone.Signature}})[0]
	if found.State == zone.Unknown {
		k.Log.Warn("whether a DKIM key is published is not known", "domain", domain, "selector", key.Selector)
	}
	return found.State == zone.Right
}

// take takes one step, if it is still as it was.
func (k *Keeper) take(ctx context.Context, domain string, step domainkey.Step, now time.Time) error {
	var made *inventory.DKIMKey
	if step.Selector == "" {
		var taken []string
		err := k.Store.View(ctx, func(tx inventory.Tx) error {
			keys, err := Of(tx, domain)
			for _, key := range keys {
				taken = append(taken, key.Selector)
			}
			return err
		})
		if err != nil {
			return err
		}
		if made, err = Make(k.Seal, domain, step.Algorithm, step.To, taken, now); err != nil {
			return err
		}
	}
	err := k.Store.Update(ctx, func(tx inventory.Tx) error {
		if _, err := tx.Domains().Find("name", domain); inventory.Is(err, inventory.NotFound) {
			return nil
		} else if err != nil {
			return err
		}
		return k.write(tx, domain, step, made, now)
	})
	if err == nil {
		k.Log.Info("a DKIM key changed", "domain", domain, "algorithm", string(step.Algorithm), "selector", step.Selector, "to", string(step.To))
	}
	return err
}

func (k *Keeper) write(tx inventory.Tx, domain string, step domainkey.Step, made *inventory.DKIMKey, now time.Time) error {
	actor := inventory.Actor{Name: "controller"}
	if made != nil {
		fresh := *made // the transaction may run again
		if err := tx.DKIMKeys().Create(&fresh); err != nil {
			return err
		}
		return tx.Audit().Append(entry(actor, "DKIM key.create", &fresh))
	}
	key, err := tx.DKIMKeys().Find("domain/selector", domain+"/"+step.Selector)
	if inventory.Is(err, inventory.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch step.To {
	case "":
		if err := tx.DKIMKeys().Delete(key.ID); err != nil {
			return err
		}
		return tx.Audit().Append(entry(actor, "DKIM key.delete", key))
	case domainkey.Active:
		if err := Activate(tx, key, now); err != nil {
			return err
		}
	default:
		key.State, key.Since = string(step.To), now.UTC()
	}
	if err := tx.DKIMKeys().Update(key); err != nil {
		return err
	}
	return tx.Audit().Append(entry(actor, "DKIM key.change", key))
}

func entry(actor inventory.Actor, action string, k *inventory.DKIMKey) *inventory.AuditEntry {
	e := actor.Entry(action, inventory.DKIMKeys, string(k.ID))
	e.Scope = []inventory.Scope{inventory.ScopeDomain(k.Domain)}
	e.After = fmt.Sprintf(`{"domain":%q,"selector":%q,"state":%q}`, k.Domain, k.Selector, k.State)
	return e
}

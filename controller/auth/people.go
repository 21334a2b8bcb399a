package auth

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"mailfleet/inventory"
)

// FirstPerson is the sign-in name of the person made at the first start.
const FirstPerson = "operator"

// FirstStart creates the operator when the fleet has no person yet. The
// password is random and returned this once; created is false when there was
// somebody already.
func (g *Gate) FirstStart(ctx context.Context) (password string, created bool, err error) {
	none := false
	err = g.store.View(ctx, func(tx inventory.Tx) error {
		n, err := tx.People().Count(inventory.Query{})
		none = n == 0
		return err
	})
	if err != nil || !none {
		return "", false, err
	}
	password = newPassword()
	hash, err := g.Hash(ctx, password)
	if err != nil {
		return "", false, err
	}
	err = g.store.Update(ctx, func(tx inventory.Tx) error {
		p := &inventory.Person{Name: FirstPerson, Role: inventory.RoleOperator, Password: hash}
		if err := tx.People().Create(p); err != nil {
			return err
		}
		return tx.Audit().Append(inventory.Actor{Name: "controller"}.Entry("person.create", inventory.People, p.Name))
	})
	if inventory.Is(err, inventory.Conflict) { // another controller was first
		return "", false, nil
	}
	return password, err == nil, err
}

// newPassword is 100 random bits that can be read out and typed.
func newPassword() string {
	s := strings.ToLower(rand.Text())
	return s[0:5] + "-" + s[5:10] + "-" + s[10:15] + "-" + s[15:20]
}

// ChangePassword sets the password of the principal's own person and ends the
// person's other sessions. Wrong guesses at the current one count as failed
// sign-ins do. Invalid when the current password is wrong.
func (g *Gate) ChangePassword(ctx context.Context, actor inventory.Actor, p Principal, current, password string) error {
	if p.Session == "" {
		return errNoSession()
	}
	if err := g.addresses.Take(actor.Address); err != nil {
		return err
	}
	t, err := g.attempt(ctx, SignIn{From: actor, Name: p.Name, Password: current})
	if err != nil {
		return err
	}
	if err := t.open(time.Now()); err != nil {
		return err
	}
	matches, err := g.hasher.matches(ctx, current, t.hash())
	if err != nil {
		return err
	}
	if !matches {
		if err := t.refuse(ctx); !inventory.Is(err, inventory.Unauthorized) {
			return err
		}
		return inventory.FieldErrorf("current", "the current password is wrong")
	}
	g.addresses.Return(actor.Address)
	hash, err := g.Hash(ctx, password)
	if err != nil {
		return err
	}
	return g.store.Update(ctx, func(tx inventory.Tx) error { return setPassword(tx, actor, p, hash) })
}

func setPassword(tx inventory.Tx, actor inventory.Actor, p Principal, hash string) error {
	session, err := tx.Sessions().Get(p.Session)
	if err != nil {
		return err
	}
	person, err := tx.People().Get(session.Person)
	if err != nil {
		return err
	}
	person.Password = hash
	if err := tx.People().Update(person); err != nil {
		return err
	}
	sessions, err := sessionsOf(tx, person.ID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.ID == p.Session {
			continue
		}
		if err := tx.Sessions().Delete(s.ID); err != nil {
			return err
		}
	}
	return tx.Audit().Append(actor.Entry("person.password", inventory.People, person.Name))
}

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
		if err := t.refuse(ctx, "wrong password", errWrong()); !inventory.Is(err, inventory.Unauthorized) {
			return err
		}
		return inventory.FieldErrorf("current", "the current password is wrong")
	}
	g.addresses.Return(actor.Address)
	if password == current {
		return inventory.FieldErrorf("password", "the new password is the current one")
	}
	if err := g.allowed(ctx, t.person.Name, t.person.Email, password); err != nil {
		return err
	}
	hash, err := g.Hash(ctx, password)
	if err != nil {
		return err
	}
	return g.store.Update(ctx, func(tx inventory.Tx) error { return setPassword(tx, actor, p, hash) })
}

// allowed refuses a new password that the policy does not allow.
func (g *Gate) allowed(ctx context.Context, name, email, password string) error {
	return g.store.View(ctx, func(tx inventory.Tx) error {
		policy, err := ReadPolicy(tx)
		if err != nil {
			return err
		}
		return checkPassword(policy, "password", name, email, password)
	})
}

// FirstPassword returns the password a person is to change at the first
// sign-in, and its hash. An empty one is made.
func (g *Gate) FirstPassword(ctx context.Context, name, email, password string) (first, hash string, err error) {
	if password == "" {
		password = newPassword()
	} else if err := g.allowed(ctx, name, email, password); err != nil {
		return "", "", err
	}
	hash, err = g.Hash(ctx, password)
	return password, hash, err
}

// Operates reports whether the person can do everything: an operator of the
// whole fleet who can sign in.
func Operates(p *inventory.Person) bool {
	return Principal{Role: p.Role, Scope: p.Scope}.Fleet() && p.Role == inventory.RoleOperator && !p.Disabled
}

// NotTheLast is a Conflict when nobody but p operates the fleet.
func NotTheLast(tx inventory.Tx, p *inventory.Person) error {
	people, _, err := tx.People().List(inventory.Query{})
	if err != nil {
		return err
	}
	for _, other := range people {
		if other.ID != p.ID && Operates(other) {
			return nil
		}
	}
	return inventory.Errorf(inventory.Conflict, "%s is the last operator of the fleet: make another one first", p.Name)
}

// EndSessions ends all console sessions of a person.
func EndSessions(tx inventory.Tx, person inventory.ID) error { return endOthers(tx, person, "") }

// endOthers ends the person's sessions but one.
func endOthers(tx inventory.Tx, person, but inventory.ID) error {
	sessions, err := sessionsOf(tx, person)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.ID == but {
			continue
		}
		if err := tx.Sessions().Delete(s.ID); err != nil {
			return err
		}
	}
	return nil
}

// Unlock forgets failed sign-ins.
func Unlock(p *inventory.Person) { p.Failures, p.Locked = 0, time.Time{} }

func setPassword(tx inventory.Tx, actor inventory.Actor, p Principal, hash string) error {
	session, err := tx.Sessions().Get(p.Session)
	if err != nil {
		return err
	}
	person, err := tx.People().Get(session.Person)
	if err != nil {
		return err
	}
	person.Password, person.Renew, person.Changed = hash, false, time.Now().UTC()
	if err := tx.People().Update(person); err != nil {
		return err
	}
	if err := endOthers(tx, person.ID, p.Session); err != nil {
		return err
	}
	return audit(tx, actor.Entry("person.password", inventory.People, string(person.ID)), person)
}

// audit appends an entry about what a person did with what is their own.
func audit(tx inventory.Tx, e *inventory.AuditEntry, person *inventory.Person) (err error) {
	if person != nil {
		if e.Scope, err = ScopeOf(tx, person); err != nil {
			return err
		}
	}
	return tx.Audit().Append(e)
}

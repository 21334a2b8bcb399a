package auth

import (
	"context"
	"slices"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// A session ends SessionLife after sign-in, or when it has not been used for
// sessionIdle. Its use is written down at most once in sessionTouch.
const (
	SessionLife  = 12 * time.Hour
	sessionIdle  = time.Hour
	sessionTouch = 5 * time.Minute
	sessionsMost = 20 // of one person; beyond it the oldest ends
)

// begin creates the session of a person whose password was right.
func (g *Gate) begin(ctx context.Context, t *attempt) (string, Principal, error) {
	key, now := secret(), time.Now()
	var p Principal
	err := g.store.Update(ctx, func(tx inventory.Tx) error {
		person, err := tx.People().Get(t.person.ID)
		if err != nil {
			return err
		}
		// Others may have locked the name while this password was checked.
		if t.lane == "" {
			if err := personLane(person).open(now); err != nil {
				return err
			}
			Unlock(person)
		}
		if err := g.second(person, t.Code, now); err != nil {
			return err
		}
		if err := tx.People().Update(person); err != nil {
			return err
		}
		p, err = openSession(tx, person, t.From, key, &inventory.Session{Agent: t.Agent}, now)
		return err
	})
	if err != nil {
		return "", Principal{}, err
	}
	return key, p, nil
}

// openSession keeps the session s of a person who has shown who they are.
func openSession(tx inventory.Tx, person *inventory.Person, from inventory.Actor, key string, s *inventory.Session, now time.Time) (Principal, error) {
	if person.Disabled {
		return Principal{}, errDisabled
	}
	if err := tidySessions(tx, person.ID, now); err != nil {
		return Principal{}, err
	}
	s.Person, s.Hash, s.CSRF = person.ID, digest(key), secret()
	s.Address, s.Active, s.Expires = from.Address, now.UTC(), now.Add(sessionIdle)
	if err := tx.Sessions().Create(s); err != nil {
		return Principal{}, err
	}
	policy, err := ReadPolicy(tx)
	if err != nil {
		return Principal{}, err
	}
	p := principalOf(person, s, policy, now)
	from.Name = p.Actor()
	return p, audit(tx, from.Entry("signin", inventory.Sessions, string(s.ID)), person)
}

var errDisabled error = inventory.Errorf(inventory.Unauthorized, "you are not let in any more: ask an operator")

// tidySessions makes room for one more: it deletes the person's ended
// sessions, and the oldest live ones beyond the limit.
func tidySessions(tx inventory.Tx, person inventory.ID, now time.Time) error {
	sessions, err := sessionsOf(tx, person)
	if err != nil {
		return err
	}
	live := 0
	for i := len(sessions) - 1; i >= 0; i-- { // newest first
		s := sessions[i]
		if now.Before(s.Expires) && live < sessionsMost-1 {
			live++
			continue
		}
		if err := tx.Sessions().Delete(s.ID); err != nil {
			return err
		}
	}
	return nil
}

func sessionsOf(tx inventory.Tx, person inventory.ID) ([]*inventory.Session, error) {
	sessions, _, err := tx.Sessions().List(inventory.Query{Where: map[string][]string{"person": {string(person)}}})
	return sessions, err
}

func principalOf(person *inventory.Person, s *inventory.Session, policy api.Policy, now time.Time) Principal {
	return Principal{
		Name: person.Name, Role: person.Role, Scope: person.Scope, Session: s.ID, CSRF: s.CSRF, Expires: s.Expires,
		Must: duty(person, s, policy, now), TOTP: person.HasTOTP,
	}
}

// duty is what the person must do first. Who comes through an OpenID provider
// has neither a password nor a second factor here to care for.
func duty(person *inventory.Person, s *inventory.Session, policy api.Policy, now time.Time) Duty {
	changed := person.Changed
	if changed.IsZero() {
		changed = person.Created
	}
	age := time.Duration(policy.PasswordAge)
	switch {
	case s.Via != "":
		return ""
	case person.Renew || age > 0 && now.Sub(changed) >= age:
		return MustChange
	case !person.HasTOTP && slices.Contains(policy.TOTPRoles, person.Role):
		return MustEnrol
	default:
		return ""
	}
}

// Session finds whose session the cookie's secret is, and prolongs it.
// Unauthorized when it is none, or has ended.
func (g *Gate) Session(ctx context.Context, secret string) (Principal, error) {
	p, touch, err := g.session(ctx, func(tx inventory.Tx) (*inventory.Session, error) {
		return tx.Sessions().Find("hash", digest(secret))
	})
	if err != nil || !touch {
		return p, err
	}
	now := time.Now()
	err = g.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := tx.Sessions().Get(p.Session)
		if err != nil {
			return err
		}
		if expires := prolonged(s, now); expires.After(s.Expires) {
			s.Expires, p.Expires, s.Active = expires, expires, now.UTC()
			return tx.Sessions().Update(s)
		}
		return nil
	})
	if inventory.Is(err, inventory.NotFound) {
		return Principal{}, errEnded()
	}
	return p, err
}

// session reads a live session that find finds; touch tells that it is time to prolong it.
func (g *Gate) session(ctx context.Context, find func(inventory.Tx) (*inventory.Session, error)) (p Principal, touch bool, err error) {
	now := time.Now()
	err = g.store.View(ctx, func(tx inventory.Tx) error {
		s, err := find(tx)
		if err != nil {
			return err
		}
		if !now.Before(s.Expires) {
			return errEnded()
		}
		person, err := tx.People().Get(s.Person)
		if err != nil {
			return err
		}
		if person.Disabled {
			return errDisabled
		}
		policy, err := ReadPolicy(tx)
		if err != nil {
			return err
		}
		p, touch = principalOf(person, s, policy, now), prolonged(s, now).Sub(s.Expires) >= sessionTouch
		return nil
	})
	if inventory.Is(err, inventory.NotFound) {
		err = errEnded()
	}
	return p, touch, err
}

// prolonged is when a session ends that is used now.
func prolonged(s *inventory.Session, now time.Time) time.Time {
	idle, end := now.Add(sessionIdle), s.Created.Add(SessionLife)
	if end.Before(idle) {
		return end
	}
	return idle
}

func errEnded() error {
	return inventory.Errorf(inventory.Unauthorized, "your session has ended; sign in again")
}

// Still checks that a principal's session or token has not ended, without
// prolonging it.
func (g *Gate) Still(ctx context.Context, p Principal) error {
	if p.Session != "" {
		_, _, err := g.session(ctx, func(tx inventory.Tx) (*inventory.Session, error) { return tx.Sessions().Get(p.Session) })
		return err
	}
	_, err := g.token(ctx, func(tx inventory.Tx) (*inventory.Token, error) { return tx.Tokens().Get(p.Token) })
	return err
}

// SignOut ends the principal's session.
func (g *Gate) SignOut(ctx context.Context, actor inventory.Actor, p Principal) error {
	if p.Session == "" {
		return errNoSession()
	}
	return g.store.Update(ctx, func(tx inventory.Tx) error {
		if err := tx.Sessions().Delete(p.Session); err != nil {
			return err
		}
		return audit(tx, actor.Entry("signout", inventory.Sessions, string(p.Session)), &inventory.Person{Scope: p.Scope})
	})
}

func errNoSession() error {
	return inventory.Errorf(inventory.Forbidden, "a token has no session: sign in as a person")
}

package auth

import (
	"context"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
)

// SignIn is a person's attempt to start a console session.
type SignIn struct {
	From     inventory.Actor // its Address and RequestID; who it is shows
	Agent    string          // the browser's name for itself
	Name     string
	Password string
}

// SignIn starts a session. The secret goes into the cookie and is not kept.
// Unauthorized: the name or the password is wrong; TooMany: locked, or too
// many attempts from the address.
func (g *Gate) SignIn(ctx context.Context, in SignIn) (secret string, p Principal, err error) {
	if err := g.addresses.Take(in.From.Address); err != nil {
		return "", Principal{}, err
	}
	t, err := g.attempt(ctx, in)
	if err != nil {
		return "", Principal{}, err
	}
	if err := t.open(time.Now()); err != nil {
		return "", Principal{}, g.record(ctx, err, t.entry("signin.failed", "locked"))
	}
	matches, err := g.hasher.matches(ctx, in.Password, t.hash())
	switch {
	case err != nil:
		return "", Principal{}, err
	case !matches:
		return "", Principal{}, t.refuse(ctx)
	}
	secret, p, err = g.begin(ctx, t)
	if err == nil {
		g.addresses.Return(in.From.Address)
		g.lanes.welcome(t.person.ID, in.From.Address, time.Now())
	}
	return secret, p, err
}

// attempt is a sign-in under way.
type attempt struct {
	SignIn
	gate   *Gate
	person *inventory.Person // nil: nobody has that name
	lane   string            // in memory; empty: the person's own
}

func (g *Gate) attempt(ctx context.Context, in SignIn) (*attempt, error) {
	t := &attempt{SignIn: in, gate: g}
	err := g.store.View(ctx, func(tx inventory.Tx) (err error) {
		t.person, err = tx.People().Find("name", in.Name)
		return err
	})
	switch {
	case inventory.Is(err, inventory.NotFound):
		t.person, t.lane = nil, "unknown "+digest(in.Name)
	case err != nil:
		return nil, err
	case g.lanes.known(t.person.ID, in.From.Address, time.Now()):
		t.lane = place(t.person.ID, in.From.Address)
	}
	return t, nil
}

func (t *attempt) hash() string {
	if t.person == nil {
		return ""
	}
	return t.person.Password
}

// open is TooMany while the attempt's lane is locked.
func (t *attempt) open(now time.Time) (err error) {
	if t.lane == "" {
		return personLane(t.person).open(now)
	}
	t.gate.lanes.with(t.lane, func(l *lane) { err = l.open(now) })
	return err
}

func personLane(p *inventory.Person) *lane {
	return &lane{throttle.Lane{Failures: p.Failures, Until: p.Locked}}
}

// entry begins the audit entry of the attempt. A name nobody has is left out:
// people type passwords there.
func (t *attempt) entry(action, reason string) *inventory.AuditEntry {
	actor, target := t.From, ""
	actor.Name = Principal{}.Actor()
	if t.person != nil {
		target = t.person.Name
	} else {
		reason = "unknown name"
	}
	e := actor.Entry(action, inventory.Sessions, target)
	e.Reason = reason
	return e
}

// refuse counts a failure and returns the refusal.
func (t *attempt) refuse(ctx context.Context) error {
	wrong := inventory.Errorf(inventory.Unauthorized, "the name or the password is wrong")
	now, locked := time.Now(), false
	if t.lane != "" {
		t.gate.lanes.with(t.lane, func(l *lane) { locked = l.fail(now) })
	}
	err := t.gate.store.Update(ctx, func(tx inventory.Tx) error {
		if t.lane == "" {
			var err error
			if locked, err = failPerson(tx, t.person.ID, now); err != nil {
				return err
			}
		}
		if err := tx.Audit().Append(t.entry("signin.failed", "wrong password")); err != nil || !locked {
			return err
		}
		return tx.Audit().Append(t.entry("signin.locked", "too many failures in a row"))
	})
	if err != nil {
		return err
	}
	return wrong
}

// failPerson counts a failure against the person and reports whether it locked the name.
func failPerson(tx inventory.Tx, id inventory.ID, now time.Time) (locked bool, err error) {
	p, err := tx.People().Get(id)
	if err != nil {
		return false, err
	}
	l := personLane(p)
	if l.Wait(now) > 0 {
		return false, nil // this attempt was under way when the name was locked
	}
	locked = l.fail(now)
	p.Failures, p.Locked = l.Failures, l.Until
	return locked, tx.People().Update(p)
}

// record writes an audit entry and returns refusal, or the error of writing.
func (g *Gate) record(ctx context.Context, refusal error, e *inventory.AuditEntry) error {
	if err := g.store.Update(ctx, func(tx inventory.Tx) error { return tx.Audit().Append(e) }); err != nil {
		return err
	}
	return refusal
}

package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// Second factors are time-based one-time passwords (RFC 6238): six digits, SHA-1
// and 30 seconds, which is what every authenticator knows. A code is taken up to
// one step early or late, and once.
const (
	totpStep   = 30
	totpSkew   = 1
	totpIssuer = "Mailfleet"
)

// recoveryCodes is how many there are, each for one sign-in without the device.
const recoveryCodes = 10

// What a sign-in is told that lacks the code of a second factor.
var (
	errNoCode    error = codeError("a code of your second factor is needed")
	errWrongCode error = codeError("the code is wrong, or was used already")
)

func codeError(text string) *inventory.Error {
	e := inventory.Errorf(inventory.Unauthorized, "%s", text)
	e.Field = "code"
	return e
}

// second checks the second factor of a person who has one, and uses the code up.
func (g *Gate) second(p *inventory.Person, code string, now time.Time) error {
	if !p.HasTOTP {
		return nil
	}
	code = strings.ToLower(strings.Join(strings.Fields(code), ""))
	if code == "" {
		return errNoCode
	}
	if i := slices.Index(p.Recovery, digest(strings.ReplaceAll(code, "-", ""))); i >= 0 {
		p.Recovery = slices.Delete(slices.Clone(p.Recovery), i, i+1)
		return nil
	}
	return g.take(p, code, now)
}

// take checks a code against the person's secret and uses its time step up.
func (g *Gate) take(p *inventory.Person, code string, now time.Time) error {
	secret, err := g.unsealTOTP(p)
	if err != nil {
		return err
	}
	for at := now.Unix()/totpStep - totpSkew; at <= now.Unix()/totpStep+totpSkew; at++ {
		if at <= p.TOTPUsed {
			continue
		}
		want, err := hotp.GenerateCodeCustom(secret, uint64(at), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return inventory.Wrap(inventory.Internal, err, "the second factor's secret is not readable")
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			p.TOTPUsed = at
			return nil
		}
	}
	return errWrongCode
}

// totpPurpose binds a sealed secret to its person.
func totpPurpose(p *inventory.Person) string { return "totp/" + string(p.ID) }

func (g *Gate) unsealTOTP(p *inventory.Person) (string, error) {
	sealed, err := base64.StdEncoding.DecodeString(p.TOTP)
	if err != nil || g.key == nil {
		return "", inventory.Wrap(inventory.Internal, err, "the second factor cannot be checked here")
	}
	secret, err := g.key.Unseal(totpPurpose(p), sealed)
	if err != nil {
		return "", inventory.Wrap(inventory.Internal, err, "the second factor cannot be checked")
	}
	return string(secret), nil
}

// ForgetTOTP takes a person's second factor away.
func ForgetTOTP(p *inventory.Person) {
	p.TOTP, p.HasTOTP, p.TOTPUsed, p.Recovery = "", false, 0, nil
}

// EnrolTOTP begins to give the principal's person a second factor: it holds
// from ConfirmTOTP on. Conflict when there is one.
func (g *Gate) EnrolTOTP(ctx context.Context, actor inventory.Actor, p Principal) (out api.NewTOTP, err error) {
	if g.key == nil {
		return out, inventory.Errorf(inventory.Unavailable, "this controller keeps no second factors")
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: totpIssuer, AccountName: p.Name, Period: totpStep})
	if err != nil {
		return out, inventory.Wrap(inventory.Internal, err, "the second factor could not be made")
	}
	err = g.onPerson(ctx, actor, p, func(tx inventory.Tx, person *inventory.Person) error {
		if person.HasTOTP {
			return inventory.Errorf(inventory.Conflict, "you have a second factor: take it away first")
		}
		person.TOTP = base64.StdEncoding.EncodeToString(g.key.Seal(totpPurpose(person), []byte(key.Secret())))
		person.TOTPUsed = 0
		return audit(tx, actor.Entry("person.totp-enrol", inventory.People, string(person.ID)), person)
	})
	return api.NewTOTP{Secret: key.Secret(), URL: key.URL()}, err
}

// ConfirmTOTP makes the second factor hold whose code is given, and returns the
// recovery codes.
func (g *Gate) ConfirmTOTP(ctx context.Context, actor inventory.Actor, p Principal, code string) (recovery []string, err error) {
	recovery = make([]string, recoveryCodes)
	kept := make([]string, recoveryCodes)
	for i := range recovery {
		text := strings.ToLower(rand.Text())[:16]
		kept[i] = digest(text)
		recovery[i] = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
	}
	err = g.onPerson(ctx, actor, p, func(tx inventory.Tx, person *inventory.Person) error {
		if person.HasTOTP || person.TOTP == "" {
			return inventory.Errorf(inventory.Conflict, "there is no second factor to confirm: enrol one first")
		}
		if err := g.take(person, strings.Join(strings.Fields(code), ""), time.Now()); err != nil {
			return inCode(err)
		}
		person.HasTOTP, person.Recovery = true, kept
		return audit(tx, actor.Entry("person.totp", inventory.People, string(person.ID)), person)
	})
	return recovery, err
}

// RemoveTOTP takes the principal's own second factor away, which a code of it
// allows. Forbidden while the policy wants one.
func (g *Gate) RemoveTOTP(ctx context.Context, actor inventory.Actor, p Principal, code string) error {
	return g.onPerson(ctx, actor, p, func(tx inventory.Tx, person *inventory.Person) error {
		policy, err := ReadPolicy(tx)
		if err != nil {
			return err
		}
		if !person.HasTOTP {
			return inventory.Errorf(inventory.Conflict, "you have no second factor")
		}
		if slices.Contains(policy.TOTPRoles, person.Role) {
			return inventory.Errorf(inventory.Forbidden, "a %s must have a second factor", person.Role)
		}
		if err := g.second(person, code, time.Now()); err != nil {
			return inCode(err)
		}
		ForgetTOTP(person)
		return audit(tx, actor.Entry("person.totp-remove", inventory.People, string(person.ID)), person)
	})
}

// inCode makes a wrong code the fault of a request by somebody who is known.
func inCode(err error) error {
	if inventory.Is(err, inventory.Unauthorized) {
		return inventory.FieldErrorf("code", "the code is wrong, or was used already")
	}
	return err
}

// onPerson changes the principal's own person. Guesses are counted by address.
func (g *Gate) onPerson(ctx context.Context, actor inventory.Actor, p Principal, fn func(inventory.Tx, *inventory.Person) error) error {
	if p.Session == "" {
		return errNoSession()
	}
	if p.Must == MustChange {
		return inventory.Errorf(inventory.Forbidden, "change your password before anything else")
	}
	if err := g.addresses.Take(actor.Address); err != nil {
		return err
	}
	err := g.store.Update(ctx, func(tx inventory.Tx) error {
		session, err := tx.Sessions().Get(p.Session)
		if err != nil {
			return err
		}
		person, err := tx.People().Get(session.Person)
		if err != nil {
			return err
		}
		if err := fn(tx, person); err != nil {
			return err
		}
		return tx.People().Update(person)
	})
	if err == nil {
		g.addresses.Return(actor.Address)
	}
	return err
}

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-sasl"
)

// The mechanisms (RFC 4616; draft-murchison-sasl-login; RFC 7677; RFC 7628).
const (
	Plain           = sasl.Plain
	Login           = sasl.Login
	ScramSHA256     = "SCRAM-SHA-256"
	ScramSHA256Plus = "SCRAM-SHA-256-PLUS"
	OAuthBearer     = sasl.OAuthBearer
)

// MaxResponse is the longest response taken, decoded (RFC 4954 §4: 12,288 in base64).
const MaxResponse = 12_288 / 4 * 3

// Mechanisms are what the peer may use, the best first. None without TLS, unless
// the listener is local.
func (a *Auth) Mechanisms(p *Peer) []string {
	if !p.MayAuthenticate() {
		return nil
	}
	var names []string
	if p.TLS != nil {
		names = append(names, ScramSHA256Plus)
	}
	names = append(names, ScramSHA256)
	if a.tokens != nil {
		names = append(names, OAuthBearer)
	}
	return append(names, Plain, Login)
}

// Exchange is a SASL exchange under way: a sasl.Server. It is not safe for
// concurrent use.
type Exchange struct {
	step     step
	identity Identity
}

var _ sasl.Server = (*Exchange)(nil)

// step answers a response. The exchange has succeeded when next is nil without an error;
// the challenge is sent otherwise.
type step func(response []byte) (challenge []byte, next step, err error)

// Start begins an exchange. It ends with ErrClear or ErrMechanism when the peer may
// not use the mechanism; ctx ends what the exchange waits for.
func (a *Auth) Start(ctx context.Context, p *Peer, mechanism string) (*Exchange, error) {
	if !p.MayAuthenticate() {
		return nil, ErrClear
	}
	x := &Exchange{}
	base := exchange{auth: a, ctx: ctx, peer: p, mechanism: strings.ToUpper(mechanism), identity: &x.identity}
	switch {
	case base.mechanism == Plain:
		x.step = base.plain
	case base.mechanism == Login:
		x.step = base.login
	case base.mechanism == ScramSHA256, base.mechanism == ScramSHA256Plus && p.TLS != nil:
		x.step = (&scram{exchange: base}).first
	case base.mechanism == OAuthBearer && a.tokens != nil:
		x.step = base.bearer
	default:
		return nil, ErrMechanism
	}
	return x, nil
}

// Next takes the peer's response, decoded; nil at the beginning when there is no initial
// response. The exchange has ended when done is true or there is an error (see the errors above).
func (x *Exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	if x.step == nil {
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
	if len(response) > MaxResponse {
		x.step = nil
		return nil, false, ErrMalformed
	}
	challenge, x.step, err = x.step(response)
	if err != nil {
		x.step = nil
		return nil, false, err
	}
	return challenge, x.step == nil, nil
}

// Identity is who has signed in, after Next was done.
func (x *Exchange) Identity() Identity { return x.identity }

// exchange is what every mechanism has.
type exchange struct {
	auth      *Auth
	ctx       context.Context
	peer      *Peer
	mechanism string
	identity  *Identity
}

// malformed refuses a response that is none. It is held against nobody.
func (x *exchange) malformed() ([]byte, step, error) {
	t := &attempt{auth: x.auth, peer: x.peer, mechanism: x.mechanism}
	return nil, nil, t.note("malformed response", ErrMalformed)
}

// verify ends the exchange with a password.
func (x *exchange) verify(address, password string) ([]byte, step, error) {
	id, err := x.auth.password(x.ctx, x.peer, x.mechanism, address, password)
	*x.identity = id
	return nil, nil, err
}

// plain is RFC 4616 §2: authzid NUL authcid NUL passwd. Nobody signs in as somebody else.
func (x *exchange) plain(response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte{}, x.plain, nil
	}
	parts := strings.Split(string(response), "\x00")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" || !utf8.Valid(response) {
		return x.malformed()
	}
	if parts[0] != "" && !strings.EqualFold(parts[0], parts[1]) {
		t := x.auth.attempt(x.peer, x.mechanism, parts[1])
		return nil, nil, t.note("another authorization identity", ErrRefused)
	}
	return x.verify(parts[1], parts[2])
}

// login asks for name and password one after the other.
func (x *exchange) login(response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte("Username:"), x.login, nil
	}
	if len(response) == 0 {
		return x.malformed()
	}
	name := string(response)
	return []byte("Password:"), func(password []byte) ([]byte, step, error) {
		if len(password) == 0 {
			return x.malformed()
		}
		return x.verify(name, string(password))
	}, nil
}

// bearer is RFC 7628 §3: a token after the header of RFC 5801, as fields each ended by ^A.
func (x *exchange) bearer(response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte{}, x.bearer, nil
	}
	authzid, token, ok := parseBearer(string(response))
	if !ok {
		_, _, err := x.malformed()
		return x.bearerError("invalid_request", err)
	}
	t := x.auth.attempt(x.peer, x.mechanism, authzid)
	if wait := x.auth.lanes.addresses.Take(x.peer.Address); wait > 0 {
		return nil, nil, t.note("throttled", &ThrottledError{wait})
	}
	address, err := x.auth.tokens.Verify(x.ctx, token)
	switch {
	case errors.Is(err, ErrRefused):
		return x.bearerError("invalid_token", t.note("the token is not good", ErrRefused))
	case err != nil:
		x.auth.lanes.addresses.Return(x.peer.Address)
		return nil, nil, err
	}
	t = x.auth.attempt(x.peer, x.mechanism, address)
	if !t.exists || authzid != "" && !strings.EqualFold(authzid, address) {
		return x.bearerError("invalid_token", t.note("the token is for another account", ErrRefused))
	}
	x.auth.lanes.addresses.Return(x.peer.Address)
	*x.identity, err = t.succeed("")
	return nil, nil, err
}

// bearerError tells the client why before the exchange fails with err (RFC 7628 §3.2.2);
// the client's answer to it does not matter.
func (x *exchange) bearerError(status string, err error) ([]byte, step, error) {
	challenge, jsonErr := json.Marshal(sasl.OAuthBearerError{Status: status, Schemes: "bearer"})
	return challenge, func([]byte) ([]byte, step, error) { return nil, nil, err }, jsonErr
}

// parseBearer is RFC 7628 §3.1: n,[a=authzid],^A(key=value^A)*^A. Other keys than
// auth are of no use to us.
func parseBearer(response string) (authzid, token string, ok bool) {
	flag, authzid, rest, ok := parseHeader(response)
	fields, begins := strings.CutPrefix(rest, "\x01")
	if !ok || !begins || flag != "n" && flag != "y" {
		return "", "", false
	}
	fields, ok = strings.CutSuffix(fields, "\x01\x01")
	if !ok {
		return "", "", false
	}
	for field := range strings.SplitSeq(fields, "\x01") {
		key, value, ok := strings.Cut(field, "=")
		if !ok || key == "" {
			return "", "", false
		}
		if scheme, t, _ := strings.Cut(value, " "); key == "auth" && strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimLeft(t, " ")
		}
	}
	return authzid, token, token != ""
}

// parseHeader is the header of RFC 5801 §4: flag,[a=authzid],rest.
func parseHeader(message string) (flag, authzid, rest string, ok bool) {
	flag, message, ok = strings.Cut(message, ",")
	name, rest, ok2 := strings.Cut(message, ",")
	if !ok || !ok2 || !utf8.ValidString(name) {
		return "", "", "", false
	}
	if name == "" {
		return flag, "", rest, true
	}
	name, ok = strings.CutPrefix(name, "a=")
	if !ok {
		return "", "", "", false
	}
	authzid, ok = parseName(name)
	return flag, authzid, rest, ok
}

// parseName is a saslname (RFC 5801 §4): a name of UTF-8 in which =2C stands for a
// comma and =3D for an equals sign.
func parseName(s string) (string, bool) {
	name := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s)
	escapes := strings.Count(s, "=2C") + strings.Count(s, "=3D")
	return name, name != "" && strings.Count(s, "=") == escapes && !strings.Contains(s, "\x00") && utf8.ValidString(s)
}

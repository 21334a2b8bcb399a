package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"

	"mailfleet/inventory"
	"mailfleet/inventory/credential"
)

// scram is the server's side of SCRAM-SHA-256 and, with its channel bound,
// SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677). The proof is compared with every password
// of the account that has the salt the client was told.
type scram struct {
	exchange
	attempt *attempt
	keys    []scramKey // none: the account does not exist, or has no keys
	header  string     // the client's, repeated in its last message
	binding []byte     // data of the channel, when it is bound
	nonce   string     // the client's and ours
	opening string     // client-first-message-bare,server-first-message,
}

type scramKey struct {
	credential.SCRAM
	application inventory.ID // empty: the account's own password
	allowed     bool         // here and now
}

// first takes the client's first message, and answers with salt and cost.
func (s *scram) first(response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte{}, s.first, nil
	}
	message := string(response)
	flag, authzid, bare, ok := parseHeader(message)
	name, nonce, ok2 := parseFirst(bare)
	if !ok || !ok2 || !s.bind(flag) {
		return s.malformed()
	}
	t := s.auth.attempt(s.peer, s.mechanism, name)
	if authzid != "" && !strings.EqualFold(authzid, name) {
		return nil, nil, t.note("another authorization identity", ErrRefused)
	}
	salt, iterations := s.choose(t, name)
	s.attempt = t
	s.header = message[:len(message)-len(bare)]
	s.nonce = nonce + s.auth.nonce()
	challenge := fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, base64.StdEncoding.EncodeToString(salt), iterations)
	s.opening = bare + "," + challenge + ","
	return []byte(challenge), s.final, nil
}

// bind reads the client's word on channel binding (RFC 5802 §6). A client that believes the
// server not to offer it ("y"), when it does, has been lied to.
func (s *scram) bind(flag string) bool {
	if s.mechanism == ScramSHA256 {
		return flag == "n" || flag == "y" && s.peer.TLS == nil
	}
	kind, ok := strings.CutPrefix(flag, "p=")
	if !ok {
		return false
	}
	switch kind {
	case "tls-exporter":
		s.binding = exporter(s.peer.TLS)
	case "tls-server-end-point":
		s.binding = []byte{} // one of our certificates: see bound
	default:
		return false
	}
	return s.binding != nil
}

// exporter is the channel's data of RFC 9266, nil when there is none: before TLS 1.3
// the channel must have an extended master secret.
func exporter(state *tls.ConnectionState) []byte {
	data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
	if err != nil {
		return nil
	}
	return data
}

// bound reports whether data is the channel's.
func (s *scram) bound(data []byte) bool {
	if s.mechanism == ScramSHA256 {
		return len(data) == 0
	}
	if len(s.binding) > 0 {
		return hmac.Equal(data, s.binding)
	}
	for _, c := range s.peer.Certificates {
		if end := endPoint(c); end != nil && hmac.Equal(data, end) {
			return true
		}
	}
	return false
}

// endPoint is the hash of a certificate of ours by RFC 5929 §4.1: the one of its
// signature, and SHA-256 in place of weaker ones.
func endPoint(c tls.Certificate) []byte {
	if len(c.Certificate) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil
	}
	var h hash.Hash
	switch leaf.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = sha512.New()
	case x509.PureEd25519: // signs without a hash: RFC 5929 leaves the binding undefined
		return nil
	default:
		h = sha256.New()
	}
	h.Write(leaf.Raw)
	return h.Sum(nil)
}

// choose gathers the keys that the client may prove, and returns the salt and cost to tell it.
// A name without keys gets ones made up, always the same.
func (s *scram) choose(t *attempt, name string) (salt []byte, iterations int) {
	add := func(text string, application inventory.ID, allowed bool) {
		key, err := credential.ParseSCRAM(text)
		if err != nil { // none
			return
		}
		if len(s.keys) == 0 || bytes.Equal(key.Salt, s.keys[0].Salt) && key.Iterations == s.keys[0].Iterations {
			s.keys = append(s.keys, scramKey{key, application, allowed})
		}
	}
	add(t.account.SCRAM, "", true)
	for _, app := range t.account.AppPasswords {
		add(app.SCRAM, inventory.ID(app.ID), t.allows(app))
	}
	if len(s.keys) > 0 {
		return s.keys[0].Salt, s.keys[0].Iterations
	}
	h := hmac.New(sha256.New, s.auth.key)
	h.Write([]byte(strings.ToLower(name)))
	return h.Sum(nil)[:16], credential.Iterations
}

// final takes the client's proof, and answers with the server's.
func (s *scram) final(response []byte) ([]byte, step, error) {
	data, without, proof, ok := s.parseFinal(string(response))
	if !ok || !s.bound(data) {
		return s.malformed()
	}
	messages := s.opening + without
	for _, key := range s.keys {
		if !key.Proves(proof, messages) {
			continue
		}
		id, err := s.accept(key)
		if err != nil {
			return nil, nil, err
		}
		*s.identity = id
		last := "v=" + base64.StdEncoding.EncodeToString(key.Signature(messages))
		return []byte(last), s.end, nil
	}
	if err := s.attempt.open(); err != nil {
		return nil, nil, err
	}
	if wait := s.auth.lanes.take(s.attempt); wait > 0 {
		return nil, nil, s.attempt.note("throttled", &ThrottledError{wait})
	}
	reason := "wrong password"
	if s.attempt.exists && len(s.keys) == 0 {
		reason = "the account has no SCRAM keys"
	}
	// Every proof is another one: a repeated password is not known again.
	return nil, nil, s.attempt.guess(s.ctx, reason, s.auth.lanes.guess(s.attempt, string(proof)))
}

// accept lets in who has proved to know the password of a key.
func (s *scram) accept(key scramKey) (Identity, error) {
	t := s.attempt
	if key.application == "" { // it could have been guessed
		if err := t.open(); err != nil {
			return Identity{}, err
		}
	}
	if !key.allowed {
		return Identity{}, t.note("application password expired or not for "+string(s.peer.Protocol), ErrRefused)
	}
	return t.succeed(key.application)
}

// end takes the client's acknowledgement, which is empty.
func (s *scram) end(response []byte) ([]byte, step, error) {
	if len(response) > 0 {
		return nil, nil, ErrMalformed
	}
	return nil, nil, nil
}

// parseFirst is client-first-message-bare (RFC 5802 §7): n=name,r=nonce and extensions,
// of which a mandatory one (m=) cannot be met.
func parseFirst(bare string) (name, nonce string, ok bool) {
	first, rest, _ := strings.Cut(bare, ",")
	second, _, _ := strings.Cut(rest, ",")
	escaped, ok := strings.CutPrefix(first, "n=")
	nonce, ok2 := strings.CutPrefix(second, "r=")
	if !ok || !ok2 || !isNonce(nonce) {
		return "", "", false
	}
	name, ok = parseName(escaped)
	return name, nonce, ok
}

// isNonce accepts 8 to 256 printable characters of ASCII other than a comma.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return len(s) >= 8 && len(s) <= 256
}

// parseFinal is client-final-message: c=header and channel data,r=nonce,p=proof. It
// returns the message without its proof, which the proof is made from.
func (s *scram) parseFinal(message string) (data []byte, without string, proof []byte, ok bool) {
	at := strings.LastIndex(message, ",p=")
	if at < 0 {
		return nil, "", nil, false
	}
	without = message[:at]
	binary := base64.StdEncoding.Strict().DecodeString
	proof, err := binary(message[at+len(",p="):])
	if err != nil || len(proof) != sha256.Size {
		return nil, "", nil, false
	}
	first, rest, _ := strings.Cut(without, ",")
	second, _, _ := strings.Cut(rest, ",")
	encoded, ok := strings.CutPrefix(first, "c=")
	channel, err := binary(encoded)
	if !ok || err != nil || second != "r="+s.nonce {
		return nil, "", nil, false
	}
	data, ok = bytes.CutPrefix(channel, []byte(s.header))
	return data, without, proof, ok
}

package auth

import (
	"context"
	"encoding/base64"
	"errors"
)

// What ends a conversation and is no failure to sign in.
var (
	ErrCancelled = errors.New("auth: the exchange was called off")
	ErrNotBase64 = errors.New("auth: a response is not in base64")
)

// Converse is an exchange as protocols of lines have it (RFC 4954 §4, RFC 5034 §4, RFC 9051
// §6.2.2): each challenge and response is a line of base64. initial is the initial response
// as it came, nil for none. ask sends a challenge and returns the line that answers it; its
// errors are returned as they are, all others are those of Start and Next or the two above.
func (a *Auth) Converse(ctx context.Context, p *Peer, mechanism string, initial *string, ask func(challenge string) (string, error)) (Identity, error) {
	x, err := a.Start(ctx, p, mechanism)
	if err != nil {
		return Identity{}, err
	}
	var response []byte
	if initial != nil {
		if response, err = decodeInitial(*initial); err != nil {
			return Identity{}, err
		}
	}
	for {
		challenge, done, err := x.Next(response)
		if done || err != nil {
			return x.Identity(), err
		}
		line, err := ask(base64.StdEncoding.EncodeToString(challenge))
		if err != nil {
			return Identity{}, err
		}
		if line == "*" {
			return Identity{}, ErrCancelled
		}
		if response, err = decodeResponse(line); err != nil {
			return Identity{}, err
		}
	}
}

// decodeInitial reads an initial response: "=" is the empty one.
func decodeInitial(s string) ([]byte, error) {
	if s == "=" {
		return []byte{}, nil
	}
	return decodeResponse(s)
}

func decodeResponse(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, ErrNotBase64
	}
	return b, nil
}

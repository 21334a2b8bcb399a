package auth

import (
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestConverse(t *testing.T) {
	a := New(options(t, 64))
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	good := encode("\x00four@a.test\x00" + "secret")
	for _, x := range []struct {
		name, mechanism string
		initial         *string
		lines           []string // answers to challenges; none left: the connection ends
		want            error
		asked           []string
	}{
		{"at once", Plain, &good, nil, nil, nil},
		{"after an empty challenge", Plain, nil, []string{good}, nil, []string{""}},
		{"in two steps", Login, nil, []string{encode("four@a.test"), encode("secret")}, nil, []string{encode("Username:"), encode("Password:")}},
		{"an empty initial response", Plain, new("="), nil, ErrMalformed, nil},
		{"called off", Login, nil, []string{encode("four@a.test"), "*"}, ErrCancelled, []string{encode("Username:"), encode("Password:")}},
		{"no base64 at first", Plain, new("*"), nil, ErrNotBase64, nil},
		{"no base64 later", Login, nil, []string{"!"}, ErrNotBase64, []string{encode("Username:")}},
		{"gone", Login, nil, nil, io.ErrUnexpectedEOF, []string{encode("Username:")}},
		{"wrong", Plain, new(encode("\x00four@a.test\x00x")), nil, ErrRefused, nil},
		{"no such mechanism", "X", nil, nil, ErrMechanism, nil},
	} {
		var asked []string
		id, err := a.Converse(t.Context(), local("::1"), x.mechanism, x.initial, func(challenge string) (string, error) {
			asked = append(asked, challenge)
			if len(asked) > len(x.lines) {
				return "", io.ErrUnexpectedEOF
			}
			return x.lines[len(asked)-1], nil
		})
		if !errors.Is(err, x.want) || (err == nil) != (id.Account.ID != "") || !slices.Equal(asked, x.asked) {
			t.Errorf("%s: %v, %+v, asked %q", x.name, err, id, asked)
		}
	}
}

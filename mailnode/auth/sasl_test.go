package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-sasl"

	"mailfleet/inventory"
)

// run runs an exchange with the responses, and returns the last challenge and the outcome.
func run(t testing.TB, a *Auth, p *Peer, mechanism string, responses ...string) (challenge string, id Identity, err error) {
	t.Helper()
	x, err := a.Start(t.Context(), p, mechanism)
	if err != nil {
		return "", Identity{}, err
	}
	var given []byte
	for i := 0; ; i++ {
		c, done, err := x.Next(given)
		if err != nil || done {
			return challenge, x.Identity(), err
		}
		if i == len(responses) {
			t.Fatalf("%s asks for more: %q", mechanism, c)
		}
		challenge, given = string(c), []byte(responses[i])
	}
}

func TestMechanisms(t *testing.T) {
	o := options(t, 64)
	o.Tokens = tokens{}
	a := New(o)
	if got := a.Mechanisms(local("::1")); !slices.Equal(got, []string{ScramSHA256, OAuthBearer, Plain, Login}) {
		t.Errorf("on a local listener: %q", got)
	}
	peer := &Peer{TLS: &tls.ConnectionState{}}
	if got := a.Mechanisms(peer); !slices.Equal(got, []string{ScramSHA256Plus, ScramSHA256, OAuthBearer, Plain, Login}) {
		t.Errorf("in TLS: %q", got)
	}
	for _, m := range []string{"", "EXTERNAL", "CRAM-MD5"} {
		if _, err := a.Start(t.Context(), peer, m); !errors.Is(err, ErrMechanism) {
			t.Errorf("%q: %v", m, err)
		}
	}
	if _, err := a.Start(t.Context(), local("::1"), ScramSHA256Plus); !errors.Is(err, ErrMechanism) {
		t.Errorf("channel binding without a channel: %v", err)
	}
	if _, err := New(options(t, 64)).Start(t.Context(), peer, OAuthBearer); !errors.Is(err, ErrMechanism) {
		t.Errorf("OAUTHBEARER without tokens: %v", err)
	}
}

func TestPlainAndLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(options(t, 64))
		for _, test := range []struct {
			mechanism string
			responses []string
			want      error
		}{
			{"plain", []string{"\x00one@a.test\x00secret 一"}, nil},
			{Plain, []string{"One@a.test\x00one@a.test\x00" + phone}, nil},
			{Plain, []string{"two@a.test\x00one@a.test\x00secret 一"}, ErrRefused},
			{Plain, []string{"\x00one@a.test\x00wrong"}, ErrRefused},
			{Plain, []string{"\x00two@a.test\x00secret"}, ErrSuspended},
			{Plain, []string{""}, ErrMalformed},
			{Plain, []string{"one@a.test\x00secret 一"}, ErrMalformed},
			{Plain, []string{"\x00one@a.test\x00secret 一\x00"}, ErrMalformed},
			{Plain, []string{"\x00\x00"}, ErrMalformed},
			{Plain, []string{"\x00one@a.test\x00\xff"}, ErrMalformed},
			{Plain, []string{"\x00one@a.test\x00" + strings.Repeat("x", MaxResponse)}, ErrMalformed},
			{Login, []string{"one@a.test", "secret 一"}, nil},
			{Login, []string{"one@a.test", "wrong"}, ErrRefused},
			{Login, []string{"", "secret 一"}, ErrMalformed},
			{Login, []string{"one@a.test", ""}, ErrMalformed},
		} {
			_, id, err := run(t, a, local("192.0.2.1"), test.mechanism, test.responses...)
			if !errors.Is(err, test.want) || (err == nil) != (id.Account.ID == "1") {
				t.Errorf("%s %.60q: got %v, %v", test.mechanism, test.responses, id.Account.ID, err)
			}
		}
		x, err := a.Start(t.Context(), local("192.0.2.1"), Plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, done, err := x.Next([]byte("\x00one@a.test\x00secret 一")); !done || err != nil {
			t.Fatal(done, err)
		}
		if _, _, err := x.Next([]byte{}); err == nil {
			t.Error("an exchange goes on after its end")
		}
	})
}

// tokens takes tokens of the form "good:<address>".
type tokens struct{}

func (tokens) Verify(_ context.Context, token string) (string, error) {
	if token == "away" {
		return "", errors.New("the issuer does not answer")
	}
	address, ok := strings.CutPrefix(token, "good:")
	if !ok {
		return "", fmt.Errorf("%w: expired", ErrRefused)
	}
	return address, nil
}

func TestOAuthBearer(t *testing.T) {
	o := options(t, 64)
	o.Tokens = tokens{}
	h := &memory{}
	o.History = h
	a := New(o)
	for token, want := range map[string]struct {
		id     inventory.ID
		status string
	}{
		"good:one@a.test":    {"1", ""},
		"good:nobody@a.test": {"", "invalid_token"},
		"bad":                {"", "invalid_token"},
	} {
		client := sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Token: token, Host: "mx.a.test", Port: 995})
		_, response, err := client.Start()
		if err != nil {
			t.Fatal(err)
		}
		responses := []string{string(response), "\x01"}
		challenge, id, err := run(t, a, local("192.0.2.1"), OAuthBearer, responses...)
		if inventory.ID(id.Account.ID) != want.id || (err == nil) != (want.id != "") || !strings.Contains(challenge, want.status) {
			t.Errorf("%q: got %q, %v after %q", token, id.Account.ID, err, challenge)
		}
		if err != nil && (!errors.Is(err, ErrRefused) || challenge != `{"status":"invalid_token","schemes":"bearer","scope":""}`) {
			t.Errorf("%q: got %v after %q", token, err, challenge)
		}
	}
	if !h.last("1").OK {
		t.Errorf("remembered %+v", h.last("1"))
	}
	for response, want := range map[string]error{
		"n,a=one@a.test,\x01auth=Bearer good:one@a.test\x01\x01": nil,
		"n,a=two@a.test,\x01auth=Bearer good:one@a.test\x01\x01": ErrRefused,
		"n,,\x01auth=bearer good:two@a.test\x01\x01":             ErrSuspended,
		"n,,\x01auth=Basic good:one@a.test\x01\x01":              ErrMalformed,
		"p=x,,\x01auth=Bearer good:one@a.test\x01\x01":           ErrMalformed,
		"n,,\x01auth=Bearer good:one@a.test\x01":                 ErrMalformed,
		"n,,\x01\x01":                                            ErrMalformed,
		"":                                                       ErrMalformed,
	} {
		if _, _, err := run(t, a, local("192.0.2.1"), OAuthBearer, response, "\x01"); !errors.Is(err, want) {
			t.Errorf("%q: %v", response, err)
		}
	}
	_, _, err := run(t, a, local("192.0.2.1"), OAuthBearer, "n,,\x01auth=Bearer away\x01\x01")
	if err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("the issuer is away: %v", err)
	}
}

func FuzzExchange(f *testing.F) {
	o := options(f, 64)
	o.Tokens = tokens{}
	f.Add(uint8(0), []byte("\x00one@a.test\x00x"), []byte{})
	f.Add(uint8(1), []byte("one@a.test"), []byte("x"))
	f.Add(uint8(2), []byte("n,,n=one@a.test,r=clientnonce"), []byte("c=biws,r=clientnonce,p="))
	f.Add(uint8(3), []byte("p=tls-server-end-point,a=x,n=a=2Cb,r=clientnonce,x=y"), []byte("c=,r=,p=AAAA"))
	f.Add(uint8(4), []byte("n,a=x,\x01auth=Bearer good:x\x01\x01"), []byte("\x01"))
	mechanisms := []string{Plain, Login, ScramSHA256, ScramSHA256Plus, OAuthBearer}
	f.Fuzz(func(t *testing.T, m uint8, first, second []byte) {
		a := New(o)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing is hashed and nobody waits
		x, err := a.Start(ctx, &Peer{Local: true, TLS: &tls.ConnectionState{}}, mechanisms[int(m)%len(mechanisms)])
		if err != nil {
			t.Fatal(err)
		}
		for _, response := range [][]byte{first, second} {
			challenge, done, err := x.Next(response)
			if strings.ContainsAny(string(challenge), "\x00") {
				t.Fatalf("challenge %q", challenge)
			}
			token := strings.Contains(strings.ToLower(string(first)), "bearer good:")
			if done && err == nil && !token {
				t.Fatalf("%q %q signed %+v in", first, second, x.Identity())
			}
			if err != nil || done {
				return
			}
		}
	})
}

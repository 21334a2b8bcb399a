package domainkey

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"reflect"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestKeysAreWrittenAndRead(t *testing.T) {
	for _, a := range Algorithms {
		key, err := Generate(a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Encode(key)
		if err != nil {
			t.Fatal(err)
		}
		got, gotA, err := Decode(b)
		if err != nil || gotA != a || !reflect.DeepEqual(got.Public(), key.Public()) {
			t.Errorf("%s was read as %s, %v", a, gotA, err)
		}
		txt, err := TXT(key.Public())
		name, _, _ := strings.Cut(string(a), "-")
		if err != nil || !strings.HasPrefix(txt, "v=DKIM1; k="+name+"; p=") {
			t.Errorf("the record of %s is %q, %v", a, txt, err)
		}
	}
	if _, err := Generate("rsa-sha1"); err == nil {
		t.Error("a key for rsa-sha1 was made")
	}
}

func TestForeignKeysAreReadOrRefused(t *testing.T) {
	bits := func(n int) []byte {
		key, err := rsa.GenerateKey(rand.Reader, n)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	}
	if _, a, err := Decode(bits(1024)); err != nil || a != RSA {
		t.Errorf("PKCS #1 of 1024 bits: %s, %v", a, err)
	}
	for name, b := range map[string][]byte{
		"no PEM":     []byte("hello"),
		"no key":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}),
		"broken RSA": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte{1}}),
	} {
		if _, _, err := Decode(b); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func TestSelectorsAreNamedByMonth(t *testing.T) {
	if got := Selector(RSA, start, nil); got != "mf202611r" {
		t.Error(got)
	}
	if got := Selector(Ed25519, start, []string{"mf202611e", "mf202611e2"}); got != "mf202611e3" {
		t.Error(got)
	}
	if got := Name("MF1", "Example.test"); got != "mf1._domainkey.example.test" {
		t.Error(got)
	}
}

func TestKeysAreReplacedInTime(t *testing.T) {
	r := Rotation{Publish: 3 * 24 * time.Hour, Use: 30 * 24 * time.Hour, Keep: 7 * 24 * time.Hour}
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	old := Key{Selector: "a", Algorithm: RSA, State: Active, Since: start}
	next := Key{Selector: "b", Algorithm: RSA, State: Next, Since: day(27)}
	other := Key{Selector: "e", Algorithm: Ed25519, State: Active, Since: day(25)}
	retired := Key{Selector: "a", Algorithm: RSA, State: Retired, Since: day(30)}
	renewed := Key{Selector: "b", Algorithm: RSA, State: Active, Since: day(30)}
	for _, c := range []struct {
		name   string
		keys   []Key
		now    time.Time
		unseen bool
		want   []Step
	}{
		{"a new domain", nil, start, false, []Step{{RSA, "", Active}, {Ed25519, "", Active}}},
		{"too early", []Key{old, other}, day(26), false, nil},
		{"time to publish", []Key{old, other}, day(27), false, []Step{{RSA, "", Next}}},
		{"published, in use still", []Key{old, next, other}, day(29), false, nil},
		{"time to switch", []Key{old, next, other}, day(30), false, []Step{{RSA, "b", Active}, {RSA, "a", Retired}}},
		{"nobody can see it", []Key{old, next, other}, day(40), true, nil},
		{"kept for mail on its way", []Key{retired, renewed, other}, day(36), false, nil},
		{"not needed any more", []Key{retired, renewed, other}, day(37), false, []Step{{RSA, "a", ""}}},
		{"only the next is left", []Key{next, other}, day(27), true, []Step{{RSA, "b", Active}}},
	} {
		got := r.Due(c.keys, c.now, func(Key) bool { return !c.unseen })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	byHand := Rotation{Publish: r.Publish, Keep: r.Keep}
	if got := byHand.Due([]Key{old, other}, day(4000), nil); got != nil {
		t.Errorf("without a time of use: %v", got)
	}
	if got := Signing([]Key{retired, next, renewed}); len(got) != 1 || got[0].Selector != "b" {
		t.Errorf("%v sign", got)
	}
}

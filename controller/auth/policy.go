package auth

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// PolicySetting is the name of the setting that holds the policy, as JSON of
// an api.Policy.
const PolicySetting = "policy"

// DefaultPolicy holds until an operator sets another.
func DefaultPolicy() api.Policy {
	return api.Policy{PasswordLength: 12, TOTPRoles: []inventory.Role{}, ApprovalKinds: []inventory.OperationKind{}}
}

// ReadPolicy returns the fleet's policy.
func ReadPolicy(tx inventory.Tx) (api.Policy, error) {
	p := DefaultPolicy()
	s, err := tx.Settings().Find("name", PolicySetting)
	if inventory.Is(err, inventory.NotFound) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(s.Value), &p); err != nil {
		return p, inventory.Wrap(inventory.Internal, err, "the policy cannot be read")
	}
	return p, nil
}

// WritePolicy replaces the policy and returns the one before.
func WritePolicy(tx inventory.Tx, p api.Policy) (before api.Policy, err error) {
	if before, err = ReadPolicy(tx); err != nil {
		return before, err
	}
	for _, role := range p.TOTPRoles {
		if !slices.Contains(inventory.Roles, role) {
			return before, inventory.FieldErrorf("totp_roles", "%q is not a role", role)
		}
	}
	for _, kind := range p.ApprovalKinds {
		if !slices.Contains(inventory.OperationKinds, kind) {
			return before, inventory.FieldErrorf("approval_kinds", "%q is not a kind of operation", kind)
		}
	}
	for field, d := range map[string]inventory.Duration{"password_age": p.PasswordAge, "token_life": p.TokenLife} {
		if d < 0 || d > 0 && time.Duration(d) < time.Hour {
			return before, inventory.FieldErrorf(field, "%s is an hour at least, or 0 for no limit", field)
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return before, err
	}
	s, err := tx.Settings().Find("name", PolicySetting)
	switch {
	case inventory.Is(err, inventory.NotFound):
		return before, tx.Settings().Create(&inventory.Setting{Name: PolicySetting, Value: string(text)})
	case err != nil:
		return before, err
	}
	s.Value = string(text)
	return before, tx.Settings().Update(s)
}

// common are passwords that are tried first, and the words that many are made
// of, a line each, in lower case.
//
//go:embed common.txt
var common string

var commonWords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(common) {
		words[word] = true
	}
	return words
})

// checkPassword refuses a new password that the policy does not allow or that
// is easily guessed. field is the request's.
func checkPassword(policy api.Policy, field, name, email, password string) error {
	folded := strings.ToLower(password)
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, folded)
	local, _, _ := strings.Cut(strings.ToLower(email), "@")
	switch {
	case utf8.RuneCountInString(password) < policy.PasswordLength:
		return inventory.FieldErrorf(field, "a password needs %d characters at least", policy.PasswordLength)
	case len(password) > 256:
		return inventory.FieldErrorf(field, "a password has 256 octets at most")
	case commonWords()[folded] || commonWords()[letters] || repeated(folded) || sequence(folded):
		return inventory.FieldErrorf(field, "this password is among the first that are tried: take another")
	case holds(folded, strings.ToLower(name)) || holds(folded, local):
		return inventory.FieldErrorf(field, "the password must not hold the name")
	default:
		return nil
	}
}

// holds tells whether a password is made of a name; very short names are in
// too many words.
func holds(password, name string) bool { return len(name) > 3 && strings.Contains(password, name) }

// repeated tells whether s is one short piece over and over.
func repeated(s string) bool {
	for n := 1; n <= len(s)/3; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return true
		}
	}
	return commonWords()[s[:len(s)/2]] && s[:len(s)/2] == s[(len(s)+1)/2:]
}

// sequence tells whether each character of s is the one after, or before, the last.
func sequence(s string) bool {
	for _, step := range []int{1, -1} {
		same := len(s) > 2
		for i := 1; i < len(s); i++ {
			d := int(s[i]) - int(s[i-1])
			same = same && (d == step || d == step-10*step) // 9 goes on with 0
		}
		if same {
			return true
		}
	}
	return false
}

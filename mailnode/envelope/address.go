package envelope

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Address is a mailbox (RFC 5321 §4.1.2, RFC 6531 §3.3). Two addresses of the same
// mailbox are equal but for the case of their local parts. The zero Address is what the
// null path (<>) holds.
type Address struct {
	Local  string // without the quotes it may have been given in
	Domain string // in lower case and A-labels, or a literal in brackets; "" only for <postmaster>
}

// Postmaster is the one address without a domain (RFC 5321 §4.1.1.3).
const Postmaster = "postmaster"

// The lengths that are taken. RFC 5321 §4.5.3.1 asks for 64 and 255 at least; the
// senders of mailing lists need more (they hold the recipient's address).
const (
	maxLocal   = 255
	maxDomain  = 255
	maxAddress = 64 + 1 + 255
)

// Why a text is no address.
var (
	errNoPath    = errors.New("an address stands in angle brackets")
	errNoEnd     = errors.New("the angle bracket is not closed")
	errRoute     = errors.New("the source route is not well-formed")
	errNoAt      = errors.New("the address has no domain")
	errLocal     = errors.New("the local part is not well-formed")
	errDomain    = errors.New("the domain is not well-formed")
	errLiteral   = errors.New("the address literal is not well-formed")
	errLong      = errors.New("the address is too long")
	errEncoding  = errors.New("the address is not in UTF-8")
	errAfterPath = errors.New("a blank separates the address from what follows")
)

// ParseAddress reads a mailbox without brackets, in whatever legal quoting.
func ParseAddress(s string) (Address, error) {
	local, rest, err := cutLocal(s)
	if err != nil {
		return Address{}, err
	}
	domain, found := strings.CutPrefix(rest, "@")
	if !found {
		return Address{}, errNoAt
	}
	if domain, err = ParseDomain(domain); err != nil {
		return Address{}, err
	}
	if len(local)+1+len(domain) > maxAddress {
		return Address{}, errLong
	}
	return Address{local, domain}, nil
}

// ParsePath reads a path (RFC 5321 §4.1.2) at the beginning of s and returns what
// follows it, which is empty or begins with a blank. A source route is read and
// ignored. <> gives the zero Address and <postmaster> one without a domain; whether
// they may stand where they do is the caller's to say.
func ParsePath(s string) (a Address, rest string, err error) {
	s, found := strings.CutPrefix(s, "<")
	if !found {
		return Address{}, "", errNoPath
	}
	end := pathEnd(s)
	if end < 0 {
		return Address{}, "", errNoEnd
	}
	inner, rest := s[:end], s[end+1:]
	if rest != "" && rest[0] != ' ' {
		return Address{}, "", errAfterPath
	}
	if strings.HasPrefix(inner, "@") {
		if inner, err = skipRoute(inner); err != nil {
			return Address{}, "", err
		}
	} else if inner == "" {
		return Address{}, rest, nil
	} else if strings.EqualFold(inner, Postmaster) {
		return Address{Local: Postmaster}, rest, nil
	}
	a, err = ParseAddress(inner)
	return a, rest, err
}

// pathEnd is where the bracket that ends a path is, outside quotes; -1 for nowhere.
func pathEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

// skipRoute returns what follows "@one,@two:" (RFC 5321 Appendix C).
func skipRoute(s string) (string, error) {
	for {
		end := strings.IndexAny(s, ",:")
		if end < 2 || s[0] != '@' {
			return "", errRoute
		}
		if _, err := ParseDomain(s[1:end]); err != nil {
			return "", errRoute
		}
		last := s[end] == ':'
		if s = s[end+1:]; last {
			return s, nil
		}
	}
}

// cutLocal reads a local part and returns what follows it.
func cutLocal(s string) (local, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		local, rest, err = cutQuoted(s[1:])
	} else {
		at := strings.IndexByte(s, '@')
		if at < 0 {
			at = len(s)
		}
		if local, rest = s[:at], s[at:]; !isDotString(local) {
			err = errLocal
		}
	}
	switch {
	case err != nil:
		return "", "", err
	case !utf8.ValidString(local):
		return "", "", errEncoding
	case len(local) > maxLocal:
		return "", "", errLong
	}
	return local, rest, nil
}

// cutQuoted reads a Quoted-string after its first quote.
func cutQuoted(s string) (local, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], nil
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return "", "", errLocal
			}
			b.WriteByte(s[i])
		case c < ' ' || c == 0x7f:
			return "", "", errLocal
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errLocal
}

// isDotString reports whether a local part can stand without quotes.
func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		if s[i] == '.' && s[i-1] == '.' || s[i] != '.' && !isAtext(s[i]) {
			return false
		}
	}
	return true
}

// isAtext accepts what an atom is made of (RFC 5322 §3.2.3, RFC 6531 §3.3).
func isAtext(c byte) bool {
	return isAlnum(c) || c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// String is the address as it stands in a path and in Envelope: quoted only where
// it must be. It is "" for the zero Address.
func (a Address) String() string {
	local := a.Local
	if !isDotString(local) && a != (Address{}) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// Path is the address in angle brackets.
func (a Address) Path() string { return "<" + a.String() + ">" }

// UTF8 reports whether the address goes only where SMTPUTF8 is offered (RFC 6531).
func (a Address) UTF8() bool { return !isASCII(a.Local) }

// Display is the address for people: its domain in their own script.
func (a Address) Display() string {
	a.Domain = DisplayDomain(a.Domain)
	return a.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

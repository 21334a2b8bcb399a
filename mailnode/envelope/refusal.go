package envelope

import (
	"fmt"
	"strings"
)

// Refusal is an error that carries the answer the other side is to get: an SMTP reply
// code (RFC 5321 §4.2) with an enhanced status code (RFC 3463) and a sentence without
// a full stop. Whoever judges mail may return one.
type Refusal struct {
	Code     int    // 4xx: try again later; 5xx: never
	Enhanced string // as 5.1.1
	Text     string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Text) }

// Temporary reports whether it may be tried again.
func (r *Refusal) Temporary() bool { return r.Code < 500 }

// Valid reports whether it can stand in a reply line as it is.
func (r *Refusal) Valid() bool {
	class, rest, _ := strings.Cut(r.Enhanced, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	return r.Code >= 400 && r.Code <= 599 && class == fmt.Sprint(r.Code/100) && isNumber(subject) && isNumber(detail) &&
		r.Text != "" && !strings.ContainsFunc(r.Text, func(c rune) bool { return c < ' ' || c > '~' })
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

package alerts

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailfleet/inventory"
)

// Limits of rules and contacts.
const (
	MaxName = 100            // characters in a rule's or contact's name
	MaxFor  = 24 * time.Hour // the longest a condition may be asked to hold
	maxList = 1000           // servers or recipients a rule may name
)

// The languages texts are written in.
const (
	Chinese = "zh"
	English = "en"
)

var metricRE = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)+$`)

// Check brings a rule into its normal form and returns an inventory.Invalid
// error naming the first field that is wrong.
func Check(rule *inventory.Rule) error {
	var err error
	if rule.Name, err = checkName(rule.Name); err != nil {
		return err
	}
	if len(rule.Metric) > MaxName || !metricRE.MatchString(rule.Metric) {
		return inventory.FieldErrorf("metric", "metric %.120q must be measurement_field in lower case, such as mem_used_percent", rule.Metric)
	}
	if rule.Comparison, err = ParseComparison(string(rule.Comparison)); err != nil {
		return err
	}
	if err := checkNumbers(rule); err != nil {
		return err
	}
	if d := time.Duration(rule.For); d < 0 || d > MaxFor {
		return inventory.FieldErrorf("for", "for is %s; it must be between 0s and 24h", d)
	}
	switch rule.Severity {
	case "":
		rule.Severity = inventory.Warning
	case inventory.Info, inventory.Warning, inventory.Critical:
	default:
		return inventory.FieldErrorf("severity", "severity %.40q must be info, warning or critical", rule.Severity)
	}
	return checkLists(rule)
}

func checkNumbers(rule *inventory.Rule) error {
	if !finite(rule.Value) {
		return inventory.FieldErrorf("value", "value must be a finite number")
	}
	if !finite(rule.Clear) {
		return inventory.FieldErrorf("clear", "clear must be a finite number")
	}
	switch rule.Comparison {
	case inventory.Above, inventory.AtLeast:
		if rule.Clear > rule.Value {
			return inventory.FieldErrorf("clear", "clear is %v; for a rule with %s it must not be above the value %v", rule.Clear, rule.Comparison, rule.Value)
		}
	default:
		if rule.Clear < rule.Value {
			return inventory.FieldErrorf("clear", "clear is %v; for a rule with %s it must not be below the value %v", rule.Clear, rule.Comparison, rule.Value)
		}
	}
	return nil
}

func checkLists(rule *inventory.Rule) error {
	if len(rule.Servers) > maxList || len(rule.Recipients) > maxList {
		return inventory.FieldErrorf("servers", "a rule may name %d servers and %d recipients; leave the list empty for all", maxList, maxList)
	}
	for i, name := range rule.Servers {
		rule.Servers[i] = strings.ToLower(strings.TrimSpace(name))
		if err := inventory.CheckName("servers", rule.Servers[i]); err != nil {
			return err
		}
	}
	for i, id := range rule.Recipients {
		id, err := inventory.ParseID(string(id))
		if err != nil {
			return inventory.FieldErrorf("recipients", "recipient %.40q is not the id of a contact", rule.Recipients[i])
		}
		rule.Recipients[i] = id
	}
	slices.Sort(rule.Servers)
	slices.Sort(rule.Recipients)
	rule.Servers = slices.Compact(rule.Servers)
	rule.Recipients = slices.Compact(rule.Recipients)
	return nil
}

// CheckContact brings a contact into its normal form and returns an
// inventory.Invalid error naming the first field that is wrong.
func CheckContact(c *inventory.Contact) error {
	var err error
	if c.Name, err = checkName(c.Name); err != nil {
		return err
	}
	if c.Phone, err = ParsePhone(c.Phone); err != nil {
		return err
	}
	switch c.Language {
	case "":
		c.Language = Chinese
	case Chinese, English:
	default:
		return inventory.FieldErrorf("language", "language %.20q must be zh or en", c.Language)
	}
	return nil
}

// ParseComparison reads a comparison as people write it.
func ParseComparison(s string) (inventory.Comparison, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case ">", "above", "gt":
		return inventory.Above, nil
	case ">=", "≥", "at_least", "ge", "gte":
		return inventory.AtLeast, nil
	case "<", "below", "lt":
		return inventory.Below, nil
	case "<=", "≤", "at_most", "le", "lte":
		return inventory.AtMost, nil
	}
	return "", inventory.FieldErrorf("comparison", "comparison %.20q must be one of > >= < <= (or above, at_least, below, at_most)", s)
}

// ParsePhone reads a phone number as people write it, with spaces, hyphens,
// dots and brackets, also from a Chinese keyboard, and returns its digits: with
// a leading + an international number (ITU-T E.164: at most 15 digits, country
// code first), without it whatever the gateway knows (3 to 15 digits).
func ParsePhone(s string) (string, error) {
	if len(s) > 64 {
		return "", inventory.FieldErrorf("phone", "phone must not be longer than 64 bytes")
	}
	number := strings.Map(func(r rune) rune {
		if '！' <= r && r <= '～' { // full-width forms of ASCII
			r -= '！' - '!'
		}
		if unicode.IsSpace(r) || strings.ContainsRune("-.()", r) {
			return -1
		}
		return r
	}, s)
	digits, international := strings.CutPrefix(number, "+")
	wrong := strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	switch {
	case wrong || len(digits) < 3 || len(digits) > 15:
		return "", inventory.FieldErrorf("phone", "phone %q must be 3 to 15 digits, with + in front when it starts with a country code", s)
	case international && (digits[0] == '0' || len(digits) < 7):
		return "", inventory.FieldErrorf("phone", "phone %q is not an international number: after + comes the country code and the whole number, such as +8613800138000", s)
	}
	return number, nil
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > MaxName {
		return "", inventory.FieldErrorf("name", "name must have 1 to %d characters", MaxName)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", inventory.FieldErrorf("name", "name must be text on one line")
	}
	return name, nil
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

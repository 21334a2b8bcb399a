package origin

import (
	"encoding/base64"
	"errors"
	"strings"
)

// parseTags reads a list of tags (RFC 6376 §3.2).
func parseTags(s string) (map[string]string, error) {
	tags := map[string]string{}
	for spec := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(spec, "=")
		name = trim(name)
		if !ok {
			if name == "" {
				continue // after the last semicolon
			}
			return nil, errors.New("a tag has no value")
		}
		if _, twice := tags[name]; twice {
			return nil, errors.New("a tag is there twice")
		}
		if name == "" || len(tags) == maxTags {
			return nil, errors.New("the list of tags is malformed")
		}
		tags[name] = trim(value)
	}
	return tags, nil
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// unfold takes white space out of a value that may have it anywhere.
func unfold(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s)
}

// list reads a list divided by colons.
func list(s string) []string { return strings.Split(strings.ToLower(unfold(s)), ":") }

func base64Value(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(unfold(s))
	if err != nil || len(b) == 0 {
		return nil, errors.New("a value is not base64")
	}
	return b, nil
}

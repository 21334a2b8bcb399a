package pop3d

import (
	"bytes"
	"strconv"
	"strings"
)

// parseCommand takes a line without its end apart: a keyword of three or four characters,
// and after one space its argument (RFC 1939 §3, RFC 2449 §4). A password may
// contain spaces and bytes beyond ASCII.
func parseCommand(line []byte) (verb, arg string, ok bool) {
	if bytes.ContainsAny(line, "\x00\r\n") {
		return "", "", false
	}
	verb, arg, _ = strings.Cut(string(line), " ")
	verb = strings.ToUpper(verb)
	if len(verb) < 3 || len(verb) > 4 || strings.Trim(verb, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return "", "", false
	}
	return verb, arg, true
}

// parseNumber reads a number of at most nine digits.
func parseNumber(s string) (int, bool) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

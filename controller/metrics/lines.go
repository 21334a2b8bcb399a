package metrics

import "bytes"

// cutLine splits the first line of line protocol from body, with the number of
// newlines it takes. A newline inside a text field belongs to the line, so that
// no part of somebody's text is ever taken for a line of its own; but a text
// that is never closed ends with its first newline, so that it does not
// swallow the lines behind it.
func cutLine(body []byte) (line, rest []byte, newlines int) {
	end, closed := lineEnd(body)
	if !closed {
		if end = bytes.IndexByte(body, '\n'); end < 0 {
			end = len(body)
		}
	}
	line, rest = body[:end], body[end:]
	if len(rest) > 0 {
		rest, newlines = rest[1:], 1
	}
	return line, rest, newlines + bytes.Count(line, []byte{'\n'})
}

// lineEnd finds the newline that ends the first line of body, or its length,
// and tells whether a text field was left open there.
func lineEnd(body []byte) (end int, closed bool) {
	start := len(body) - len(bytes.TrimLeft(body, " "))
	if start < len(body) && body[start] == '#' { // a comment has no fields
		if n := bytes.IndexByte(body[start:], '\n'); n >= 0 {
			return start + n, true
		}
		return len(body), true
	}
	const (
		tags  = iota // measurement and tags, up to a space
		key          // of a field, up to "="
		value        // of a field, up to "," or a space
		tail         // the timestamp
	)
	state := tags
	for i := start; i < len(body); i++ {
		switch c := body[i]; {
		case c == '\n':
			return i, true
		case c == '\\' && state <= key && i+1 < len(body) && bytes.IndexByte([]byte(",= "), body[i+1]) >= 0:
			i++
		case c == ' ' && state == tags:
			state = key
			i += spaces(body[i+1:])
		case c == '=' && state == key:
			state = value
			if i+1 < len(body) && body[i+1] == '"' {
				n := textEnd(body[i+2:])
				if n < 0 {
					return len(body), false
				}
				i += 2 + n
			}
		case c == ',' && state == value:
			state = key
		case c == ' ' && (state == key || state == value):
			state = tail
		}
	}
	return len(body), true
}

func spaces(b []byte) int { return len(b) - len(bytes.TrimLeft(b, " ")) }

// textEnd finds the quote that closes a text, -1 if none does.
func textEnd(text []byte) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			if i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\') {
				i++
			}
		}
	}
	return -1
}

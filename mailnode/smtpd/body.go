package smtpd

// bodyState follows a message to its end (RFC 5321 §4.1.1.4, §2.3.8): lines end in
// CRLF and in nothing else, and a line of one dot is the end. go-smtp's own
// reader takes some other endings for lines; it never sees them.
type bodyState int

const (
	lineStart bodyState = iota
	lineDot             // a dot at the start of a line
	lineDotCR           // that dot and a CR
	lineMiddle
	lineCR // a CR after something else
)

type bodyVerdict int

const (
	bodyGoesOn bodyVerdict = iota
	bodyEnd
	bodyBroken
)

// scan returns how many bytes of p belong to the message, its end included.
func (s *bodyState) scan(p []byte) (int, bodyVerdict) {
	state := *s
	defer func() { *s = state }()
	for i, c := range p {
		afterCR := state == lineCR || state == lineDotCR
		if afterCR != (c == '\n') {
			return i, bodyBroken
		}
		switch {
		case state == lineDotCR:
			state = lineStart
			return i + 1, bodyEnd
		case c == '\n':
			state = lineStart
		case c == '\r' && state == lineDot:
			state = lineDotCR
		case c == '\r':
			state = lineCR
		case c == '.' && state == lineStart:
			state = lineDot
		default:
			state = lineMiddle
		}
	}
	return len(p), bodyGoesOn
}

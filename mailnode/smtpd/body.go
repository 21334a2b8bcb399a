package smtpd

import "bytes"

// dots follows a message to its end (RFC 5321 §4.1.1.4, §2.3.8): lines end in CRLF and
// in nothing else, a line of one dot is the end, and of a line that begins with a dot
// the dot does not count (§4.5.2).
type dots int

const (
	lineStart dots = iota
	lineDot        // a dot at the start of a line
	lineDotCR      // that dot and a CR
	lineMiddle
	lineCR // a CR after something else
)

type verdict int

const (
	goesOn verdict = iota
	ended
	broken // a CR or LF alone
)

// decode appends to dst the message's bytes in src and returns how many of src
// belong to the message, its end included.
func (d *dots) decode(dst, src []byte) (out []byte, n int, v verdict) {
	for n < len(src) {
		c := src[n]
		switch *d {
		case lineMiddle:
			taken, ok := d.line(src[n:])
			if !ok {
				return dst, n, broken
			}
			dst = append(dst, src[n:n+taken]...)
			if n += taken; *d == lineCR {
				dst = dst[:len(dst)-1] // until its LF has come
			}
			continue
		case lineStart:
			switch c {
			case '.':
				*d = lineDot
				n++
			case '\r':
				*d = lineCR
				n++
			default:
				*d = lineMiddle
			}
			continue
		case lineDot:
			if c == '\r' {
				*d = lineDotCR
				n++
			} else {
				*d = lineMiddle
			}
			continue
		}
		if c != '\n' { // after a CR
			return dst, n, broken
		}
		n++
		if *d == lineDotCR {
			*d = lineStart
			return dst, n, ended
		}
		*d = lineStart
		dst = append(dst, "\r\n"...)
	}
	return dst, n, goesOn
}

// line goes to the end of the line, or of src, and returns how many bytes that is.
func (d *dots) line(src []byte) (n int, ok bool) {
	lf := bytes.IndexByte(src, '\n')
	if lf < 0 {
		cr := bytes.IndexByte(src, '\r')
		if cr == len(src)-1 {
			*d = lineCR
		}
		return len(src), cr < 0 || cr == len(src)-1
	}
	*d = lineStart
	return lf + 1, bytes.IndexByte(src[:lf+1], '\r') == lf-1 && lf > 0
}

// lineEnds counts line ends over chunks that may be cut anywhere.
type lineEnds struct {
	cr, lf, crlf int64
	last         byte
}

var crlf = []byte("\r\n")

func (l *lineEnds) add(p []byte) {
	if len(p) == 0 {
		return
	}
	l.cr += int64(bytes.Count(p, crlf[:1]))
	l.lf += int64(bytes.Count(p, crlf[1:]))
	l.crlf += int64(bytes.Count(p, crlf))
	if l.last == '\r' && p[0] == '\n' {
		l.crlf++
	}
	l.last = p[len(p)-1]
}

// bare reports whether a CR or LF stands alone.
func (l *lineEnds) bare() bool { return l.cr != l.crlf || l.lf != l.crlf }

// wholeLines reports whether a text is lines that end in CRLF.
func wholeLines(text []byte) bool {
	var l lineEnds
	l.add(text)
	return !l.bare() && (len(text) == 0 || l.last == '\n')
}

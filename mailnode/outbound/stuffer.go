package outbound

import (
	"bytes"
	"io"
)

// stuffer writes a message as the lines of DATA (RFC 5321 §4.5.2). It makes of a bare
// LF or CR a line end: a remote that takes one for such must not see other lines, and
// other ends of messages, than this server and its filters did.
type stuffer struct {
	w    io.Writer
	last byte // before the next; '\n' at the beginning
}

var (
	crlf   = []byte("\r\n")
	newDot = []byte("..")
)

// Write implements io.Writer.
func (s *stuffer) Write(p []byte) (int, error) {
	whole := s.proper(p)
	if whole > 0 {
		if _, err := s.w.Write(p[:whole]); err != nil {
			return 0, err
		}
	}
	n, err := s.stuff(p[whole:])
	if err != nil {
		return 0, err
	}
	return whole + n, nil
}

// proper is how much of p is whole lines of which nothing is to be altered: in most
// messages, all.
func (s *stuffer) proper(p []byte) (n int) {
	if s.last != '\n' {
		return 0
	}
	for {
		end := bytes.IndexByte(p[n:], '\n')
		if end < 1 || p[n] == '.' || bytes.IndexByte(p[n:n+end], '\r') != end-1 {
			return n
		}
		n += end + 1
	}
}

// stuff is Write for what may have to be altered.
func (s *stuffer) stuff(p []byte) (int, error) {
	start := 0 // of what is not yet written
	flush := func(end int, then []byte) error {
		if end > start {
			if _, err := s.w.Write(p[start:end]); err != nil {
				return err
			}
		}
		_, err := s.w.Write(then)
		return err
	}
	for i := 0; i < len(p); i++ {
		var err error
		switch c := p[i]; {
		case s.last == '\r' && c != '\n': // a bare CR; it was held back
			s.last, start = '\n', i
			if _, err = s.w.Write(crlf); err == nil {
				i-- // look at the byte again, at the start of a line
			}
		case c == '\r':
			err = flush(i, nil)
			s.last, start = c, i+1
		case c == '\n':
			err = flush(i, crlf)
			s.last, start = c, i+1
		case c == '.' && s.last == '\n':
			err = flush(i, newDot)
			s.last, start = c, i+1
		default:
			s.last = c
			// Go on to where something can be to do.
			if n := bytes.IndexAny(p[i:], "\r\n"); n > 0 {
				i += n - 1
			} else if n < 0 {
				i = len(p) - 1
			}
		}
		if err != nil {
			return 0, err
		}
	}
	if start < len(p) {
		if _, err := s.w.Write(p[start:]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// end completes the last line and ends the message.
func (s *stuffer) end() error {
	tail := ".\r\n"
	if s.last != '\n' {
		tail = "\r\n.\r\n"
	}
	_, err := io.WriteString(s.w, tail)
	return err
}

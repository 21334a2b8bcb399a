package pop3d

import (
	"bytes"
	"errors"
	"io"
)

// stuffer sends a message as the lines of an answer: a line that begins with a dot
// gets a second one (RFC 1939 §3). With top set it stops a number of lines
// after the header.
type stuffer struct {
	w         io.Writer
	lineStart bool
	top       bool
	lines     int  // of the body, still to send
	column    int  // bytes of the line so far, CR not counted
	inBody    bool // the header has ended
}

var (
	// errTop ends the copying of a message of which enough was sent.
	errTop = errors.New("pop3d: enough lines")
	dot    = []byte(".")
	crlf   = []byte("\r\n")
)

// copy sends the message; an incomplete last line is completed.
func (s *stuffer) copy(body io.Reader) error {
	if _, err := io.Copy(s, body); err != nil && !errors.Is(err, errTop) {
		return err
	}
	if !s.lineStart {
		_, err := s.w.Write(crlf)
		return err
	}
	return nil
}

// Write implements io.Writer.
func (s *stuffer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !s.top {
		return len(p), s.stuff(p)
	}
	for rest := p; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		if err := s.stuff(line); err != nil {
			return 0, err
		}
		rest = rest[len(line):]
		if s.enough(line) {
			return len(p) - len(rest), errTop
		}
	}
	return len(p), nil
}

// stuff sends a part of the message: what lies between two dots to double goes in one piece.
func (s *stuffer) stuff(p []byte) error {
	if s.lineStart && p[0] == '.' {
		if _, err := s.w.Write(dot); err != nil {
			return err
		}
	}
	s.lineStart = p[len(p)-1] == '\n'
	start := 0
	for i := 0; ; i++ { // dots are rarer than lines
		n := bytes.IndexByte(p[i:], '.')
		if n < 0 {
			_, err := s.w.Write(p[start:])
			return err
		}
		if i += n; i > 0 && p[i-1] == '\n' {
			if _, err := s.w.Write(p[start : i+1]); err != nil {
				return err
			}
			start = i // the dot once more
		}
	}
}

// enough looks at a part of a line that was sent and reports whether it was the
// last to send.
func (s *stuffer) enough(part []byte) bool {
	s.column += len(bytes.TrimRight(part, "\r\n"))
	if !s.lineStart {
		return false
	}
	empty := s.column == 0
	s.column = 0
	switch {
	case s.inBody:
		s.lines--
	case empty:
		s.inBody = true
	}
	return s.inBody && s.lines == 0
}

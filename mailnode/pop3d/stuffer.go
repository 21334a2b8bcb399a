package pop3d

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// stuffer sends a message as the lines of an answer: a line that begins with a dot
// gets a second one (RFC 1939 §3). With top set it stops a number of lines
// after the header.
type stuffer struct {
	w         *bufio.Writer
	lineStart bool
	top       bool
	lines     int  // of the body, still to send
	column    int  // bytes of the line so far, CR not counted
	inBody    bool // the header has ended
}

// errTop ends the copying of a message of which enough was sent.
var errTop = errors.New("pop3d: enough lines")

// copy sends the message; an incomplete last line is completed.
func (s *stuffer) copy(body io.Reader) error {
	if _, err := io.Copy(s, body); err != nil && !errors.Is(err, errTop) {
		return err
	}
	if !s.lineStart {
		_, err := s.w.WriteString("\r\n")
		return err
	}
	return nil
}

// Write implements io.Writer.
func (s *stuffer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		if s.lineStart && line[0] == '.' {
			if err := s.w.WriteByte('.'); err != nil {
				return 0, err
			}
		}
		if _, err := s.w.Write(line); err != nil {
			return 0, err
		}
		s.lineStart = line[len(line)-1] == '\n'
		rest = rest[len(line):]
		if s.top && s.enough(line) {
			return len(p) - len(rest), errTop
		}
	}
	return len(p), nil
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

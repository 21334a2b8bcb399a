package pop3d

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/gate"
)

const (
	idleTimeout      = 10 * time.Minute // RFC 1939 §3 asks for ten minutes at least
	handshakeTimeout = 30 * time.Second
	readBuffer       = 512
	maxLine          = 512       // bytes of a command line; RFC 2449 §4 asks for 255
	maxSASLLine      = 16 * 1024 // bytes of AUTH and of its responses (RFC 5034 §4)
	maxFailures      = 3         // sign-ins that may fail before the connection ends
	maxFaults        = 20        // commands that may make no sense before it ends
)

// session is one connection. Only its own goroutine uses it.
type session struct {
	srv  *Server
	base *gate.Conn
	conn net.Conn // base, or TLS over it
	set  *Settings
	peer auth.Peer
	r    *bufio.Reader
	w    output

	lang     language
	user     string // named by USER
	failures int    // sign-ins that failed
	faults   int    // commands that made no sense
	drop     *maildrop
	over     bool
}

func newSession(srv *Server, c *gate.Conn) *session {
	s := &session{
		srv: srv, base: c, set: srv.settings.Load(), r: bufio.NewReaderSize(nil, readBuffer),
		peer: auth.Peer{Protocol: protocol, Address: auth.Address(c.RemoteAddr()), Local: c.Local()},
	}
	s.use(c)
	return s
}

// log is the session's log. It is made when it is needed: most connections are idle.
func (s *session) log() *slog.Logger {
	return s.srv.log.With("cid", s.base.ID(), "peer", s.base.RemoteAddr().String())
}

// use makes c what is read and written.
func (s *session) use(c net.Conn) {
	s.conn = c
	s.r.Reset(c)
	s.w = output{conn: c}
}

// startTLS puts TLS on the connection, as its server.
func (s *session) startTLS() bool {
	if s.base.Engage(handshakeTimeout) != nil || s.base.SetWriteDeadline(time.Now().Add(handshakeTimeout)) != nil {
		return false
	}
	c := tls.Server(s.base, s.set.TLS)
	if err := c.HandshakeContext(s.srv.ctx); err != nil {
		s.log().Debug("TLS did not begin", "error", err)
		return false
	}
	state := c.ConnectionState()
	s.peer.TLS, s.peer.Certificates = &state, s.set.TLS.Certificates
	s.base.Secured(state.Version)
	s.use(c)
	return true
}

func (s *session) run(secure bool) {
	defer s.close()
	if secure && !s.startTLS() {
		return
	}
	s.say(greeting, s.set.Hostname)
	for !s.over {
		line, err := s.readLine(maxLine)
		if err != nil {
			return
		}
		verb, arg, ok := parseCommand(line)
		if !ok || !s.do(verb, arg) {
			s.fault()
		}
	}
}

func (s *session) close() {
	if s.drop != nil { // before the last answer, after which the peer may come again
		s.srv.release(s.drop.place.Account)
		s.drop.bodies.Release()
	}
	_ = s.w.flush() // an error means that nobody listens
	_ = s.conn.Close()
}

// readLine reads a line without its end. It has told the peer why when it fails, as
// far as that makes sense. A line that begins like AUTH may be as long as its responses.
func (s *session) readLine(limit int) ([]byte, error) {
	buffered, _ := s.r.Peek(s.r.Buffered())
	if bytes.IndexByte(buffered, '\n') < 0 {
		if err := s.await(); err != nil {
			return nil, err
		}
	} else if err := s.base.Cause(); err != nil {
		s.leave()
		return nil, err
	}
	line, err := s.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		if len(line) >= 5 && strings.EqualFold(string(line[:5]), "AUTH ") {
			limit = maxSASLLine
		}
		line, err = s.readLong(bytes.Clone(line), limit)
	}
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		s.refuse(lineTooLong, limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.leave()
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), err
}

// lull is how long what was read ahead is kept for a peer that says nothing.
const lull = time.Second

// await makes ready to wait for a line: the peer may wait for our answers
// (RFC 2449 §6.6).
func (s *session) await() error {
	patience := idleTimeout
	if s.drop != nil && s.drop.bodies.Holds() {
		if err := s.rest(lull); err != nil {
			return err
		}
		// It is asked for the next message, or gone for long.
		if _, err := s.r.Peek(s.r.Buffered() + 1); !errors.Is(err, os.ErrDeadlineExceeded) || s.base.Interrupted() {
			return nil // ReadSlice says the same again
		}
		s.drop.bodies.Release()
		patience -= lull
	}
	return s.rest(patience)
}

// rest sends what there is to send and sets how long the peer is waited for.
func (s *session) rest(patience time.Duration) error {
	if err := s.base.Await(patience); err != nil {
		s.leave()
		return err
	}
	return s.w.flush()
}

// readLong goes on with a line that is longer than the buffer.
func (s *session) readLong(line []byte, limit int) ([]byte, error) {
	for len(line) < limit {
		part, err := s.r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
	return nil, bufio.ErrBufferFull
}

// leave takes leave of a peer that was waited for in vain. Nothing is deleted (RFC 1939 §3).
func (s *session) leave() {
	switch cause := s.base.Cause(); {
	case errors.Is(cause, gate.ErrStopping):
		s.refuse(stopping)
	case cause != nil:
		s.refuse(ended)
	default:
		s.refuse(nothingHeard, idleTimeout)
	}
}

// do carries a command out; false when there is no such command, or not now.
func (s *session) do(verb, arg string) bool {
	switch verb {
	case "CAPA":
		s.capa()
	case "LANG":
		s.chooseLanguage(arg)
	case "UTF8": // changes nothing: bytes are sent as they came
		s.say(utf8Done)
	case "QUIT":
		s.quit()
	default:
		if s.drop == nil {
			return s.authorize(verb, arg)
		}
		return s.transact(verb, arg)
	}
	return true
}

// fault answers a command that makes no sense.
func (s *session) fault() {
	if s.faults++; s.faults >= maxFaults {
		s.over = true
	}
	s.refuse(noCommand)
}

// capa is RFC 2449 §5.
func (s *session) capa() {
	s.say(capabilities)
	for _, line := range []string{
		"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER", "LANG", "IMPLEMENTATION Mailfleet",
	} {
		s.line(line)
	}
	if mechanisms := s.srv.auth.Mechanisms(&s.peer); len(mechanisms) > 0 {
		s.line("USER")
		s.line("SASL " + strings.Join(mechanisms, " "))
	}
	if s.set.TLS != nil && s.peer.TLS == nil {
		s.line("STLS")
	}
	s.line(".")
}

// say answers a command that succeeded.
func (s *session) say(t text, args ...any) { s.line("+OK " + t.in(s.lang, args)) }

// refuse answers a command that failed.
func (s *session) refuse(t text, args ...any) { s.line("-ERR " + t.code + t.in(s.lang, args)) }

// line writes a line. An error comes back at the next flush.
func (s *session) line(text string) {
	s.w.string(text)
	s.w.string("\r\n")
}

// linef is line with a format.
func (s *session) linef(format string, args ...any) { s.line(fmt.Sprintf(format, args...)) }

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
	"time"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/gate"
)

const (
	idleTimeout  = 10 * time.Minute // RFC 1939 §3 asks for ten minutes at least
	writeTimeout = 5 * time.Minute  // for each part of an answer
	maxLine      = 512              // bytes of a command line; RFC 2449 §4 asks for 255
	maxFailures  = 3                // sign-ins that may fail before the connection ends
	maxFaults    = 20               // commands that may make no sense before it ends
)

// session is one connection. Only its own goroutine uses it.
type session struct {
	srv    *Server
	base   *gate.Conn
	conn   net.Conn // base, or TLS over it
	set    *Settings
	log    *slog.Logger
	secure bool
	r      *bufio.Reader
	w      *bufio.Writer

	user     string // named by USER
	failures int    // sign-ins that failed
	faults   int    // commands that made no sense
	drop     *maildrop
	over     bool
}

func newSession(srv *Server, c *gate.Conn, secure bool) *session {
	s := &session{
		srv: srv, base: c, set: srv.settings.Load(), r: bufio.NewReaderSize(nil, maxLine), w: bufio.NewWriter(nil),
		log: srv.log.With("cid", srv.conns.Add(1), "peer", c.RemoteAddr().String()),
	}
	s.use(c)
	if secure {
		s.startTLS()
	}
	return s
}

// use makes c what is read and written.
func (s *session) use(c net.Conn) {
	s.conn = c
	s.r.Reset(c)
	s.w.Reset(patient{c})
}

func (s *session) startTLS() {
	s.use(tls.Server(s.base, s.set.TLS))
	s.secure = true
}

// patient is a connection each write to which may take its time, and no more.
type patient struct{ net.Conn }

func (c patient) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (s *session) run() {
	defer s.close()
	s.ok("%s POP3 Mailfleet", s.set.Hostname)
	for !s.over {
		line, err := s.readLine()
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
		s.srv.release(s.drop.account)
	}
	_ = s.w.Flush() // an error means that nobody listens
	_ = s.conn.Close()
}

// readLine reads a command line without its end. It has told the peer why when it
// fails, as far as that makes sense.
func (s *session) readLine() ([]byte, error) {
	if err := s.base.Await(idleTimeout); err != nil {
		s.leave()
		return nil, err
	}
	buffered, _ := s.r.Peek(s.r.Buffered())
	if bytes.IndexByte(buffered, '\n') < 0 { // the peer may wait for our answers (RFC 2449 §6.6)
		if err := s.w.Flush(); err != nil {
			return nil, err
		}
	}
	line, err := s.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		s.fail("the line is longer than %d bytes", maxLine)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.leave()
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), err
}

// leave takes leave of a peer that was waited for in vain. Nothing is deleted (RFC 1939 §3).
func (s *session) leave() {
	if s.base.Interrupted() {
		s.fail("[SYS/TEMP] the server is stopping, try again later")
	} else {
		s.fail("nothing heard for %v", idleTimeout)
	}
}

// do carries a command out; false when there is no such command, or not now.
func (s *session) do(verb, arg string) bool {
	switch verb {
	case "CAPA":
		s.capa()
		return true
	case "QUIT":
		s.quit()
		return true
	}
	if s.drop == nil {
		return s.authorize(verb, arg)
	}
	return s.transact(verb, arg)
}

// fault answers a command that makes no sense.
func (s *session) fault() {
	if s.faults++; s.faults >= maxFaults {
		s.over = true
	}
	s.fail("there is no such command here")
}

// capa is RFC 2449 §5.
func (s *session) capa() {
	s.ok("what this server can do")
	for _, line := range []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION Mailfleet"} {
		s.line("%s", line)
	}
	if s.mayAuthorize() {
		s.line("USER")
	}
	if s.set.TLS != nil && !s.secure {
		s.line("STLS")
	}
	s.line(".")
}

// authorize is the AUTHORIZATION state (RFC 1939 §4, §7).
func (s *session) authorize(verb, arg string) bool {
	switch verb {
	case "STLS":
		s.stls(arg)
	case "USER", "PASS":
		switch {
		case !s.mayAuthorize():
			s.fail("passwords are taken only after STLS")
		case verb == "USER" && arg == "":
			s.fail("USER needs an address")
		case verb == "USER":
			s.user = arg
			s.ok("now the password")
		case s.user == "":
			s.fail("USER comes first")
		default:
			s.signIn(s.user, arg)
			s.user = ""
		}
	default:
		return false
	}
	return true
}

// mayAuthorize reports whether a password may travel here.
func (s *session) mayAuthorize() bool {
	if s.secure || s.set.PlainAuth {
		return true
	}
	peer, ok := s.base.RemoteAddr().(*net.TCPAddr)
	return ok && peer.IP.IsLoopback()
}

// stls is RFC 2595 §4.
func (s *session) stls(arg string) {
	switch {
	case arg != "":
		s.fail("STLS takes no argument")
	case s.secure:
		s.fail("TLS is on already")
	case s.set.TLS == nil:
		s.fail("there is no TLS here")
	case s.r.Buffered() > 0: // sent in the clear, to be taken for part of the TLS session
		s.over = true
		s.fail("nothing may follow STLS before TLS begins")
	default:
		s.ok("begin TLS")
		if s.w.Flush() != nil {
			s.over = true
			return
		}
		s.user = ""
		s.startTLS()
	}
}

func (s *session) signIn(user, password string) {
	a, err := s.srv.verifier.Verify(s.srv.ctx, user, password)
	switch {
	case errors.Is(err, auth.ErrRefused), errors.Is(err, auth.ErrSuspended):
		s.refuse(user, err)
		return
	case err != nil:
		s.fail("[SYS/TEMP] the server has a problem, try again later")
		return
	case !s.srv.hold(a.ID):
		s.fail("[IN-USE] another session has the maildrop")
		return
	}
	drop, err := openMaildrop(s.srv.ctx, s.srv.mailboxes, a.ID)
	if err != nil {
		s.srv.release(a.ID)
		s.log.Error("the maildrop cannot be opened", "account", a.ID, "error", err)
		s.fail("[SYS/TEMP] the server has a problem, try again later")
		return
	}
	s.drop = drop
	s.srv.Counters.Logins.Add(1)
	s.log.Info("signed in", "account", a.ID, "messages", len(drop.messages))
	s.ok("%d messages (%d octets)", drop.count, drop.octets)
}

// refuse answers a failed sign-in, later each time.
func (s *session) refuse(user string, cause error) {
	s.failures++
	s.srv.Counters.LoginFailures.Add(1)
	s.log.Warn("sign-in refused", "user", user, "reason", cause)
	select {
	case <-time.After(time.Second << (s.failures - 1)):
	case <-s.srv.ctx.Done():
	}
	s.over = s.failures >= maxFailures
	if errors.Is(cause, auth.ErrSuspended) {
		s.fail("[AUTH] the account is suspended")
		return
	}
	s.fail("[AUTH] wrong address or password")
}

func (s *session) ok(format string, args ...any)   { s.line("+OK "+format, args...) }
func (s *session) fail(format string, args ...any) { s.line("-ERR "+format, args...) }

// line writes a line. An error comes back at the next flush.
func (s *session) line(format string, args ...any) {
	_, _ = fmt.Fprintf(s.w, format+"\r\n", args...)
}

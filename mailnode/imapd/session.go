package imapd

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/imapd/wire"
)

const (
	loginTimeout = 3 * time.Minute  // before sign-in
	idleTimeout  = 30 * time.Minute // RFC 9051 §5.4
	maxFailures  = 3                // sign-ins that may fail before the connection ends
	maxFaults    = 20               // commands that may make no sense before it ends
)

// What a command may hold, before and after sign-in.
var (
	strangerLimits = wire.Limits{Line: 8 << 10, Literal: 4 << 10, Memory: 16 << 10, Discard: 64 << 10}
	userLimits     = wire.Limits{Line: 64 << 10, Literal: 64 << 10, Memory: 512 << 10, Discard: 16 << 20}
)

// session is one connection. Only its own goroutine uses it, but for watch.
type session struct {
	srv    *Server
	link   link
	set    *Settings
	secure bool
	r      *wire.Reader
	w      *wire.Writer

	failures int // sign-ins that failed
	faults   int // commands that made no sense
	over     bool

	user       *user // nil before sign-in
	condstore  bool  // MODSEQ is told (RFC 7162 §3.1)
	qresync    bool  // expunged messages are told by VANISHED (RFC 7162 §3.2)
	rev2       bool  // IMAP4rev2 is enabled
	utf8       bool  // UTF8=ACCEPT is enabled
	compressed bool
	box        *box        // the selected mailbox
	saved      wire.Ranges // UIDs of the saved search result
	watch      watch
	until      time.Time // how long it waits for a command
	idling     bool
	settling   bool    // it waits for a short while first
	notify     *notify // what NOTIFY asked for
}

func newSession(srv *Server, c *gate.Conn) *session {
	s := &session{
		srv: srv, link: link{base: c, conn: c}, set: srv.settings.Load(),
	}
	s.r, s.w = wire.NewReader(&s.link), wire.NewWriter(&s.link)
	s.r.Limits = strangerLimits
	s.link.woken = s.woken
	s.r.Proceed = s.proceed
	s.r.Busy = s.busy
	return s
}

// log is the session's log. It is made when it is needed: most connections are idle.
func (s *session) log() *slog.Logger {
	log := s.srv.log.With("cid", s.link.base.ID(), "peer", s.link.base.RemoteAddr().String())
	if s.user != nil {
		log = log.With("account", s.user.ID)
	}
	return log
}

// startTLS makes TLS what is read and written.
func (s *session) startTLS() bool {
	conn := tls.Server(s.link.base, s.set.TLS)
	if s.link.base.SetDeadline(time.Now().Add(readTimeout)) != nil || conn.HandshakeContext(s.srv.ctx) != nil {
		return false
	}
	s.link.conn, s.secure = conn, true
	s.link.base.Secured(conn.ConnectionState().Version)
	return true
}

// proceed asks the peer to go on (RFC 9051 §7.6).
func (s *session) proceed() error {
	s.w.Raw("+ go on\r\n")
	return s.w.Flush()
}

// busy is called before each read in the middle of a command. A stranger gets no more
// time for a whole command than he would be waited for.
func (s *session) busy() error {
	if s.w.Buffered() {
		if err := s.w.Flush(); err != nil {
			return err
		}
	}
	patience := readTimeout
	if s.user == nil {
		patience = min(patience, time.Until(s.until))
	}
	return s.link.base.Engage(patience)
}

func (s *session) run(secure bool) {
	defer s.close()
	if secure && !s.startTLS() {
		return
	}
	s.w.Raw("* OK [CAPABILITY ")
	s.capabilities()
	s.w.Raw("] ").Raw(s.set.Hostname).Raw(" IMAP Mailfleet\r\n")
	for !s.over {
		if err := s.await(s.patience()); err != nil {
			s.leave(err)
			return
		}
		s.command()
	}
}

func (s *session) patience() time.Duration {
	if s.user == nil {
		return loginTimeout
	}
	return idleTimeout
}

// await waits for a command. Answers are sent before it waits, not between commands
// that came together. Changes of mailboxes that the peer wants to hear of at once are
// told meanwhile.
func (s *session) await(patience time.Duration) error {
	if s.r.HasLine() {
		return s.r.Begin()
	}
	s.until = time.Now().Add(patience)
	if err := s.rest(); err != nil {
		return err
	}
	defer func() { s.settling = false }()
	return s.r.Begin()
}

// rest tells what is to be told, sends it and makes ready to wait. The order
// matters: whoever changes a mailbox after tell looked wakes the read that follows.
func (s *session) rest() error {
	patience := time.Until(s.until)
	if s.settling = patience > gate.Settle && gate.Bulky(s.link.conn); s.settling {
		patience = gate.Settle
	}
	if err := s.link.base.Await(patience); err != nil {
		return err
	}
	if s.watch.due() {
		s.tell()
	}
	return s.w.Flush()
}

// woken is called when waiting was interrupted, and reports whether it goes on.
func (s *session) woken() bool {
	if s.settling { // an idle connection need not keep room for much
		gate.Slim(s.link.conn)
		return !s.link.base.Interrupted() && s.rest() == nil
	}
	return s.watch.due() && !s.link.base.Interrupted() && s.rest() == nil
}

// leave takes leave of a peer that was waited for in vain.
func (s *session) leave(err error) {
	switch {
	case errors.Is(s.link.base.Cause(), gate.ErrEnded):
		s.bye("UNAVAILABLE", "the connection was ended by an administrator")
	case s.link.base.Interrupted():
		s.bye("UNAVAILABLE", "the server is stopping, try again later")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.bye("", "nothing heard for too long")
	}
}

// bye says why the connection ends.
func (s *session) bye(code, text string) {
	s.over = true
	s.w.Raw("* BYE ")
	s.respond(code, text)
}

func (s *session) close() {
	s.deselect()
	s.signOff()
	_ = s.w.Flush() // an error means that nobody listens
	s.r.Close()
	_ = s.link.conn.Close()
	_ = s.link.base.Close() // for a TLS connection that does not close its own
}

// respond ends a status response: an optional code, and a text.
func (s *session) respond(code, text string) {
	if code != "" {
		s.w.Byte('[').Raw(code).Raw("] ")
	}
	s.w.Raw(text).CRLF()
}

// untagged writes "* OK [code] text".
func (s *session) untagged(code, text string) {
	s.w.Raw("* OK ")
	s.respond(code, text)
}

// call is a command that is being carried out.
type call struct {
	tag, name string
	uid       bool   // it is UID name
	code      string // response code of its OK
	text      string // text of its OK
	quiet     bool   // nothing is told of the mailbox before its OK
}

// errAnswered is a command that has written its tagged response itself.
var errAnswered = errors.New("imapd: the command is answered")

// refusal is why a command is answered NO.
type refusal struct {
	code imap.ResponseCode
	text string
}

func (e *refusal) Error() string { return "imapd: " + e.text }

func refuse(code imap.ResponseCode, text string) error { return &refusal{code, text} }

// command reads a command and carries it out.
func (s *session) command() {
	c := &call{tag: "*"}
	err := s.read(c)
	if err == nil {
		err = s.do(c)
	}
	if !errors.Is(err, errAnswered) {
		s.finish(c, err)
	}
}

// read reads the tag and the name of a command.
func (s *session) read(c *call) (err error) {
	if s.r.AtEnd() {
		return wire.Bad("the command is empty")
	}
	if c.tag, err = s.r.Tag(); err != nil {
		c.tag = "*"
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	if c.name, err = s.r.Word(); err != nil || c.name != "UID" {
		return err
	}
	c.uid = true
	if err := s.r.Space(); err != nil {
		return err
	}
	c.name, err = s.r.Word()
	return err
}

// do carries a command out.
func (s *session) do(c *call) error {
	command, ok := commands[c.name]
	if !ok || c.uid && !command.uid {
		return wire.Bad("there is no such command")
	}
	switch {
	case command.state == unauthenticated && s.user != nil:
		return wire.Bad("you are signed in already")
	case command.state >= authenticated && s.user == nil:
		return wire.Bad("sign in first")
	case command.state == selected && s.box == nil:
		return wire.Bad("select a mailbox first")
	}
	if command.whole {
		if err := s.ready(); err != nil {
			return err
		}
	}
	return command.run(s, c)
}

// finish ends a command with its tagged response.
func (s *session) finish(c *call, err error) {
	if s.link.failed {
		s.over = true
		return
	}
	var bad *wire.Error
	var no *refusal
	switch {
	case err == nil:
		if s.box != nil && !c.quiet {
			s.update(c.uid || !shy[c.name])
		}
		s.tagged(c, "OK", c.code, c.text)
	case errors.As(err, &bad):
		if bad.Type == imap.StatusResponseTypeBad {
			s.faults++
		}
		s.skip(c, string(bad.Type), string(bad.Code), bad.Text)
	case errors.As(err, &no):
		s.skip(c, "NO", string(no.code), no.text)
	case s.lost(err):
		s.leave(err)
		s.over = true
	default:
		code, text := s.explain(c, err)
		s.skip(c, "NO", code, text)
	}
	if s.faults >= maxFaults && !s.over {
		s.bye("", "too many commands that make no sense")
	}
}

// skip leaves what is left of a refused command out and answers it.
func (s *session) skip(c *call, kind, code, text string) {
	if !s.r.Ended() {
		switch err := s.r.Discard(); {
		case errors.Is(err, wire.ErrFlood):
			s.bye(string(imap.ResponseCodeTooBig), text)
			return
		case err != nil:
			s.leave(err)
			s.over = true
			return
		}
	}
	s.tagged(c, kind, code, text)
}

// tagged writes the tagged response.
func (s *session) tagged(c *call, kind, code, text string) {
	if text == "" {
		text = "done"
	}
	s.w.Raw(c.tag).Space().Raw(kind).Space()
	s.respond(code, text)
}

// lost tells errors of the connection from those of what was asked for.
func (s *session) lost(err error) bool {
	var netErr net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, gate.ErrStopping) || errors.Is(err, gate.ErrEnded) || errors.As(err, &netErr) || s.w.Err() != nil || errors.Is(err, io.ErrClosedPipe)
}

// end reads the end of a command that takes no more arguments.
func (s *session) end() error { return s.r.End() }

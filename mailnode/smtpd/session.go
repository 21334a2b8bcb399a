package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/gate"
)

const (
	commandTimeout   = 5 * time.Minute // RFC 5321 §4.5.3.2.7
	dataTimeout      = 5 * time.Minute // more than §4.5.3.2.5 asks, for each read
	dataGrace        = 10 * time.Minute
	dataRate         = 64 // bytes a second that a message must come with, after the grace
	handshakeTimeout = 30 * time.Second
	proxyTimeout     = 10 * time.Second
	lingerTimeout    = 10 * time.Second

	maxCommand  = 4096   // bytes of a command line, more than §4.5.3.1.4 asks
	maxAuthLine = 12_288 // of AUTH and of its responses (RFC 4954 §4)
	maxFaults   = 10     // commands that may make no sense before the connection ends
	maxIdle     = 100    // commands that may come to nothing between two messages
	maxUnknown  = 100    // recipients that may not exist
	maxFailures = 3      // sign-ins that may fail
)

// session is one connection. Only its own goroutine uses it.
type session struct {
	srv    *Server
	base   *gate.Conn
	conn   net.Conn // base, or TLS over it
	set    *Settings
	kind   Kind
	policy Policy
	in     input
	out    []byte // answers not sent yet

	tls      *tls.ConnectionState // nil: in the clear
	name     string               // the peer's verified reverse name
	named    bool                 // a front has said whom it speaks for
	helo     string               // what it calls itself; "" before it has
	extended bool                 // by EHLO or LHLO
	user     *auth.Identity       // who has signed in
	filter   FilterSession
	tx       *transaction // nil: none has begun

	mails    int // transactions begun
	faults   int // commands that made no sense
	idle     int // commands since the last message that came to nothing
	unknown  int // recipients that do not exist
	failures int // sign-ins that failed
	over     bool
	linger   bool // the peer may be sending still: see close
}

func newSession(srv *Server, c *gate.Conn, k Kind, p Policy) *session {
	s := &session{srv: srv, base: c, set: srv.settings.Load(), kind: k, policy: p}
	s.use(c)
	return s
}

// use makes c what is read and written.
func (s *session) use(c net.Conn) {
	s.conn = c
	s.in.reset(c)
}

// log is the session's log. It is made when it is needed: most connections are idle.
func (s *session) log() *slog.Logger {
	return s.srv.log.With("cid", s.base.ID(), "peer", s.base.RemoteAddr().String())
}

func (s *session) run() {
	defer s.close()
	defer func() { // one session's trouble is not everybody's
		if p := recover(); p != nil {
			s.log().Error("a session broke off: this is a defect", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if !s.begin() {
		return
	}
	for !s.over {
		line, err := s.readLine(maxCommand)
		if err != nil {
			return
		}
		s.command(line)
	}
}

// readLine reads a line without its end. When it fails it has told the peer why, as
// far as that makes sense. A line that begins like AUTH may be as long as its responses.
func (s *session) readLine(limit int) (string, error) {
	if !s.in.hasLine() {
		if err := s.await(); err != nil {
			return "", err
		}
	} else if s.base.Interrupted() {
		s.leave()
		return "", io.EOF
	}
	line, err := s.in.line(limit)
	if errors.Is(err, errLineTooLong) && limit < maxAuthLine && isAuth(s.in.ahead()) {
		line, err = s.in.line(maxAuthLine)
	}
	switch {
	case errors.Is(err, errLineTooLong):
		s.end(lineTooLong)
		return "", err
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.leave()
		return "", err
	case err != nil:
		return "", err
	case !bytes.HasSuffix(line, crlf) || bytes.Count(line, crlf[:1]) != 1:
		s.end(bareInCommand)
		return "", io.EOF
	}
	return string(line[:len(line)-2]), nil
}

func isAuth(line []byte) bool { return len(line) >= 5 && strings.EqualFold(string(line[:5]), "AUTH ") }

// await makes ready to wait for a command: the peer may wait for our answers.
func (s *session) await() error {
	s.in.shrink()
	if gate.Bulky(s.in.conn) {
		if done, err := s.settle(); done {
			return err
		}
	}
	if err := s.base.Await(commandTimeout); err != nil {
		s.leave()
		return err
	}
	return s.flush()
}

// settle waits for a short while, after which an idle connection need not keep room for
// much; done tells that something came, or went wrong.
func (s *session) settle() (done bool, err error) {
	if err := s.base.Await(gate.Settle); err != nil {
		s.leave()
		return true, err
	}
	if err := s.flush(); err != nil {
		return true, err
	}
	err = s.in.fill()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return true, err
	}
	gate.Slim(s.in.conn)
	return false, nil
}

// leave takes leave of a peer that was waited for in vain.
func (s *session) leave() {
	switch cause := s.base.Cause(); {
	case errors.Is(cause, gate.ErrStopping):
		s.say(serverStopping)
	case cause != nil:
		s.say(sessionEnded)
	default:
		s.say(reply{421, "4.4.2", fmt.Sprintf("Nothing heard for %v", commandTimeout)})
	}
	s.over = true
}

// end answers a peer that cannot be listened to any longer.
func (s *session) end(r reply) {
	s.say(r)
	s.over, s.linger = true, true
}

// fault answers a command that makes no sense.
func (s *session) fault(r reply) {
	if s.faults++; s.faults > maxFaults {
		r = tooManyFaults
		s.over, s.linger = true, true
	}
	s.erred()
	s.say(r)
}

// erred notes a peer's mistake.
func (s *session) erred() {
	if s.strange() {
		s.srv.o.Reputation.Erred(s.peer())
	}
}

// idles answers a command that brings no message nearer.
func (s *session) idles(r reply) {
	if s.idle++; s.idle > maxIdle {
		r = tooIdle
		s.over, s.linger = true, true
	}
	s.say(r)
}

// refuse counts, logs and answers a refusal; cause is for the operator, not for the
// peer.
func (s *session) refuse(r reply, cause error) {
	s.srv.Counters.Rejected.Add(1)
	from := ""
	if s.tx != nil {
		from = s.tx.env.From
	}
	if cause != nil {
		s.log().Error("mail is deferred", "reply", r.String(), "from", from, "error", cause)
	} else {
		s.log().Info("refused", "reply", r.String(), "from", from)
	}
	s.say(r)
}

// reject is refuse for an error of one of the interfaces.
func (s *session) reject(err error) {
	r, known := replyTo(err)
	if known {
		err = nil
	}
	s.refuse(r, err)
}

// command carries a command out.
func (s *session) command(line string) {
	text := strings.TrimRight(line, " \t")
	verb, arg, _ := strings.Cut(text, " ")
	verb = strings.ToUpper(verb)
	switch {
	case strings.ContainsFunc(text, isControl):
		s.fault(controls)
		return
	case verb != "MAIL" && verb != "RCPT" && verb != "VRFY" && !isASCII(text), !utf8.ValidString(text) && verb != "MAIL" && verb != "RCPT":
		s.fault(badSyntax)
		return
	}
	switch verb {
	case "EHLO", "HELO", "LHLO":
		s.hello(verb, arg)
	case "MAIL":
		s.mail(arg)
	case "RCPT":
		s.rcpt(arg)
	case "DATA":
		s.data(arg)
	case "BDAT":
		s.bdat(arg)
	case "RSET":
		s.rset(arg)
	case "NOOP":
		s.idles(done)
	case "HELP":
		s.idles(reply{214, "2.0.0", "This is Mailfleet; it speaks as RFC 5321 says"})
	case "VRFY":
		s.vrfy(arg)
	case "EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML":
		s.fault(notOffered)
	case "STARTTLS":
		s.startTLS(arg)
	case "AUTH":
		s.authenticate(arg)
	case "XCLIENT":
		s.xclient(arg)
	case "QUIT":
		if arg != "" {
			s.fault(noArgument)
			return
		}
		s.say(bye)
		s.over = true
	default:
		s.fault(unknownCommand)
	}
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

func (s *session) rset(arg string) {
	if arg != "" {
		s.fault(noArgument)
		return
	}
	s.reset()
	s.idles(done)
}

// vrfy tells nobody who has a mailbox here (RFC 5321 §7.3).
func (s *session) vrfy(arg string) {
	if arg == "" {
		s.fault(badSyntax)
		return
	}
	s.idles(reply{252, "2.5.0", "Send the message, and it will be seen"})
}

// reset gives up the transaction.
func (s *session) reset() {
	if s.tx == nil {
		return
	}
	s.tx.close()
	if s.filter != nil && !s.tx.seen {
		s.filter.Reset(s.srv.ctx)
	}
	s.tx = nil
}

// forget makes the session new: nothing that was said before counts.
func (s *session) forget() {
	s.reset()
	s.helo, s.extended, s.user = "", false, nil
	s.base.SignedIn("", "")
}

// close sends what is left to say.
func (s *session) close() {
	if s.tx != nil {
		s.tx.close()
	}
	if s.filter != nil {
		s.filter.Close()
	}
	_ = s.flush() // an error means that nobody listens
	if s.linger {
		s.drain()
	}
	s.in.reset(nil)
	_ = s.conn.Close()
}

// drain reads what the peer is still sending, for a while. Closed at once, the
// connection would be reset, and the peer would try again instead of reading our reply.
func (s *session) drain() {
	under := s.conn // TLS says goodbye
	if s.tls == nil {
		under = s.base.Conn
	}
	if half, ok := under.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be closed already
	}
	if s.base.Engage(lingerTimeout) == nil {
		_, _ = io.CopyN(io.Discard, s.conn, s.set.MessageBytes)
	}
}

// peer is who is connected, for those who are asked about it.
func (s *session) peer() Peer {
	p := Peer{Kind: s.kind, Port: s.base.Port(), Name: s.name, Helo: s.helo, TLS: s.tls != nil}
	if tcp, ok := s.base.RemoteAddr().(*net.TCPAddr); ok {
		p.Address = tcp.AddrPort().Addr().Unmap()
	}
	return p
}

// trusted reports whether the peer may send to anybody.
func (s *session) trusted() bool {
	return s.user != nil || s.policy.Relay != nil && s.address().IsValid() && s.policy.Relay(s.address())
}

// known reports whether the peer is nobody to be wary of.
func (s *session) known() bool {
	return s.policy.Known != nil && s.address().IsValid() && s.policy.Known(s.address())
}

// strange reports whether the peer's reputation matters.
func (s *session) strange() bool {
	return s.policy.Reputation && s.srv.o.Reputation != nil && !s.trusted() && !s.known() && (s.named || !s.base.IsFront())
}

func (s *session) address() netip.Addr { return s.peer().Address }

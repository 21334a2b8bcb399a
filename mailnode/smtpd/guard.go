package smtpd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"mailfleet/mailnode/gate"
)

const (
	commandTimeout = 5 * time.Minute // RFC 5321 §4.5.3.2.7
	dataTimeout    = 5 * time.Minute // more than §4.5.3.2.5 asks, for each read
	writeTimeout   = 5 * time.Minute
	maxCommand     = 4096 // bytes of a command line, more than §4.5.3.1.4 asks
	maxFaults      = 10   // commands the guard itself refuses before it ends the connection
	lingerTimeout  = 10 * time.Second
)

// guard is the connection go-smtp sees. It gives go-smtp one checked command line a
// read, the bytes of a message only after go-smtp has asked for them (354), and
// nothing more after an error. Replies pass through it too. Only the one
// goroutine of the session uses it.
type guard struct {
	net.Conn // the admitted connection, or TLS over it
	base     *gate.Conn
	srv      *Server
	set      *Settings
	cid      uint64
	secure   bool // over TLS
	extended bool // greeted by EHLO
	in       *bufio.Reader

	phase  phase
	rest   []byte    // of a command line that go-smtp has not read yet
	verb   string    // command go-smtp works on
	faults int       // commands refused here
	body   bodyState // where in a message we are
	taken  int64     // bytes of the message so far
	ended  *reply    // why a message broke off
	linger bool      // the peer may be sending still: see Close
	out    []byte    // replies not yet sent
	line   []byte    // a reply line go-smtp has begun
}

type phase int

const (
	greeting phase = iota // go-smtp is to say 220
	commands
	message
	over   // nothing is read any more
	handed // over, and another guard has the connection
)

func newGuard(srv *Server, c *gate.Conn) *guard {
	return &guard{
		Conn: c, base: c, srv: srv, set: srv.settings.Load(), cid: srv.conns.Add(1),
		in: bufio.NewReaderSize(c, maxCommand),
	}
}

// Read implements net.Conn for go-smtp.
func (g *guard) Read(p []byte) (int, error) {
	switch g.phase {
	case message:
		return g.readMessage(p)
	case over, handed:
		return 0, io.EOF
	default:
		return g.readCommand(p)
	}
}

func (g *guard) readCommand(p []byte) (int, error) {
	for len(g.rest) == 0 {
		line, err := g.nextLine()
		if err != nil {
			g.phase = max(g.phase, over)
			return 0, io.EOF
		}
		g.rest = g.inspect(line)
		if g.phase >= over {
			return 0, io.EOF
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// nextLine reads a line with its CRLF. It answers what is wrong itself.
func (g *guard) nextLine() ([]byte, error) {
	if err := g.base.Await(commandTimeout); err != nil {
		return nil, g.endSilent()
	}
	buffered, _ := g.in.Peek(g.in.Buffered())
	if bytes.IndexByte(buffered, '\n') < 0 { // the peer may wait for our answers
		if err := g.flush(); err != nil {
			return nil, err
		}
	}
	line, err := g.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, g.end(reply{500, "5.5.6", "The line is too long"})
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, g.endSilent()
	case err != nil:
		return nil, err
	case !bytes.HasSuffix(line, []byte("\r\n")), bytes.Count(line, []byte("\r")) != 1:
		return nil, g.end(reply{521, "5.5.2", "Lines end in CR LF; neither may stand alone"})
	}
	return line, nil
}

// inspect looks at a command. It returns what go-smtp is to see, nothing when the
// guard has answered.
func (g *guard) inspect(line []byte) []byte {
	text := string(bytes.TrimRight(line, " \t\r\n"))
	verb, arg, _ := strings.Cut(text, " ")
	verb = strings.ToUpper(verb)
	switch {
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		g.refuse(reply{500, "5.5.2", "There are control characters in the command"})
		return nil
	case strings.ContainsFunc(text, func(r rune) bool { return r > 0x7f }):
		g.refuse(reply{553, "5.6.7", "Addresses beyond ASCII are not supported"})
		return nil
	}
	switch verb {
	case "STARTTLS":
		g.startTLS(arg)
		return nil
	case "BDAT": // what follows is data, and there is no saying how much
		_ = g.end(reply{502, "5.5.1", "CHUNKING is not offered"})
		return nil
	case "AUTH":
		g.refuse(reply{502, "5.5.1", "AUTH is not offered"})
		return nil
	case "RCPT":
		text = completePostmaster(text, g.set.Hostname)
	case "EHLO", "HELO":
		g.extended = verb == "EHLO"
	}
	g.verb = verb
	return []byte(text + "\r\n")
}

// completePostmaster gives the one address without a domain (RFC 5321 §4.1.1.3)
// the server's name.
func completePostmaster(command, hostname string) string {
	const bare = "<postmaster>"
	at := strings.IndexByte(command, '<')
	if at < 0 || len(command) < at+len(bare) || !strings.EqualFold(command[at:at+len(bare)], bare) {
		return command
	}
	return command[:at] + "<postmaster@" + hostname + ">" + command[at+len(bare):]
}

// startTLS goes over to TLS: this session ends, and the connection becomes a new
// one that knows nothing of what was said before (RFC 3207 §4.2).
func (g *guard) startTLS(arg string) {
	switch {
	case arg != "":
		g.refuse(reply{501, "5.5.4", "STARTTLS takes no argument"})
	case g.secure:
		g.refuse(reply{503, "5.5.1", "TLS is on already"})
	case g.set.TLS == nil:
		g.refuse(reply{502, "5.5.1", "STARTTLS is not offered"})
	case g.in.Buffered() > 0: // sent in the clear, to be taken for part of the TLS session
		_ = g.end(reply{503, "5.5.1", "Nothing may follow STARTTLS before TLS begins"})
	default:
		g.say(reply{220, "2.0.0", "Begin TLS"})
		if g.flush() != nil {
			g.phase = over
			return
		}
		next := newGuard(g.srv, g.base)
		next.Conn = tls.Server(g.base, g.set.TLS)
		next.in.Reset(next.Conn)
		next.set, next.cid, next.secure = g.set, g.cid, true
		g.phase = over
		if g.srv.upgrades.hand(next) {
			g.phase = handed
		}
	}
}

// refuse answers a command in go-smtp's place.
func (g *guard) refuse(r reply) {
	if g.faults++; g.faults > maxFaults {
		_ = g.end(reply{421, "4.7.0", "Too many errors"})
		return
	}
	g.say(r)
}

// end answers a peer that cannot be listened to any longer.
func (g *guard) end(r reply) error {
	g.say(r)
	g.phase, g.linger = over, true
	return io.EOF
}

// endSilent takes leave of a peer that was waited for in vain.
func (g *guard) endSilent() error {
	if g.base.Interrupted() {
		g.say(reply{421, "4.3.2", "The server is stopping, try again later"})
	} else {
		g.say(reply{421, "4.4.2", fmt.Sprintf("Nothing heard for %v", commandTimeout)})
	}
	g.phase = over
	return io.EOF
}

// readMessage gives go-smtp bytes of a message up to its end and never beyond. An
// error is final; go-smtp sees it as the end of the connection.
func (g *guard) readMessage(p []byte) (int, error) {
	if g.in.Buffered() == 0 {
		if err := g.fill(); err != nil {
			return 0, err
		}
	}
	chunk, _ := g.in.Peek(min(g.in.Buffered(), len(p)))
	n, verdict := g.body.scan(chunk)
	copy(p, chunk[:n])
	if _, err := g.in.Discard(n); err != nil {
		return 0, err
	}
	g.taken += int64(n)
	switch {
	case verdict == bodyBroken:
		g.linger = true
		return 0, g.breakOff(reply{521, "5.5.2", "The message has a CR or LF alone; lines end in CR LF"})
	case g.taken > 2*g.set.MessageBytes+maxCommand: // who sends so much in vain is not listened to
		g.linger = true
		return 0, g.breakOff(tooLarge)
	case verdict == bodyEnd:
		g.phase = commands
	}
	return n, nil
}

func (g *guard) fill() error {
	if err := g.flush(); err != nil {
		return g.breakOff(connectionLost)
	}
	if err := g.base.Engage(dataTimeout); err != nil {
		return g.breakOff(connectionLost)
	}
	if _, err := g.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
		return g.breakOff(reply{421, "4.4.2", fmt.Sprintf("No data for %v", dataTimeout)})
	} else if err != nil {
		return g.breakOff(connectionLost)
	}
	return nil
}

// breakOff ends the connection in the middle of a message; session.Data finds the
// reply in g.ended.
func (g *guard) breakOff(r reply) error {
	g.ended = &r
	g.phase = over
	return io.EOF
}

// Close implements net.Conn: it sends what is left to say.
func (g *guard) Close() error {
	if g.phase == handed {
		return nil
	}
	g.phase = over
	err := g.flush()
	if g.linger {
		g.drain()
	}
	return errors.Join(err, g.Conn.Close())
}

// drain reads what the peer is still sending, for a while. Closed at once, the
// connection would be reset, and the peer would try again instead of reading our reply.
func (g *guard) drain() {
	if half, ok := g.base.Conn.(interface{ CloseWrite() error }); ok && !g.secure {
		_ = half.CloseWrite() // it may be closed already
	}
	if g.base.Engage(lingerTimeout) == nil {
		_, _ = io.CopyN(io.Discard, g.in, g.set.MessageBytes)
	}
}

// SetDeadline and its like do nothing: the guard sets the deadlines.
func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

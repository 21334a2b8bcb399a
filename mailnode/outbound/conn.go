package outbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// conn is a connection with a server that has said what it can.
type conn struct {
	net.Conn
	r   *bufio.Reader
	w   *bufio.Writer
	set *Settings

	key      string // in the pool
	host     string // name and address, for texts
	expiry   *time.Timer
	messages int // transactions so far
	secure   bool
	proven   bool // the certificate proves that it is the host that was wanted

	extensions map[string]string // by keyword in upper case: parameters

	remote netip.AddrPort
	alone  bool     // a message waits for the answer to the one before
	said   *opening // of the message to follow, not yet answered
}

// open connects with a server and reads its greeting.
func open(ctx context.Context, set *Settings, a netip.AddrPort, host string) (*conn, error) {
	d := net.Dialer{Timeout: set.Timeouts.Connect}
	if set.Source.IsValid() && set.Source.Is4() == a.Addr().Is4() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(set.Source, 0))
	}
	raw, err := d.DialContext(ctx, "tcp", a.String())
	if err != nil {
		return nil, plain(err)
	}
	c := &conn{set: set, host: host}
	c.wrap(raw)
	return c, nil
}

func (c *conn) wrap(raw net.Conn) {
	c.Conn = raw
	c.r = bufio.NewReaderSize(raw, replyLine*2)
	c.w = bufio.NewWriterSize(blocks{c}, 32<<10)
}

// blocks gives each write to the network its own time limit.
type blocks struct{ c *conn }

func (b blocks) Write(p []byte) (int, error) {
	if err := b.c.SetWriteDeadline(time.Now().Add(b.c.set.Timeouts.Block)); err != nil {
		return 0, err
	}
	return b.c.Conn.Write(p)
}

// read reads one reply within a time limit.
func (c *conn) read(limit time.Duration) (reply, error) {
	if !c.answered() {
		if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return reply{}, err
		}
	}
	return readReply(c.r)
}

// answered tells that a whole reply is there already.
func (c *conn) answered() bool {
	there, _ := c.r.Peek(c.r.Buffered()) // no more than that: it does not fail
	for {
		end := bytes.IndexByte(there, '\n')
		if end < 0 {
			return false
		}
		if end < 4 || there[3] != '-' {
			return true
		}
		there = there[end+1:]
	}
}

// do sends a command and reads its reply.
func (c *conn) do(limit time.Duration, format string, args ...any) (reply, error) {
	if _, err := fmt.Fprintf(c.w, format+"\r\n", args...); err != nil {
		return reply{}, err
	}
	if err := c.w.Flush(); err != nil {
		return reply{}, err
	}
	return c.read(limit)
}

// refusal is a reply that ends an attempt.
type refusal struct {
	step string // what the remote refused, such as "the greeting"
	reply
}

func (r *refusal) Error() string { return fmt.Sprintf("it refused %s: %s", r.step, r.reply) }

// greet reads the greeting and introduces this server.
func (c *conn) greet() error {
	got, err := c.read(c.set.Timeouts.Greeting)
	if err != nil {
		return fmt.Errorf("no greeting came: %w", plain(err))
	}
	if !got.positive() {
		return &refusal{"this server in its greeting", got}
	}
	return c.hello()
}

// hello says EHLO, or HELO to a server that does not know it.
func (c *conn) hello() error {
	c.extensions = map[string]string{}
	got, err := c.do(c.set.Timeouts.Greeting, "EHLO %s", c.set.Hostname)
	if err != nil {
		return fmt.Errorf("EHLO was not answered: %w", plain(err))
	}
	if got.permanent() {
		if got, err = c.do(c.set.Timeouts.Greeting, "HELO %s", c.set.Hostname); err != nil {
			return fmt.Errorf("HELO was not answered: %w", plain(err))
		}
		got.lines = got.lines[:1]
	}
	if !got.positive() {
		return &refusal{"to speak with this server", got}
	}
	for _, line := range got.lines[1:] {
		word, params, _ := strings.Cut(line, " ")
		if old, sep, ok := strings.Cut(word, "="); ok && params == "" { // AUTH=PLAIN
			word, params = old, sep
		}
		c.extensions[strings.ToUpper(word)] = params
	}
	return nil
}

func (c *conn) has(extension string) bool {
	_, ok := c.extensions[extension]
	return ok
}

// startTLS makes the connection a private one.
func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	got, err := c.do(c.set.Timeouts.Greeting, "STARTTLS")
	if err != nil {
		return fmt.Errorf("STARTTLS was not answered: %w", plain(err))
	}
	if !got.positive() {
		return &refusal{"STARTTLS", got}
	}
	if c.r.Buffered() > 0 { // what came in clear would count as said within TLS
		return errReply
	}
	return c.handshake(ctx, config)
}

func (c *conn) handshake(ctx context.Context, config *tls.Config) error {
	private := tls.Client(c.Conn, config)
	ctx, cancel := context.WithTimeout(ctx, c.set.Timeouts.Greeting)
	defer cancel()
	if err := c.SetDeadline(time.Now().Add(c.set.Timeouts.Greeting)); err != nil {
		return err
	}
	if err := private.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS failed: %w", plain(err))
	}
	c.wrap(private)
	c.secure = true
	return nil
}

// authenticate proves who we are, with the first way both know.
func (c *conn) authenticate(user, password string) error {
	offered := strings.Fields(strings.ToUpper(c.extensions["AUTH"]))
	var got reply
	var err error
	encode := base64.StdEncoding.EncodeToString
	switch {
	case contains(offered, "PLAIN"):
		got, err = c.do(c.set.Timeouts.Command, "AUTH PLAIN %s", encode([]byte("\x00"+user+"\x00"+password)))
	case contains(offered, "LOGIN"):
		if got, err = c.do(c.set.Timeouts.Command, "AUTH LOGIN"); err == nil && got.code == 334 {
			if got, err = c.do(c.set.Timeouts.Command, "%s", encode([]byte(user))); err == nil && got.code == 334 {
				got, err = c.do(c.set.Timeouts.Command, "%s", encode([]byte(password)))
			}
		}
	default:
		return errors.New("it offers no way to sign in that this server knows (PLAIN, LOGIN)")
	}
	if err != nil {
		return fmt.Errorf("signing in was not answered: %w", plain(err))
	}
	if !got.positive() {
		return &refusal{"the user name and password of the route", got}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// limit is a limit the server named (RFC 9422), most when it named none.
func (c *conn) limit(name string, most int) int {
	for _, word := range strings.Fields(c.extensions["LIMITS"]) {
		if value, ok := strings.CutPrefix(strings.ToUpper(word), name+"="); ok {
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				return min(n, most)
			}
		}
	}
	return most
}

// quit says goodbye, without waiting long for an answer.
func (c *conn) quit() {
	const patience = 2 * time.Second
	_ = c.SetDeadline(time.Now().Add(patience)) // whatever fails now, the end is Close
	if _, err := io.WriteString(c.Conn, "QUIT\r\n"); err == nil {
		_, _ = readReply(c.r)
	}
	_ = c.Close()
}

// plain is an error of the network in words, without the addresses it repeats.
func plain(err error) error {
	var op *net.OpError
	switch timeout, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, context.Canceled):
		return err
	case ok && timeout.Timeout():
		return errors.New("the time is over")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it closed the connection")
	case errors.As(err, &op) && op.Op != "remote error" && op.Op != "local error":
		return op.Err
	}
	return err
}

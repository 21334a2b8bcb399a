package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/store"
)

// reply is an answer with its enhanced status code (RFC 3463, RFC 2034).
type reply struct {
	code     int
	enhanced string
	text     string
}

func (r reply) String() string { return fmt.Sprintf("%d %s %s", r.code, r.enhanced, r.text) }

// err is the reply as go-smtp wants it from a session.
func (r reply) err() error {
	var enhanced smtp.EnhancedCode
	for i, n := range strings.SplitN(r.enhanced, ".", 3) {
		enhanced[i], _ = strconv.Atoi(n) // they are written in this package
	}
	return &smtp.SMTPError{Code: r.code, EnhancedCode: enhanced, Message: r.text}
}

var (
	badSequence    = reply{503, "5.5.1", "A transaction has begun already; RSET ends it"}
	badSender      = reply{501, "5.1.7", "The sender's address is not well-formed"}
	badRecipient   = reply{501, "5.1.3", "The recipient's address is not well-formed"}
	tooLarge       = reply{552, "5.3.4", "The message is larger than this server takes"}
	tooLargeHere   = reply{552, "5.2.3", "The message is larger than the recipient takes"}
	apart          = reply{452, "4.5.3", "Send to this recipient in a transaction of its own"}
	tooMany        = reply{452, "4.5.3", "Too many recipients"}
	noSpace        = reply{452, "4.3.1", "There is not enough disk space, try again later"}
	mailboxFull    = reply{452, "4.2.2", "The mailbox is full, try again later"}
	localTrouble   = reply{451, "4.3.0", "The server has a problem, try again later"}
	connectionLost = reply{421, "4.4.2", "The connection was lost"}
)

// recipientReply is the answer to a recipient that is refused.
func recipientReply(err error) reply {
	switch {
	case errors.Is(err, directory.ErrUnknown):
		return reply{550, "5.1.1", "There is no such mailbox here"}
	case errors.Is(err, directory.ErrNotLocal):
		return reply{550, "5.7.1", "Relaying is denied"}
	case errors.Is(err, directory.ErrSuspended):
		return reply{550, "5.2.1", "The mailbox is suspended"}
	case errors.Is(err, directory.ErrNoPostmaster):
		return reply{450, "4.2.1", "Nobody reads this mailbox yet, try again later"}
	}
	return localTrouble
}

// storeReply is the answer when the store refuses.
func storeReply(err error) reply {
	switch {
	case errors.Is(err, store.ErrFull):
		return noSpace
	case errors.Is(err, store.ErrQuota):
		return mailboxFull
	}
	return localTrouble
}

// Write implements net.Conn for go-smtp: its replies are put right and kept until
// the peer has nothing more to say (RFC 2920 §3.2 allows that).
func (g *guard) Write(p []byte) (int, error) {
	g.line = append(g.line, p...)
	for {
		end := bytes.IndexByte(g.line, '\n')
		if end < 0 {
			return len(p), nil
		}
		g.relay(string(bytes.TrimRight(g.line[:end], "\r\n")))
		g.line = append(g.line[:0], g.line[end+1:]...)
	}
}

// relay passes on one line of a reply.
func (g *guard) relay(line string) {
	code, last := "", false
	if len(line) > 3 {
		code, last = line[:3], line[3] == ' '
	}
	switch {
	case g.phase == greeting:
		g.phase = commands
		if !g.secure { // after STARTTLS there is no second greeting
			g.print("220 " + g.set.Hostname + " ESMTP Mailfleet")
		}
	case g.verb == "EHLO" && code == "250":
		if last {
			g.printExtensions()
		}
	case code == "354":
		g.phase, g.body, g.taken = message, lineStart, 0
		g.print(line)
	default:
		g.print(correct(g.verb, line))
	}
}

// printExtensions answers EHLO with what this server does, which is less than what
// go-smtp does.
func (g *guard) printExtensions() {
	g.print("250-" + g.set.Hostname)
	g.print("250-PIPELINING")
	g.print("250-8BITMIME")
	g.print("250-SIZE " + strconv.FormatInt(g.set.MessageBytes, 10))
	if g.set.TLS != nil && !g.secure {
		g.print("250-STARTTLS")
	}
	g.print("250 ENHANCEDSTATUSCODES")
}

// correct gives the codes RFC 5321 wants: 503 for commands out of order (§4.1.4),
// 555 for parameters that are not known (§4.1.1.11).
func correct(verb, line string) string {
	switch verb {
	case "MAIL", "RCPT", "DATA":
		for wrong, right := range map[string]string{"502 5.5.1": "503 5.5.1", "500 5.5.4": "555 5.5.4", "504 5.5.4": "555 5.5.4"} {
			if rest, ok := strings.CutPrefix(line, wrong); ok {
				return right + rest
			}
		}
	}
	return line
}

func (g *guard) say(r reply) { g.print(r.String()) }

func (g *guard) print(line string) { g.out = append(append(g.out, line...), "\r\n"...) }

// flush sends the replies.
func (g *guard) flush() error {
	if len(g.out) == 0 {
		return nil
	}
	out := g.out
	g.out = g.out[:0]
	if err := g.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := g.Conn.Write(out)
	return err
}

package smtpd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/store"
)

const writeTimeout = 5 * time.Minute

// reply is an answer with its enhanced status code (RFC 3463, RFC 2034).
type reply struct {
	code     int
	enhanced string
	text     string
}

func (r reply) String() string { return fmt.Sprintf("%d %s %s", r.code, r.enhanced, r.text) }

var (
	done     = reply{250, "2.0.0", "Done"}
	bye      = reply{221, "2.0.0", "Goodbye"}
	readyTLS = reply{220, "2.0.0", "Begin TLS"}

	unknownCommand = reply{500, "5.5.2", "There is no such command"}
	notOffered     = reply{502, "5.5.1", "This is not offered here"}
	noArgument     = reply{501, "5.5.4", "The command takes no argument"}
	badSyntax      = reply{501, "5.5.2", "The command is not well-formed"}
	badParameter   = reply{501, "5.5.4", "A parameter's value is not well-formed"}
	noParameter    = reply{555, "5.5.4", "A parameter is not known or not offered here"}
	helloFirst     = reply{503, "5.5.1", "Introduce yourself first"}
	badSequence    = reply{503, "5.5.1", "A transaction has begun already; RSET ends it"}
	mailFirst      = reply{503, "5.5.1", "MAIL comes first"}
	rcptFirst      = reply{503, "5.5.1", "There is no recipient yet"}
	chunksBegun    = reply{503, "5.5.1", "The message has begun in chunks; BDAT goes on"}
	needsChunks    = reply{503, "5.5.1", "A message with BODY=BINARYMIME comes by BDAT"}
	controls       = reply{500, "5.5.2", "There are control characters in the command"}
	lineTooLong    = reply{500, "5.5.6", "The line is too long"}
	bareInCommand  = reply{521, "5.5.2", "Lines end in CR LF; neither may stand alone"}
	bareInMessage  = reply{521, "5.5.2", "The message has a CR or LF alone; lines end in CR LF"}
	bareInChunk    = reply{554, "5.6.0", "The message has a CR or LF alone; lines end in CR LF"}
	tooManyFaults  = reply{421, "4.7.0", "Too many errors"}
	tooIdle        = reply{421, "4.7.0", "Too many commands without a message"}
	tooManyMails   = reply{421, "4.7.0", "Too many messages in this connection"}
	serverStopping = reply{421, "4.3.2", "The server is stopping, try again later"}
	sessionEnded   = reply{421, "4.3.2", "The session was ended by an administrator"}
	tooSlow        = reply{421, "4.4.2", "The message comes too slowly"}

	needUTF8       = reply{553, "5.6.7", "An address beyond ASCII needs SMTPUTF8"}
	badSender      = reply{501, "5.1.7", "The sender's address is not well-formed"}
	badRecipient   = reply{501, "5.1.3", "The recipient's address is not well-formed"}
	tooLarge       = reply{552, "5.3.4", "The message is larger than this server takes"}
	tooLargeHere   = reply{552, "5.2.3", "The message is larger than the recipient takes"}
	apart          = reply{452, "4.5.3", "Send to this recipient in a transaction of its own"}
	tooMany        = reply{452, "4.5.3", "Too many recipients"}
	noRelay        = reply{550, "5.7.1", "Relaying is denied"}
	headerTooLarge = reply{552, "5.3.4", "The message's header is larger than this server takes"}
	loop           = reply{554, "5.4.6", "The message has passed through too many servers: it is in a loop"}
	nulBytes       = reply{554, "5.6.0", "The message has NUL bytes"}
	noSpace        = reply{452, "4.3.1", "There is not enough disk space, try again later"}
	mailboxFull    = reply{452, "4.2.2", "The mailbox is full, try again later"}
	localTrouble   = reply{451, "4.3.0", "The server has a problem, try again later"}
	earlyTalk      = reply{554, "5.5.1", "You speak before you are greeted"}

	signInFirst    = reply{530, "5.7.0", "Sign in first"}
	tlsFirst       = reply{530, "5.7.0", "Begin TLS first"}
	tlsForAuth     = reply{538, "5.7.11", "Nobody signs in here without TLS"}
	signedIn       = reply{235, "2.7.0", "Signed in"}
	signedInTwice  = reply{503, "5.5.1", "You are signed in already"}
	notBase64      = reply{501, "5.5.2", "The response is not in base64"}
	cancelled      = reply{501, "5.7.0", "The exchange was cancelled"}
	noMechanism    = reply{504, "5.5.4", "There is no such mechanism"}
	wrongPassword  = reply{535, "5.7.8", "The address or the password is wrong"}
	notResponse    = reply{501, "5.5.2", "The response is not one of the mechanism"}
	suspended      = reply{525, "5.7.13", "The account is suspended"}
	switchedOff    = reply{525, "5.7.13", "Sending is switched off for the account"}
	notYourAddress = reply{553, "5.7.1", "You may not send from this address"}
	notYourFrom    = reply{550, "5.7.1", "You may not send from the address in From"}
	longHold       = reply{501, "5.5.4", "The message would be held longer than this server does"}
)

// replyTo is the answer when something refuses; known is false when it is the
// server's own trouble, which the operator must hear of.
func replyTo(err error) (r reply, known bool) {
	if refusal, ok := errors.AsType[*envelope.Refusal](err); ok {
		return refused(refusal), true
	}
	switch {
	case errors.Is(err, directory.ErrUnknown):
		return reply{550, "5.1.1", "There is no such mailbox here"}, true
	case errors.Is(err, directory.ErrNotAllowed):
		return reply{550, "5.7.2", "You may not write to this group"}, true
	case errors.Is(err, directory.ErrTooMany):
		return reply{554, "5.4.6", "The address leads to too many others"}, true
	case errors.Is(err, directory.ErrNotKnown):
		return reply{450, "4.1.1", "Whether there is such a mailbox is not known here now, try again later"}, true
	case errors.Is(err, directory.ErrNotLocal):
		return noRelay, true
	case errors.Is(err, directory.ErrSuspended):
		return reply{550, "5.2.1", "The mailbox is suspended"}, true
	case errors.Is(err, directory.ErrNoPostmaster):
		return reply{450, "4.2.1", "Nobody reads this mailbox yet, try again later"}, true
	case errors.Is(err, store.ErrFull):
		return noSpace, false
	case errors.Is(err, store.ErrQuota):
		return mailboxFull, true
	}
	return localTrouble, false
}

// refused is a refusal as a reply; one that cannot stand in a reply line is the
// server's trouble.
func refused(r *envelope.Refusal) reply {
	if !r.Valid() {
		return localTrouble
	}
	return reply{r.Code, r.Enhanced, r.Text}
}

// maxReplyText is how much of a text goes into one line (RFC 5321 §4.5.3.1.5: 512).
const maxReplyText = 480

// say answers. It goes out when the peer has nothing more to say (RFC 2920 §3.2).
func (s *session) say(r reply) {
	text := r.text
	for len(text) > maxReplyText {
		cut := strings.LastIndexByte(text[:maxReplyText], ' ')
		if cut <= 0 {
			cut = maxReplyText
		}
		s.print(fmt.Sprintf("%d-%s %s", r.code, r.enhanced, text[:cut]))
		text = strings.TrimLeft(text[cut:], " ")
	}
	s.print(fmt.Sprintf("%d %s %s", r.code, r.enhanced, text))
}

func (s *session) print(line string) { s.out = append(append(s.out, line...), "\r\n"...) }

// flush sends the answers.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	out := s.out
	if s.out = s.out[:0]; cap(s.out) > 512 {
		s.out = nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(out)
	return err
}

package smtpd

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"time"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/milter"
)

// Errors of these interfaces that are, or wrap, an *envelope.Refusal are answered so;
// those of package directory and store.ErrFull and store.ErrQuota have answers of
// their own (reply.go). Any other error is the server's trouble: the peer is told to try
// again, and the operator is told why.

// Recipients judges the addresses that mail comes for.
type Recipients interface {
	// Judge says whether mail of size bytes (0: not known yet) is taken from a sender for an
	// address, which is in the form of envelope.Address.String. largest is the largest
	// message it takes, 0 for what the server takes. directory.ErrNotLocal: the address is
	// elsewhere, and mail for it is taken from those only who may relay.
	Judge(ctx context.Context, from directory.Sender, address string, size int64) (largest int64, err error)
}

// Deliverer takes responsibility for messages.
type Deliverer interface {
	// Accept takes a message for all its recipients, or for none of them. When it returns
	// nil the message is durable and will be delivered or reported on. The message is
	// prefix and then size bytes of body; prefix holds header lines (without Return-Path, which is
	// added at final delivery), apart, so that equal bodies can be kept once. Nothing of
	// prefix or body may be used after it returns.
	Accept(ctx context.Context, e envelope.Envelope, prefix []byte, body io.Reader, size int64) error
}

// Senders says as whom users may send.
type Senders interface {
	// MaySend reports whether an account may send mail from an address.
	MaySend(account *directory.Account, from envelope.Address) bool
}

// Allowance bounds what users send.
type Allowance interface {
	// Recipient is asked for each recipient of a user's message, which has so many
	// already. An error defers or refuses it.
	Recipient(ctx context.Context, account string, already int) error
	// Message is asked for each message of a user once it has come. It may hold the
	// message back (Envelope.Held).
	Message(ctx context.Context, e *envelope.Envelope) error
}

// Signer signs what users send.
type Signer interface {
	// Sign returns header lines, such as DKIM-Signature, for a message whose author is of a
	// domain; none when nothing is to be signed for it.
	Sign(ctx context.Context, domain string, message io.Reader) ([]byte, error)
}

// Peer is who is connected.
type Peer struct {
	Kind    Kind       // of the listener it came by
	Port    int        // of that listener; 0 for a local socket
	Address netip.Addr // not valid for a local socket
	Name    string     // its verified reverse name; "" when it has none or nobody has looked
	Helo    string     // what it calls itself; "" before it has
	TLS     bool
}

// Judge says what is to be thought of a message: whether it comes from where it says
// (SPF, DKIM, DMARC).
type Judge interface {
	Judge(ctx context.Context, m Arrival) (Verdict, error)
}

// Arrival is a message that has come whole.
type Arrival struct {
	Peer     Peer
	Envelope *envelope.Envelope // not to be changed
	Header   []byte             // the message's, its last line end included
	Open     func() io.Reader   // reads the message, header included, as often as wanted
}

// Verdict is what is thought of a message. The zero Verdict lets it pass.
type Verdict struct {
	Fields     []byte            // header lines to put on top, as Authentication-Results
	Refusal    *envelope.Refusal // do not take it
	Quarantine string            // why it is to be kept apart; "" for not
}

// Filter looks at whole sessions, as milters do, and rules as they do.
type Filter interface {
	// Connect begins a session. The session is nil when this one is of no interest.
	Connect(ctx context.Context, p Peer) (FilterSession, milter.Ruling)
}

// FilterSession follows one session. A ruling with an Accept or a Discard ends the
// questions about a message, one with an Accept at Connect or Helo those about the
// session. What to do when a filter fails is its own affair.
type FilterSession interface {
	Helo(ctx context.Context, p Peer) milter.Ruling
	Mail(ctx context.Context, from string, params []envelope.Param) milter.Ruling
	Recipient(ctx context.Context, to string, params []envelope.Param) milter.Ruling
	Message(ctx context.Context, m Arrival) milter.Ruling
	Reset(ctx context.Context) // the message under way is given up
	Close()
}

// Reputation says what is thought of peers: blocklists, reverse names, rates,
// greylisting.
type Reputation interface {
	// Connect is asked before a peer is greeted.
	Connect(ctx context.Context, p Peer) Opinion
	// Recipient is asked for each recipient that exists.
	Recipient(ctx context.Context, p Peer, from, to string) Opinion
	// Erred notes that a peer did what those do who guess or do not listen.
	Erred(p Peer)
}

// Opinion is what is thought of a peer. The zero Opinion lets it go on.
type Opinion struct {
	Refusal *envelope.Refusal
	Delay   time.Duration // answer only after it
	Name    string        // the peer's verified reverse name, if it was looked up
	Marks   []string      // of a recipient: sentences about the peer that its message is to say
}

// ownAddress lets users send as their own address, sub-addresses included.
type ownAddress struct{}

func (ownAddress) MaySend(account *directory.Account, from envelope.Address) bool {
	base, _, _ := strings.Cut(from.Local, "+")
	from.Local = base
	return strings.EqualFold(from.String(), account.Address)
}

package message

import "time"

// Limits of what a digest describes. What is beyond them is part of the message all
// the same.
const (
	MaxDepth = 100  // levels of multiparts and enclosed messages
	MaxParts = 1000 // parts; the rest of each multipart is then one opaque part

	maxField  = 256 << 10 // bytes of one header field that are looked at
	maxHeader = 1 << 20   // bytes of header fields of all parts together
)

// Digest is what is known of a message without its bytes.
type Digest struct {
	Envelope  Envelope
	Keys      Keys
	Structure *Part  // the message itself; its End is the message's size
	Preview   string // at most 200 characters of its text, one line (RFC 8970)
}

// Envelope is a header as IMAP's ENVELOPE shows it (RFC 9051 §7.5.2). Values are the
// header's bytes, unfolded and otherwise unchanged, encoded words included; nil
// stands for NIL, an empty value for a field that is there and empty. Sender and
// ReplyTo are From when the header has none.
type Envelope struct {
	Date, Subject                      []byte
	From, Sender, ReplyTo, To, Cc, Bcc []Address
	InReplyTo, MessageID               []byte
}

// Address is one of an envelope's addresses. A group begins with an address without
// Host whose Mailbox is the group's name, and ends with one that has neither.
type Address struct {
	Name    []byte // display name as written, quotes and escapes removed
	Route   []byte // source route, obsolete: "@a,@b"
	Mailbox []byte // local part, quotes and escapes removed
	Host    []byte
}

// Keys are the decoded values that sorting, threading and lists of messages need.
type Keys struct {
	Date       time.Time // Date in its own zone; zero when it cannot be read
	Subject    string    // the whole subject, decoded
	Base       string    // base subject (RFC 5256 §2.1), decoded, not folded
	Reply      bool      // the subject is a reply's or a forward's (ibid.)
	From       string    // mailbox of the first address of From, decoded: SORT FROM
	To         string    // the same of To
	Cc         string    // the same of Cc
	FromName   string    // what lists show of From (RFC 5957 §3): SORT DISPLAYFROM
	ToName     string    // the same of To
	MessageID  string    // without angle brackets; empty when there is none
	References []string  // ids of the messages this one answers, oldest first (RFC 5256 §3, REFERENCES step 1)
	Attachment bool      // a part that a reader would call an attachment
}

// Part is a body part, or the message itself, or a message enclosed in another, with
// where it stands in the message. It has everything of BODYSTRUCTURE (RFC 9051
// §7.5.2) in the form IMAP shows it: types as written, defaults filled in, a
// multipart with at least one part, continued parameters put together (an encoded
// one keeps the star at its name's end, RFC 2231 §4).
type Part struct {
	Type, Subtype     string
	Params            []Param
	ID, Description   []byte // nil when absent, as all []byte here
	Encoding          string // Content-Transfer-Encoding, "7bit" when there is none
	MD5               []byte
	Disposition       string // empty when absent
	DispositionParams []Param
	Language          []string
	Location          []byte

	Header int64 // offset of the first byte of its header
	Body   int64 // offset of the first byte after its header and the empty line
	End    int64 // offset after its last byte
	Lines  int64 // line ends from Body to End
	// Decoded is the size of the body with its transfer encoding undone, or -1 when
	// the encoding is not known or the part is a multipart.
	Decoded int64

	Parts    []*Part   // of a multipart
	Message  *Part     // of a message/rfc822 or message/global: the enclosed message
	Envelope *Envelope // and its envelope
}

// Param is a parameter of a header field; Name is as written.
type Param struct{ Name, Value string }

// Size is the size of the part's body in bytes, as encoded.
func (p *Part) Size() int64 { return p.End - p.Body }

// Multipart tells whether the part consists of Parts.
func (p *Part) Multipart() bool { return len(p.Parts) > 0 }

// At finds a part by IMAP's part numbers (RFC 9051 §6.4.5.1), nil when there is none.
// The empty path is p itself; part 1 of a message that is not a multipart is the
// message.
func (p *Part) At(path []int) *Part {
	whole := true // p is a message, and was not named by a number
	for _, n := range path {
		if !whole && p.Message != nil {
			p, whole = p.Message, true
		}
		switch {
		case n >= 1 && n <= len(p.Parts):
			p = p.Parts[n-1]
		case n != 1 || !whole || p.Multipart():
			return nil
		}
		whole = false
	}
	return p
}

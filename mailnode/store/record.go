package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// ObjectID names an object of mail for ever: a UUIDv7 in binary.
type ObjectID [16]byte

// String is the id in 32 hexadecimal digits.
func (id ObjectID) String() string { return hex.EncodeToString(id[:]) }

// Place names a mailbox in the store.
type Place struct {
	Account string
	Mailbox MailboxID
}

// Mailbox is the state of a mailbox (RFC 9051 §2.3.1, RFC 7162 §3.1.2).
type Mailbox struct {
	ID            MailboxID
	Object        ObjectID // MAILBOXID (RFC 8474), the same under a new name
	Name          string   // UTF-8, levels divided by '/'; INBOX in capitals
	Use           string   // special use (RFC 6154), as \Sent, or ""
	NoSelect      bool     // only a name above other mailboxes
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq uint64
	State         uint64   // modseq when name, use, rights or annotations last changed
	Floor         uint64   // removals up to this modseq are forgotten
	Messages      uint64   //
	Bytes         uint64   // sum of sizes
	Unseen        uint64   // messages without \Seen
	Deleted       uint64   // messages with \Deleted
	DeletedBytes  uint64   // sum of their sizes (RFC 9208 DELETED-STORAGE)
	Keywords      []string // table of keywords: the flag of Keywords[i] is bit FirstKeyword+i; "" where free

	tombs uint32 // rows that tell of removals after Floor
}

// Message is what is known of a message without its bytes.
type Message struct {
	UID      uint32    // unique within the mailbox for ever
	ModSeq   uint64    // of its last change
	ID       ObjectID  // EMAILID (RFC 8474), the same wherever the message goes
	Thread   ObjectID  // THREADID (RFC 8474)
	Flags    Flags     // see Mailbox.Keywords
	Size     int64     // bytes, lines ended by CRLF
	Prefix   int       // how many of them are header lines before the body that was digested
	Internal time.Time // internal date (RFC 9051 §2.3.3)
	Saved    time.Time // when it came into this mailbox (RFC 8514)
	Received time.Time // when this store took it
	Digest   []byte    // what Options.Digest made of the body (offsets are without Prefix), where asked for

	body   BodyID
	prefix []byte
}

// Item is what a View keeps of each message: what is needed to list, search by
// flag, size and date, and to synchronise.
type Item struct {
	UID      uint32
	Zone     int16 // of the internal date, minutes east of UTC
	Flags    Flags
	ModSeq   uint64
	Size     int64 // bytes, header lines of the account's own included
	Internal int64 // internal date, seconds since 1970
	Saved    int64 // when it came into this mailbox (RFC 8514), seconds since 1970
}

// Date is the internal date in the zone it was given in.
func (i *Item) Date() time.Time {
	return time.Unix(i.Internal, 0).In(time.FixedZone("", int(i.Zone)*60))
}

// recordVersion opens every record, so that a later form can be told apart.
const recordVersion = 2

var errRecord = errors.New("store: a record is damaged or of a newer form")

const itemRecordLen = 1 + 2 + 8 + 8 + 8 + 8 + 8

func (i *Item) encode(b []byte) {
	be := binary.BigEndian
	b[0] = recordVersion
	be.PutUint16(b[1:], uint16(i.Zone))
	be.PutUint64(b[3:], uint64(i.Flags))
	be.PutUint64(b[11:], i.ModSeq)
	be.PutUint64(b[19:], uint64(i.Size))
	be.PutUint64(b[27:], uint64(i.Internal))
	be.PutUint64(b[35:], uint64(i.Saved))
}

func decodeItem(uid uint32, b []byte) (Item, error) {
	if len(b) != itemRecordLen || b[0] != recordVersion {
		return Item{}, errRecord
	}
	be := binary.BigEndian
	return Item{
		UID:      uid,
		Zone:     int16(be.Uint16(b[1:])),
		Flags:    Flags(be.Uint64(b[3:])),
		ModSeq:   be.Uint64(b[11:]),
		Size:     int64(be.Uint64(b[19:])),
		Internal: int64(be.Uint64(b[27:])),
		Saved:    int64(be.Uint64(b[35:])),
	}, nil
}

// identity is the part of a message that never changes.
type identity struct {
	id, thread ObjectID
	body       BodyID
	size       int64 // prefix and body
	received   time.Time
	prefix     []byte
	threads    []uint64 // hashes of the Message-IDs by which its thread is found
}

func (i *identity) bodySize() int64 { return i.size - int64(len(i.prefix)) }

func (i *identity) encode() []byte {
	b := make([]byte, 0, 1+3*16+8+8+4+len(i.prefix)+8*len(i.threads))
	b = append(b, recordVersion)
	b = append(b, i.id[:]...)
	b = append(b, i.thread[:]...)
	b = append(b, i.body[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(i.size))
	b = binary.BigEndian.AppendUint64(b, uint64(i.received.UnixNano()))
	b = append(b, byte(len(i.threads)))
	for _, h := range i.threads {
		b = binary.BigEndian.AppendUint64(b, h)
	}
	return append(b, i.prefix...)
}

func decodeIdentity(b []byte) (identity, error) {
	const fixed = 1 + 3*16 + 8 + 8 + 1
	if len(b) < fixed || b[0] != recordVersion || len(b) < fixed+8*int(b[fixed-1]) {
		return identity{}, errRecord
	}
	be := binary.BigEndian
	i := identity{
		id: ObjectID(b[1:17]), thread: ObjectID(b[17:33]), body: BodyID(b[33:49]),
		size: int64(be.Uint64(b[49:])), received: time.Unix(0, int64(be.Uint64(b[57:]))),
	}
	n := int(b[fixed-1])
	b = b[fixed:]
	for range n {
		i.threads = append(i.threads, be.Uint64(b))
		b = b[8:]
	}
	i.prefix = append([]byte(nil), b...)
	if i.bodySize() < 0 {
		return identity{}, errRecord
	}
	return i, nil
}

func (m Mailbox) encode() []byte {
	b := []byte{recordVersion, 0}
	if m.NoSelect {
		b[1] = 1
	}
	b = append(b, m.Object[:]...)
	b = binary.BigEndian.AppendUint32(b, m.UIDValidity)
	b = binary.BigEndian.AppendUint32(b, m.UIDNext)
	b = binary.BigEndian.AppendUint32(b, m.tombs)
	for _, n := range []uint64{m.HighestModSeq, m.State, m.Floor, m.Messages, m.Bytes, m.Unseen, m.Deleted, m.DeletedBytes} {
		b = binary.AppendUvarint(b, n)
	}
	b = appendString(b, m.Name)
	b = appendString(b, m.Use)
	for _, word := range m.Keywords {
		b = appendString(b, word)
	}
	return b
}

func decodeMailbox(id MailboxID, b []byte) (Mailbox, error) {
	const fixed = 2 + 16 + 4 + 4 + 4
	if len(b) < fixed || b[0] != recordVersion {
		return Mailbox{}, errRecord
	}
	be := binary.BigEndian
	m := Mailbox{
		ID: id, NoSelect: b[1] == 1, Object: ObjectID(b[2:18]),
		UIDValidity: be.Uint32(b[18:]), UIDNext: be.Uint32(b[22:]), tombs: be.Uint32(b[26:]),
	}
	r := fields{b: b[fixed:]}
	for _, n := range []*uint64{&m.HighestModSeq, &m.State, &m.Floor, &m.Messages, &m.Bytes, &m.Unseen, &m.Deleted, &m.DeletedBytes} {
		*n = r.uvarint()
	}
	m.Name, m.Use = r.string(), r.string()
	for len(r.b) > 0 && !r.bad {
		m.Keywords = append(m.Keywords, r.string())
	}
	if r.bad {
		return Mailbox{}, errRecord
	}
	return m, nil
}

// holder is the record of an account.
type holder struct {
	state       uint64    // modseq of its newest change
	nextMailbox MailboxID // the next one to be made
	validity    uint32    // the newest UIDVALIDITY given
	bytes       uint64
	messages    uint64
	doomed      bool // it is being deleted
}

func (h holder) usage() Usage { return Usage{int64(h.bytes), int64(h.messages)} }

func (h holder) encode() []byte {
	b := []byte{recordVersion, 0}
	if h.doomed {
		b[1] = 1
	}
	for _, n := range []uint64{h.state, uint64(h.nextMailbox), uint64(h.validity), h.bytes, h.messages} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func decodeHolder(b []byte) (holder, error) {
	if len(b) < 2 || b[0] != recordVersion {
		return holder{}, errRecord
	}
	r := fields{b: b[2:]}
	h := holder{
		doomed: b[1] == 1, state: r.uvarint(), nextMailbox: MailboxID(r.uvarint()), validity: uint32(r.uvarint()),
		bytes: r.uvarint(), messages: r.uvarint(),
	}
	if r.bad {
		return holder{}, errRecord
	}
	return h, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// fields reads the parts of a record of varying length.
type fields struct {
	b   []byte
	bad bool
}

func (r *fields) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *fields) string() string {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

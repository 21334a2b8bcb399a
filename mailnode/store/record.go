package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// ObjectID names a message or a body for ever: a UUIDv7 in binary.
type ObjectID [16]byte

// String is the id in 32 hexadecimal digits.
func (id ObjectID) String() string { return hex.EncodeToString(id[:]) }

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
	State         uint64 // modseq when name, use, rights or annotations last changed
	Floor         uint64 // removals up to this modseq are forgotten
	Messages      uint64
	Bytes         uint64   // sum of sizes
	Unseen        uint64   // messages without \Seen
	Deleted       uint64   // messages with \Deleted
	DeletedBytes  uint64   // sum of their sizes (RFC 9208 DELETED-STORAGE)
	Keywords      []string // table of keywords: the flag of Keywords[i] is bit FirstKeyword+i; "" where free
}

// Message is what is known of a message without its bytes.
type Message struct {
	UID      uint32    // unique within the mailbox for ever
	ModSeq   uint64    // the mailbox's HIGHESTMODSEQ when the message last changed
	ID       ObjectID  // EMAILID (RFC 8474), the same wherever the message goes
	Thread   ObjectID  // THREADID (RFC 8474)
	Flags    Flags     // see Mailbox.Keywords
	Size     int64     // bytes, lines ended by CRLF
	Prefix   int       // how many of them are header lines before the body that was digested
	Internal time.Time // internal date (RFC 9051 §2.3.3)
	Saved    time.Time // when it came into this mailbox (RFC 8514)
	Received time.Time // when this store took it
	Digest   []byte    // what Options.Digest made of the body (offsets are without Prefix), where asked for
	body     ObjectID
}

// recordVersion opens every record, so that a later form can be told apart.
const recordVersion = 1

var errRecord = errors.New("store: a record is damaged or of a newer form")

func (m Mailbox) encode() []byte {
	b := []byte{recordVersion}
	b = binary.BigEndian.AppendUint32(b, m.UIDValidity)
	b = binary.BigEndian.AppendUint32(b, m.UIDNext)
	b = binary.BigEndian.AppendUint64(b, m.HighestModSeq)
	b = binary.BigEndian.AppendUint64(b, m.Messages)
	b = binary.BigEndian.AppendUint64(b, m.Bytes)
	return append(b, m.Name...)
}

func decodeMailbox(b []byte) (Mailbox, error) {
	if len(b) < 33 || b[0] != recordVersion {
		return Mailbox{}, errRecord
	}
	be := binary.BigEndian
	return Mailbox{
		UIDValidity:   be.Uint32(b[1:]),
		UIDNext:       be.Uint32(b[5:]),
		HighestModSeq: be.Uint64(b[9:]),
		Messages:      be.Uint64(b[17:]),
		Bytes:         be.Uint64(b[25:]),
		Name:          string(b[33:]),
	}, nil
}

const messageRecordLen = 1 + 16 + 16 + 8 + 8 + 8 + 8

func (m Message) encode() []byte {
	b := make([]byte, 0, messageRecordLen)
	b = append(b, recordVersion)
	b = append(b, m.ID[:]...)
	b = append(b, m.body[:]...)
	b = binary.BigEndian.AppendUint64(b, m.ModSeq)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Internal.UnixNano()))
	return binary.BigEndian.AppendUint64(b, uint64(m.Received.UnixNano()))
}

func decodeMessage(uid uint32, b []byte) (Message, error) {
	if len(b) != messageRecordLen || b[0] != recordVersion {
		return Message{}, errRecord
	}
	be := binary.BigEndian
	return Message{
		UID:      uid,
		ID:       ObjectID(b[1:17]),
		body:     ObjectID(b[17:33]),
		ModSeq:   be.Uint64(b[33:]),
		Size:     int64(be.Uint64(b[41:])),
		Internal: time.Unix(0, int64(be.Uint64(b[49:]))),
		Received: time.Unix(0, int64(be.Uint64(b[57:]))),
	}, nil
}

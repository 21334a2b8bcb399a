package queue

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
)

// The table "queue" has two kinds of rows, and holds a message's body under its id:
//
//	m id        message
//	p id part   recipients that share a destination
const (
	rowMessage = 'm'
	rowPart    = 'p'
)

// partSize is how many recipients a part has at most: as many as any server takes in one
// transaction (RFC 5321 §4.5.3.1.8).
const partSize = 100

// ref names a part.
type ref struct {
	id   [16]byte
	part uint32
}

func messageKey(id [16]byte) []byte { return append([]byte{rowMessage}, id[:]...) }

func (r ref) key() []byte {
	return binary.BigEndian.AppendUint32(append([]byte{rowPart}, r.id[:]...), r.part)
}

// String is the name of a part for operators.
func (r ref) String() string { return hex.EncodeToString(r.key()[1:]) }

func refOf(key []byte) (r ref, ok bool) {
	if len(key) != 21 || key[0] != rowPart {
		return r, false
	}
	copy(r.id[:], key[1:])
	r.part = binary.BigEndian.Uint32(key[17:])
	return r, true
}

// letter is what is kept of a message beside its body. The names of fields are those of
// version 1 of the rows.
type letter struct {
	Envelope envelope.Envelope `json:"envelope"` // without recipients
	Size     int64             `json:"size"`     // of prefix and body
	Received time.Time         `json:"received"`
	Expires  time.Time         `json:"expires"`
	Parts    int               `json:"parts"` // that there still are
	Next     uint32            `json:"next"`  // number of the next part
	prefix   []byte
	row      []byte // it was read from; nil: not known
}

// part is some recipients of a message and how far they are.
type part struct {
	Sender      string               `json:"sender"` // who takes turns with others
	Priority    envelope.Priority    `json:"priority"`
	Destination string               `json:"destination"` // domain, or local
	Origin      string               `json:"origin"`      // domain of the reverse-path
	From        string               `json:"from,omitempty"`
	Route       *outbound.Route      `json:"route,omitempty"`
	To          []envelope.Recipient `json:"to"`
	Changes     uint32               `json:"changes"` // grows with each
	Attempts    int                  `json:"attempts"`
	Next        time.Time            `json:"next"`
	Held        bool                 `json:"held,omitempty"`
	Told        bool                 `json:"told,omitempty"` // the sender knows that it takes long
	Last        *last                `json:"last,omitempty"`
	row         []byte               // it was read from, or last written as; nil: not known
}

// last is how the last attempt ended.
type last struct {
	At       time.Time `json:"at"`
	Code     int       `json:"code"`
	Enhanced string    `json:"enhanced"`
	Host     string    `json:"host"`
	Text     string    `json:"text"`
}

// local is the destination of addresses of this server.
const local = "local"

// recordVersion is the one rows are written in.
const recordVersion = 2

var errRecord = errors.New("queue: a row of the queue is damaged")

func (m *letter) encode() []byte {
	b := append(make([]byte, 0, 256+len(m.prefix)), recordVersion)
	b = putEnvelope(b, &m.Envelope)
	b = putInt(b, m.Size)
	b = putTime(b, m.Received)
	b = putTime(b, m.Expires)
	b = putInt(b, m.Parts)
	b = putInt(b, m.Next)
	return append(b, m.prefix...)
}

func decodeMessage(b []byte) (*letter, error) {
	if len(b) > 0 && b[0] == 1 {
		return decodeMessage1(b)
	}
	if len(b) < 2 || b[0] != recordVersion {
		return nil, errRecord
	}
	r := row{rest: string(b[1:])}
	m := &letter{
		Envelope: r.envelope(), Size: r.int(), Received: r.time(), Expires: r.time(),
		Parts: int(r.int()), Next: uint32(r.int()),
	}
	if r.bad {
		return nil, errRecord
	}
	m.prefix = b[len(b)-len(r.rest):]
	return m, nil
}

func decodeMessage1(b []byte) (*letter, error) {
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)-1-size) {
		return nil, errRecord
	}
	text := b[1+size:][:n]
	m := &letter{prefix: b[1+size+int(n):]}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, errors.Join(errRecord, err)
	}
	return m, nil
}

func (p *part) encode() []byte {
	b := append(make([]byte, 0, 256), recordVersion)
	b = putString(b, p.Sender)
	b = putInt(b, p.Priority)
	b = putString(b, p.Destination)
	b = putString(b, p.Origin)
	b = putString(b, p.From)
	b = putRoute(b, p.Route)
	b = putInt(b, len(p.To))
	for i := range p.To {
		b = putRecipient(b, &p.To[i])
	}
	b = putInt(b, p.Changes)
	b = putInt(b, p.Attempts)
	b = putTime(b, p.Next)
	b = putBool(b, p.Held)
	b = putBool(b, p.Told)
	return putLast(b, p.Last)
}

func decodePart(b []byte) (*part, error) {
	if len(b) > 0 && b[0] == 1 {
		p := &part{}
		if err := json.Unmarshal(b[1:], p); err != nil {
			return nil, errors.Join(errRecord, err)
		}
		return p, nil
	}
	if len(b) < 2 || b[0] != recordVersion {
		return nil, errRecord
	}
	r := row{rest: string(b[1:])}
	p := &part{
		Sender: r.string(), Priority: envelope.Priority(r.int()), Destination: r.string(), Origin: r.string(), From: r.string(), Route: r.route(),
	}
	for n := r.int(); n > 0 && !r.bad; n-- {
		p.To = append(p.To, r.recipient())
	}
	p.Changes, p.Attempts, p.Next = uint32(r.int()), int(r.int()), r.time()
	p.Held, p.Told, p.Last = r.bool(), r.bool(), r.last()
	if r.bad || r.rest != "" {
		return nil, errRecord
	}
	return p, nil
}

// again is a message as a row has it, which is mostly what was read before.
func (m *letter) again(row []byte) (*letter, error) {
	if !bytes.Equal(row, m.row) {
		return decodeMessage(row)
	}
	same := *m
	return &same, nil
}

// again is a part as a row has it, which is mostly what was read before.
func (p *part) again(row []byte) (*part, error) {
	if !bytes.Equal(row, p.row) {
		return decodePart(row)
	}
	return p.copy(), nil
}

func (p *part) copy() *part {
	same := *p
	same.To = slices.Clone(p.To)
	return &same
}

// domainOf is the domain of an address, in lower case; "" for postmaster without one.
func domainOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return ""
	}
	return strings.ToLower(address[at+1:])
}

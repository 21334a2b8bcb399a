package queue

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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

// letter is what is kept of a message beside its body.
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

const recordVersion = 1

var errRecord = errors.New("queue: a row of the queue is damaged")

func (m *letter) encode() ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	b := binary.AppendUvarint([]byte{recordVersion}, uint64(len(text)))
	return append(append(b, text...), m.prefix...), nil
}

func decodeMessage(b []byte) (*letter, error) {
	if len(b) < 2 || b[0] != recordVersion {
		return nil, errRecord
	}
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

func (p *part) encode() ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return append([]byte{recordVersion}, text...), nil
}

func decodePart(b []byte) (*part, error) {
	if len(b) < 2 || b[0] != recordVersion {
		return nil, errRecord
	}
	p := &part{}
	if err := json.Unmarshal(b[1:], p); err != nil {
		return nil, errors.Join(errRecord, err)
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

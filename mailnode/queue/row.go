package queue

import (
	"encoding/binary"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
)

// A row is a version, and then fields one after the other without names: strings and times
// behind their lengths, numbers of as few bytes as they need. What is added to a row goes to
// the end of its fields and gets a new version. In version 1 the fields were JSON, which is
// still read.

func putString[S ~string](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putInt[N ~int | ~int8 | ~int64 | ~uint8 | ~uint32](b []byte, n N) []byte {
	return binary.AppendVarint(b, int64(n))
}

func putBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func putTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	text, err := t.MarshalBinary()
	if err != nil { // its zone is none that there is
		text, _ = t.UTC().MarshalBinary()
	}
	return putString(b, string(text))
}

func putEnvelope(b []byte, e *envelope.Envelope) []byte {
	b = putString(b, e.ID)
	b = putString(b, e.From)
	b = putString(b, e.EnvID)
	b = putString(b, e.Return)
	b = putString(b, e.Body)
	b = putBool(b, e.UTF8)
	b = putBool(b, e.RequireTLS)
	b = putInt(b, e.Priority)
	b = putTime(b, e.HoldUntil)
	b = putString(b, e.Account)
	source, _ := e.Source.Address.MarshalText() // it never fails
	b = putString(b, string(source))
	b = putString(b, e.Source.Helo)
	b = putString(b, e.Held)
	return putString(b, e.Quarantine)
}

func putRoute(b []byte, r *outbound.Route) []byte {
	if r == nil {
		return append(b, 0)
	}
	b = putString(append(b, 1), r.Host)
	b = putInt(b, r.Port)
	b = putString(b, r.TLS)
	b = putString(b, r.User)
	return putString(b, r.Password)
}

func putRecipient(b []byte, r *envelope.Recipient) []byte {
	b = putString(b, r.Address)
	b = putString(b, r.Original)
	return putInt(b, r.Notify)
}

func putLast(b []byte, l *last) []byte {
	if l == nil {
		return append(b, 0)
	}
	b = putTime(append(b, 1), l.At)
	b = putInt(b, l.Code)
	b = putString(b, l.Enhanced)
	b = putString(b, l.Host)
	return putString(b, l.Text)
}

// row reads fields. The strings are parts of one.
type row struct {
	rest string
	bad  bool
}

func (r *row) string() string {
	n, size := uvarint(r.rest)
	if size <= 0 || n > uint64(len(r.rest)-size) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[size:][:n]
	r.rest = r.rest[size+int(n):]
	return s
}

// uvarint is binary.Uvarint of a string.
func uvarint(s string) (n uint64, size int) {
	var b [binary.MaxVarintLen64]byte
	return binary.Uvarint(b[:copy(b[:], s)])
}

func (r *row) int() int64 {
	u, size := uvarint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, ""
		return 0
	}
	r.rest = r.rest[size:]
	return int64(u>>1) ^ -int64(u&1)
}

func (r *row) bool() bool {
	if r.rest == "" || r.rest[0] > 1 {
		r.bad, r.rest = true, ""
		return false
	}
	v := r.rest[0] == 1
	r.rest = r.rest[1:]
	return v
}

func (r *row) time() (t time.Time) {
	if s := r.string(); s != "" && t.UnmarshalBinary([]byte(s)) != nil {
		r.bad = true
	}
	return t
}

func (r *row) envelope() (e envelope.Envelope) {
	e.ID, e.From, e.EnvID = r.string(), r.string(), r.string()
	e.Return, e.Body = envelope.Return(r.string()), envelope.Body(r.string())
	e.UTF8, e.RequireTLS = r.bool(), r.bool()
	e.Priority = envelope.Priority(r.int())
	e.HoldUntil = r.time()
	e.Account = r.string()
	if e.Source.Address.UnmarshalText([]byte(r.string())) != nil {
		r.bad = true
	}
	e.Source.Helo, e.Held, e.Quarantine = r.string(), r.string(), r.string()
	return e
}

func (r *row) route() *outbound.Route {
	if !r.bool() {
		return nil
	}
	return &outbound.Route{Host: r.string(), Port: int(r.int()), TLS: outbound.TLSMode(r.string()), User: r.string(), Password: r.string()}
}

func (r *row) recipient() envelope.Recipient {
	return envelope.Recipient{Address: r.string(), Original: r.string(), Notify: envelope.Notify(r.int())}
}

func (r *row) last() *last {
	if !r.bool() {
		return nil
	}
	return &last{At: r.time(), Code: int(r.int()), Enhanced: r.string(), Host: r.string(), Text: r.string()}
}

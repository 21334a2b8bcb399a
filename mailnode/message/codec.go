package message

import (
	"encoding/binary"
	"errors"
	"time"
)

// Encoded is a digest as a store keeps it. Its parts are decoded one by one, so that
// a list of envelopes costs only envelopes. What it returns of type []byte is a view
// of it.
//
//	byte     version
//	uvarint  lengths of envelope, keys and preview
//	envelope, keys, preview, structure
type Encoded []byte

// codecVersion opens every encoded digest. A store keeps old ones: a newer form gets
// a new number and the decoder goes on reading those before it.
const codecVersion = 1

// ErrEncoded says that a digest is damaged or of a newer form.
var ErrEncoded = errors.New("message: the digest is damaged or of a newer form")

// Encode makes the digest's stored form.
func (d *Digest) Encode() Encoded {
	var e, k, s encoder
	e.envelope(&d.Envelope)
	k.keys(&d.Keys)
	s.part(d.Structure)
	out := make(encoder, 0, 16+len(e)+len(k)+len(d.Preview)+len(s))
	out = append(out, codecVersion)
	out.uint(uint64(len(e)))
	out.uint(uint64(len(k)))
	out.uint(uint64(len(d.Preview)))
	out = append(out, e...)
	out = append(out, k...)
	out = append(out, d.Preview...)
	return Encoded(append(out, s...))
}

// sections are the stored form's parts.
func (b Encoded) sections() (envelope, keys, preview, structure []byte, err error) {
	if len(b) == 0 || b[0] != codecVersion {
		return nil, nil, nil, nil, ErrEncoded
	}
	d := decoder{b: b[1:]}
	n, m, o := d.uint(), d.uint(), d.uint()
	envelope, keys, preview = d.take(n), d.take(m), d.take(o)
	if d.bad {
		return nil, nil, nil, nil, ErrEncoded
	}
	return envelope, keys, preview, d.b, nil
}

// Envelope decodes the envelope.
func (b Encoded) Envelope() (*Envelope, error) { return new(Envelopes).Decode(b) }

// Envelopes decodes envelopes one after the other, each into the memory of the one before.
type Envelopes struct {
	envelope  Envelope
	addresses []Address
}

// Decode decodes the envelope of a digest. It is good until the next call.
func (r *Envelopes) Decode(b Encoded) (*Envelope, error) {
	section, _, _, _, err := b.sections()
	if err != nil {
		return nil, err
	}
	d := decoder{b: section, addressRoom: r.addresses[:0]}
	d.envelope(&r.envelope)
	r.addresses = d.addressRoom
	return &r.envelope, d.end()
}

// Keys decodes the keys.
func (b Encoded) Keys() (Keys, error) {
	_, section, _, _, err := b.sections()
	if err != nil {
		return Keys{}, err
	}
	d := decoder{b: section}
	k := d.keys()
	return k, d.end()
}

// Preview decodes the preview.
func (b Encoded) Preview() (string, error) {
	_, _, section, _, err := b.sections()
	return string(section), err
}

// Structure decodes the structure.
func (b Encoded) Structure() (*Part, error) {
	_, _, _, section, err := b.sections()
	if err != nil {
		return nil, err
	}
	d := decoder{b: section}
	p := d.part(0)
	return p, d.end()
}

// Digest decodes it all.
func (b Encoded) Digest() (*Digest, error) {
	e, err1 := b.Envelope()
	k, err2 := b.Keys()
	preview, err3 := b.Preview()
	s, err4 := b.Structure()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return &Digest{Envelope: *e, Keys: k, Structure: s, Preview: preview}, nil
}

type encoder []byte

func (e *encoder) uint(n uint64) { *e = binary.AppendUvarint(*e, n) }
func (e *encoder) int(n int64)   { *e = binary.AppendVarint(*e, n) }

func (e *encoder) string(s string) {
	e.uint(uint64(len(s)))
	*e = append(*e, s...)
}

// bytes writes a value that may be nil.
func (e *encoder) bytes(b []byte) {
	if b == nil {
		e.uint(0)
		return
	}
	e.uint(uint64(len(b)) + 1)
	*e = append(*e, b...)
}

func (e *encoder) bool(b bool) {
	if b {
		e.uint(1)
	} else {
		e.uint(0)
	}
}

func (e *encoder) addresses(list []Address) {
	e.uint(uint64(len(list)))
	for _, a := range list {
		e.bytes(a.Name)
		e.bytes(a.Route)
		e.bytes(a.Mailbox)
		e.bytes(a.Host)
	}
}

// same tells whether two lists are one.
func same(a, b []Address) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

func (e *encoder) envelope(v *Envelope) {
	e.bytes(v.Date)
	e.bytes(v.Subject)
	e.bytes(v.InReplyTo)
	e.bytes(v.MessageID)
	e.addresses(v.From)
	for _, list := range [][]Address{v.Sender, v.ReplyTo} {
		e.bool(same(list, v.From))
		if !same(list, v.From) {
			e.addresses(list)
		}
	}
	e.addresses(v.To)
	e.addresses(v.Cc)
	e.addresses(v.Bcc)
}

func (e *encoder) keys(k *Keys) {
	e.bool(!k.Date.IsZero())
	if !k.Date.IsZero() {
		_, offset := k.Date.Zone()
		e.int(k.Date.Unix())
		e.int(int64(offset))
	}
	for _, s := range []string{k.Subject, k.Base, k.From, k.To, k.Cc, k.FromName, k.ToName, k.MessageID} {
		e.string(s)
	}
	e.bool(k.Reply)
	e.bool(k.Attachment)
	e.uint(uint64(len(k.References)))
	for _, id := range k.References {
		e.string(id)
	}
}

func (e *encoder) params(params []Param) {
	e.uint(uint64(len(params)))
	for _, q := range params {
		e.string(q.Name)
		e.string(q.Value)
	}
}

// The kinds of parts.
const (
	leafKind = iota
	multipartKind
	messageKind
)

func (e *encoder) part(p *Part) {
	for _, s := range []string{p.Type, p.Subtype, p.Encoding, p.Disposition} {
		e.string(s)
	}
	e.params(p.Params)
	e.params(p.DispositionParams)
	for _, b := range [][]byte{p.ID, p.Description, p.MD5, p.Location} {
		e.bytes(b)
	}
	e.uint(uint64(len(p.Language)))
	for _, s := range p.Language {
		e.string(s)
	}
	for _, n := range []int64{p.Header, p.Body - p.Header, p.End - p.Body, p.Lines, p.Decoded + 1} {
		e.uint(uint64(n))
	}
	switch {
	case len(p.Parts) > 0:
		e.uint(multipartKind)
		e.uint(uint64(len(p.Parts)))
		for _, q := range p.Parts {
			e.part(q)
		}
	case p.Message != nil:
		e.uint(messageKind)
		e.envelope(p.Envelope)
		e.part(p.Message)
	default:
		e.uint(leafKind)
	}
}

// decoder takes values off its bytes. After a bad one all are zero.
type decoder struct {
	b     []byte
	bad   bool
	parts int

	addressRoom []Address // where lists of addresses are made
}

// end is an error when the bytes were bad, or too many.
func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return ErrEncoded
	}
	return nil
}

func (d *decoder) fail() {
	d.bad, d.b = true, nil
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string { return string(d.take(d.uint())) }

func (d *decoder) bytes() []byte {
	n := d.uint()
	if n == 0 {
		return nil
	}
	return d.take(n - 1)
}

func (d *decoder) bool() bool {
	n := d.uint()
	if n > 1 {
		d.fail()
	}
	return n == 1
}

// count is a number of things of at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) addresses() []Address {
	n := d.count(4)
	if n == 0 {
		return nil
	}
	if n > cap(d.addressRoom)-len(d.addressRoom) {
		d.addressRoom = make([]Address, 0, 2*n+2) // lists made before stay where they are
	}
	start := len(d.addressRoom)
	d.addressRoom = d.addressRoom[:start+n]
	list := d.addressRoom[start : start+n : start+n]
	for i := range list {
		list[i] = Address{d.bytes(), d.bytes(), d.bytes(), d.bytes()}
	}
	return list
}

func (d *decoder) envelope(v *Envelope) {
	v.Date, v.Subject, v.InReplyTo, v.MessageID = d.bytes(), d.bytes(), d.bytes(), d.bytes()
	v.From = d.addresses()
	for _, list := range []*[]Address{&v.Sender, &v.ReplyTo} {
		if *list = v.From; !d.bool() {
			*list = d.addresses()
		}
	}
	v.To, v.Cc, v.Bcc = d.addresses(), d.addresses(), d.addresses()
}

func (d *decoder) keys() (k Keys) {
	if d.bool() {
		k.Date = time.Unix(d.int(), 0).UTC()
		if offset := d.int(); offset != 0 {
			k.Date = k.Date.In(time.FixedZone("", int(offset)))
		}
	}
	for _, s := range []*string{&k.Subject, &k.Base, &k.From, &k.To, &k.Cc, &k.FromName, &k.ToName, &k.MessageID} {
		*s = d.string()
	}
	k.Reply, k.Attachment = d.bool(), d.bool()
	for range d.count(1) {
		k.References = append(k.References, d.string())
	}
	return k
}

func (d *decoder) params() (params []Param) {
	for range d.count(2) {
		params = append(params, Param{d.string(), d.string()})
	}
	return params
}

// part decodes a part. Deeper or more of them than Parse makes are damage.
func (d *decoder) part(depth int) *Part {
	p := &Part{}
	if d.parts++; depth > MaxDepth+1 || d.parts > 4*MaxParts {
		d.fail()
		return p
	}
	for _, s := range []*string{&p.Type, &p.Subtype, &p.Encoding, &p.Disposition} {
		*s = d.string()
	}
	p.Params, p.DispositionParams = d.params(), d.params()
	for _, b := range []*[]byte{&p.ID, &p.Description, &p.MD5, &p.Location} {
		*b = d.bytes()
	}
	for range d.count(1) {
		p.Language = append(p.Language, d.string())
	}
	p.Header = d.offset(0)
	p.Body = d.offset(p.Header)
	p.End = d.offset(p.Body)
	p.Lines = d.offset(0)
	p.Decoded = d.offset(0) - 1
	switch d.uint() {
	case leafKind:
	case multipartKind:
		n := d.count(1)
		if n == 0 {
			d.fail()
		}
		for range n {
			p.Parts = append(p.Parts, d.part(depth+1))
		}
	case messageKind:
		p.Envelope = &Envelope{}
		d.envelope(p.Envelope)
		p.Message = d.part(depth + 1)
	default:
		d.fail()
	}
	return p
}

// offset is a number added to base, in a message of at most 2⁴⁸ bytes.
func (d *decoder) offset(base int64) int64 {
	n := d.uint()
	if n > 1<<48 {
		d.fail()
		return base
	}
	return base + int64(n)
}

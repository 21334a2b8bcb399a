package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/cockroachdb/pebble/v2"
)

// bodyPage is how many bodies are looked at before the messages that have them are
// looked for. It bounds the memory this takes.
const bodyPage = 2 << 20

// checkedBody is what is known of a body while its messages are looked for.
type checkedBody struct {
	holding
	found  int64  // how many that have it were found
	damage string // why it cannot be served
}

// errPage ends a page of bodies.
var errPage = errors.New("the page is full")

func (v *verifier) bodies() error {
	from, last := BodyID{}, false
	for !last {
		r := bodyRun{v: v, page: map[BodyID]*checkedBody{}}
		end, err := r.read(from)
		if err != nil {
			return err
		}
		last = end == (BodyID{})
		if err := v.owners(r.page, from, end); err != nil {
			return err
		}
		from = end
	}
	v.progress("bodies", v.verdict.Bodies, v.verdict.Bodies)
	return nil
}

// bodyRun reads a page of bodies in the order of the database, in which the chunks of a
// body come before its record.
type bodyRun struct {
	v    *verifier
	page map[BodyID]*checkedBody
	id   BodyID // the body that is being read
	at   *checkedBody
	sum  hash.Hash
	next int   // chunk
	size int64 // of the chunks read
}

// read returns the id with which the next page begins, zero when this was the last.
func (r *bodyRun) read(from BodyID) (end BodyID, err error) {
	it, err := r.v.snap.NewIter(&pebble.IterOptions{LowerBound: bodyKey(from, 0), UpperBound: []byte{'b' + 1}})
	if err != nil {
		return end, err
	}
	t := tolerant{it: it}
	err = t.each(r.v.ctx, func(key, value []byte) error {
		const n = 1 + len(BodyID{})
		if len(key) <= n {
			return nil
		}
		if id := BodyID(key[1:n]); r.at == nil || id != r.id {
			if len(r.page) == bodyPage {
				end = id
				return errPage
			}
			r.begin(id)
		}
		r.take(key[n:], value)
		return nil
	}, func(_, _ []byte, cause error) {
		r.v.torn("a part of the bodies", cause)
	})
	if errors.Is(err, errPage) {
		err = nil
	}
	if closed := it.Close(); closed != nil && !pebble.IsCorruptionError(closed) { // Pebble says damage again
		err = errors.Join(err, closed)
	}
	return end, err
}

func (r *bodyRun) begin(id BodyID) {
	r.id, r.at = id, &checkedBody{damage: "the record of its body cannot be read"}
	r.page[id] = r.at
	r.sum, r.next, r.size = sha256.New(), 0, 0
	r.v.verdict.Bodies++
	if r.v.verdict.Bodies%256 == 0 {
		r.v.progress("bodies", r.v.verdict.Bodies, 0)
	}
}

// take takes up a key of the body: a chunk, or its record.
func (r *bodyRun) take(key, value []byte) {
	if key[0] == 'c' && len(key) == 5 {
		if n := int(binary.BigEndian.Uint32(key[1:])); n == r.next && len(value) > 0 {
			r.chunk(value)
		}
		return
	}
	if key[0] != 'h' {
		return
	}
	h, err := decodeHolding(value)
	if err != nil {
		return
	}
	r.at.holding = h
	switch {
	case r.size != h.size:
		r.at.damage = fmt.Sprintf("its bytes from %d on cannot be read", r.size)
	case !bytes.Equal(r.sum.Sum(nil), h.sum[:]):
		r.at.damage = "its bytes are not those that were taken in"
	default:
		r.at.damage = ""
	}
}

// chunk takes up the next chunk. One without a right checksum is of format 1 or damaged;
// the hash of the body tells.
func (r *bodyRun) chunk(value []byte) {
	if chunk, err := unseal(value, len(value)-sealSize); err == nil {
		value = chunk
	}
	_, _ = r.sum.Write(value) // it never fails
	r.size += int64(len(value))
	r.next++
}

// owners looks for the messages that have the bodies of a page, ids from (included) to
// end (excluded; zero: to the last).
func (v *verifier) owners(page map[BodyID]*checkedBody, from, end BodyID) error {
	own := func(p Place, uid uint32, id BodyID, size int64) {
		if bytes.Compare(id[:], from[:]) < 0 || end != (BodyID{}) && bytes.Compare(id[:], end[:]) >= 0 {
			return
		}
		c := page[id]
		switch {
		case c == nil:
			v.report(p, uid, true, "its body is missing")
			return
		case c.damage != "":
			v.report(p, uid, true, "%s", c.damage)
		case c.size != size:
			v.report(p, uid, true, "its body has %d bytes and should have %d", c.size, size)
		}
		c.found++
	}
	if err := v.eachIdentity(func(p Place, uid uint32, i identity) { own(p, uid, i.body, i.bodySize()) }); err != nil {
		return err
	}
	if err := v.each([]byte{'y'}, "a body that another part holds", func(_, value []byte) error {
		if h, err := decodeHeld(value); err == nil {
			own(Place{}, 0, h.ID, h.Size)
		}
		return nil
	}); err != nil {
		return err
	}
	for id, c := range page {
		if c.found != int64(c.refs) {
			v.report(Place{}, 0, false, "body %s counts %d that have it, and %d were found", id, c.refs, c.found)
		}
	}
	return nil
}

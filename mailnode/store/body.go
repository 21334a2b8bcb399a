package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// bodies keeps the bytes of messages. A body may belong to several messages; it
// stays as long as one refers to it.
type bodies interface {
	// put adds a body of exactly size bytes to b.
	put(b *pebble.Batch, r io.Reader, size int64) (ObjectID, error)
	// refer notes in b that a message has the body.
	refer(b *pebble.Batch, body ObjectID, account string, mailbox MailboxID, uid uint32) error
	// release takes a message's reference back and, when it was the last, removes
	// the body. b must be indexed.
	release(b *pebble.Batch, account string, mailbox MailboxID, m Message) error
	// open reads a body from its beginning.
	open(body ObjectID, size int64) io.Reader
}

// chunkSize is how much of a body stands under one key, and so how much memory a
// reader of a body holds.
const chunkSize = 64 << 10

// batchBodies keeps bodies in the database, written in the same batch as the
// messages that have them.
type batchBodies struct{ db *pebble.DB }

func (s batchBodies) put(b *pebble.Batch, r io.Reader, size int64) (ObjectID, error) {
	id, err := newObjectID()
	if err != nil {
		return id, err
	}
	for n := 0; size > 0; n++ {
		part := min(size, chunkSize)
		op := b.SetDeferred(len(chunkKey(id, n)), int(part))
		copy(op.Key, chunkKey(id, n))
		if _, err := io.ReadFull(r, op.Value); err != nil {
			return id, fmt.Errorf("store: reading the message: %w", err)
		}
		if err := op.Finish(); err != nil {
			return id, err
		}
		size -= part
	}
	return id, nil
}

func (s batchBodies) refer(b *pebble.Batch, body ObjectID, account string, mailbox MailboxID, uid uint32) error {
	return b.Set(refKey(body, account, mailbox, uid), nil, nil)
}

func (s batchBodies) release(b *pebble.Batch, account string, mailbox MailboxID, m Message) error {
	if err := b.Delete(refKey(m.body, account, mailbox, m.UID), nil); err != nil {
		return err
	}
	refs := bodyKey(m.body, 'r')
	it, err := b.NewIter(&pebble.IterOptions{LowerBound: refs, UpperBound: after(refs)})
	if err != nil {
		return err
	}
	used := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil || used {
		return err
	}
	for n := range chunks(m.Size) {
		if err := b.Delete(chunkKey(m.body, n), nil); err != nil {
			return err
		}
	}
	return nil
}

func (s batchBodies) open(body ObjectID, size int64) io.Reader {
	return &bodyReader{db: s.db, body: body, left: size}
}

func chunks(size int64) int { return int((size + chunkSize - 1) / chunkSize) }

// bodyReader reads a body chunk by chunk. Between two reads it holds no part of
// the database, only its own copy of one chunk: a slow reader costs no more.
type bodyReader struct {
	db   *pebble.DB
	body ObjectID
	next int    // number of the next chunk
	left int64  // bytes in chunks not yet read
	buf  []byte // room for a chunk
	rest []byte // what is not yet read of buf
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *bodyReader) load() error {
	v, closer, err := r.db.Get(chunkKey(r.body, r.next))
	if errors.Is(err, pebble.ErrNotFound) {
		return ErrDamaged
	}
	if err != nil {
		return err
	}
	r.buf = append(r.buf[:0], v...)
	if err := closer.Close(); err != nil {
		return err
	}
	if int64(len(r.buf)) != min(r.left, chunkSize) {
		return ErrDamaged
	}
	r.rest = r.buf
	r.left -= int64(len(r.buf))
	r.next++
	return nil
}

// WriteTo implements io.WriterTo, without a buffer of the caller's.
func (r *bodyReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		n, err := w.Write(r.rest)
		r.rest = r.rest[n:]
		total += int64(n)
		if err != nil || r.left == 0 {
			return total, err
		}
		if err := r.load(); err != nil {
			return total, err
		}
	}
}

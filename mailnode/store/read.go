package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// reader is the part of Pebble a record is read from: the database or a snapshot.
type reader interface {
	Get(key []byte) ([]byte, io.Closer, error)
}

// readMailbox returns a mailbox's record; ErrNoMailbox when there is none.
func readMailbox(r reader, p Place) (Mailbox, error) {
	if err := checkAccount(p.Account); err != nil {
		return Mailbox{}, err
	}
	v, closer, err := r.Get(mailboxKey(p.Account, p.Mailbox))
	if errors.Is(err, pebble.ErrNotFound) {
		return Mailbox{}, ErrNoMailbox
	}
	if err != nil {
		return Mailbox{}, err
	}
	m, err := decodeMailbox(p.Mailbox, v)
	if err != nil {
		err = fmt.Errorf("mailbox %d of account %s: %w", p.Mailbox, p.Account, err)
	}
	return m, errors.Join(err, closer.Close())
}

// Snapshot returns a mailbox and its messages in the order of their UIDs, as they are at
// one moment, without digests. The inbox of an account that never got a message is empty.
func (s *Store) Snapshot(ctx context.Context, p Place) (m Mailbox, messages []Message, err error) {
	b, err := s.Select(ctx, p)
	if errors.Is(err, ErrNoMailbox) && p.Mailbox == Inbox {
		return Mailbox{ID: Inbox, Name: "INBOX", UIDNext: 1}, nil, nil
	}
	if err != nil {
		return Mailbox{}, nil, err
	}
	defer b.Close()
	v := b.View()
	messages = make([]Message, 0, v.Len())
	for m, err := range s.messages(ctx, p, v, uidsOf(v), false) {
		if err != nil {
			return Mailbox{}, nil, err
		}
		messages = append(messages, m)
	}
	return v.Mailbox, messages, nil
}

func uidsOf(v *View) []uint32 {
	uids := make([]uint32, 0, v.Len())
	for _, i := range v.All() {
		uids = append(uids, i.UID)
	}
	return uids
}

// Messages goes through those of the messages uids (in ascending order) that are still
// there. withDigest also reads what Options.Digest made of them, made now when it was
// not kept. A Message may be kept. It fails with ErrNoMailbox as Select does.
func (s *Store) Messages(ctx context.Context, p Place, uids []uint32, withDigest bool) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		b, err := s.Select(ctx, p)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer b.Close()
		for m, err := range s.messages(ctx, p, b.View(), uids, withDigest) {
			if !yield(m, err) {
				return
			}
		}
	}
}

// MessagesOf is Messages of a View, for those who have one.
func (s *Store) MessagesOf(ctx context.Context, p Place, v *View, uids []uint32, withDigest bool) iter.Seq2[Message, error] {
	return s.messages(ctx, p, v, uids, withDigest)
}

// Digests is Messages for those who want nothing but UIDs and digests, and reads half as
// much: the other fields may be empty.
func (s *Store) Digests(ctx context.Context, p Place, uids []uint32) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for page := range slices.Chunk(uids, pageSize) {
			rows, err := s.rows(p, 'd', page)
			if err != nil {
				yield(Message{}, err)
				return
			}
			if len(rows) < len(page) || ctx.Err() != nil { // some are gone, or were never kept
				for m, err := range s.Messages(ctx, p, page, true) {
					if !yield(m, err) || err != nil {
						return
					}
				}
				continue
			}
			for _, r := range rows {
				if !yield(Message{UID: r.uid, Digest: r.value}, nil) {
					return
				}
			}
		}
	}
}

// pageSize is how many messages are read at once: between two pages nothing of the
// database is held, so that a slow reader costs no more.
const pageSize = 256

func (s *Store) messages(ctx context.Context, p Place, v *View, uids []uint32, withDigest bool) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for page := range slices.Chunk(uids, pageSize) {
			messages, err := s.page(ctx, p, v, page, withDigest)
			if err != nil {
				yield(Message{}, err)
				return
			}
			for _, m := range messages {
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

func (s *Store) page(ctx context.Context, p Place, v *View, uids []uint32, withDigest bool) (messages []Message, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rows, err := s.rows(p, 'i', uids)
	if err != nil {
		return nil, err
	}
	messages = make([]Message, 0, len(rows))
	for _, r := range rows {
		i, err := decodeIdentity(r.value)
		if err != nil {
			return nil, fmt.Errorf("message %d of mailbox %d of account %s: %w", r.uid, p.Mailbox, p.Account, err)
		}
		n, found := v.Search(r.uid)
		if !found {
			continue
		}
		messages = append(messages, message(v.At(n), &i))
	}
	if withDigest {
		err = s.addDigests(p, messages)
	}
	return messages, err
}

// message puts a message together.
func message(item *Item, i *identity) Message {
	return Message{
		UID: item.UID, ModSeq: item.ModSeq, ID: i.id, Thread: i.thread, Flags: item.Flags, Size: item.Size,
		Prefix: len(i.prefix), Internal: item.Date(), Saved: time.Unix(item.Saved, 0), Received: i.received,
		body: i.body, prefix: i.prefix,
	}
}

// row is a value of one of the tables whose keys end in a UID.
type row struct {
	uid   uint32
	value []byte
}

// rows reads those of a mailbox's rows uids that are there.
func (s *Store) rows(p Place, table byte, uids []uint32) (rows []row, err error) {
	if len(uids) == 0 {
		return nil, nil
	}
	it, err := s.newRowIter(p, table, uids[0])
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var values arena
	return it.read(make([]row, 0, len(uids)), uids, &values)
}

// rowIter goes through a mailbox's rows of one table.
type rowIter struct {
	*pebble.Iterator
	prefix int    // bytes of keys before the UID
	key    []byte // room for one
	moved  bool   // it stands at a row, or behind the last
}

// newRowIter is for rows from a UID on.
func (s *Store) newRowIter(p Place, table byte, from uint32) (*rowIter, error) {
	prefix := accountKey(p.Account, table, p.Mailbox)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: uidKey(p, table, from), UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	return &rowIter{Iterator: it, prefix: len(prefix), key: uidKey(p, table, 0)}, nil
}

func (it *rowIter) uid() uint32 { return binary.BigEndian.Uint32(it.Key()[it.prefix:]) }

// read appends those of the rows uids that are there, which come after those read before.
// Their values are in values.
func (it *rowIter) read(rows []row, uids []uint32, values *arena) ([]row, error) {
	if !it.moved {
		it.First()
		it.moved = true
	}
	ok := it.Valid()
	for _, uid := range uids {
		if ok && it.uid() < uid {
			if ok = it.Next(); ok && it.uid() < uid {
				binary.BigEndian.PutUint32(it.key[it.prefix:], uid)
				ok = it.SeekGE(it.key)
			}
		}
		if !ok {
			break
		}
		if it.uid() != uid {
			continue
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{uid, values.clone(v)})
	}
	return rows, it.Error()
}

// arena is memory for many small values.
type arena []byte

// arenaSize is how much of it is taken at once.
const arenaSize = 16 << 10

func (a *arena) clone(v []byte) []byte {
	if len(v) > cap(*a)-len(*a) {
		if len(v) > arenaSize/4 {
			return slices.Clone(v)
		}
		*a = make([]byte, 0, arenaSize)
	}
	from := len(*a)
	*a = append(*a, v...)
	return (*a)[from:len(*a):len(*a)]
}

// Body reads a message's bytes. Should the message be expunged meanwhile, or its bytes
// be found damaged, reading fails with ErrDamaged.
func (s *Store) Body(m Message) io.Reader { return s.Section(m, 0, m.Size) }

// Section reads n bytes of a message from an offset on, fewer at its end. What it
// returns also implements io.WriterTo. It fails like Body.
func (s *Store) Section(m Message, offset, n int64) io.Reader {
	offset = min(max(offset, 0), m.Size)
	n = min(max(n, 0), m.Size-offset)
	prefix := int64(len(m.prefix))
	start, end := max(offset-prefix, 0), max(offset+n-prefix, 0)
	r := s.bodies.section(m.body, m.Size-prefix, start, end-start)
	r.rest = m.prefix[min(offset, prefix):min(offset+n, prefix)]
	return r
}

// ReaderAt reads a message anywhere. It is safe for concurrent use. What it returns also
// has Section(offset, n int64) io.Reader, which is Store.Section of the message.
func (s *Store) ReaderAt(m Message) io.ReaderAt { return readerAt{s, m} }

type readerAt struct {
	s *Store
	m Message
}

// Section is Store.Section.
func (r readerAt) Section(offset, n int64) io.Reader { return r.s.Section(r.m, offset, n) }

// ReadAt implements io.ReaderAt.
func (r readerAt) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset >= r.m.Size {
		return 0, io.EOF
	}
	n, err := io.ReadFull(r.s.Section(r.m, offset, int64(len(p))), p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// MailboxUID is where a message stands in its account.
type MailboxUID struct {
	Mailbox MailboxID
	UID     uint32
}

// Email finds the mailboxes that have a message of an id (RFC 8474 EMAILID).
func (s *Store) Email(ctx context.Context, account string, id ObjectID) (places []MailboxUID, err error) {
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	snap, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	prefix := append(tableKey(account, 'o'), id[:]...)
	err = scan(snap, prefix, func(key, _ []byte) error {
		if len(key) != 8 {
			return errRecord
		}
		be := binary.BigEndian
		places = append(places, MailboxUID{MailboxID(be.Uint32(key)), be.Uint32(key[4:])})
		return nil
	})
	return places, err
}

// iterable is what can be scanned: the database, a snapshot.
type iterable interface {
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
}

// scan goes through the keys that begin with prefix, of which f gets the rest. Key
// and value are good until f returns.
func scan(from iterable, prefix []byte, f func(key, value []byte) error) (err error) {
	return scanFrom(from, prefix, prefix, f)
}

// scanFrom is scan without the keys before first.
func scanFrom(from iterable, prefix, first []byte, f func(key, value []byte) error) (err error) {
	if bytes.Compare(first, prefix) < 0 {
		first = prefix
	}
	end := after(prefix)
	if end != nil && bytes.Compare(first, end) >= 0 {
		return nil
	}
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: end})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := f(it.Key()[len(prefix):], v); err != nil {
			return err
		}
	}
	return it.Error()
}

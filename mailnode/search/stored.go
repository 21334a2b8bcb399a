package search

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

// table is the name of the index's table in the store.
const table = "texts"

// Stored is an index of a store's mailboxes, kept in the store. Its digests must be
// those of package message.
func Stored(s *store.Store) (Rows, Source) {
	return storedRows{s, s.Table(table)}, storedMessages{s}
}

type storedRows struct {
	s *store.Store
	t store.Table
}

func (r storedRows) Get(ctx context.Context, key []byte) ([]byte, error) { return r.t.Get(ctx, key) }

func (r storedRows) Scan(ctx context.Context, from, to []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range r.t.Scan(ctx, from, to) {
			if !yield(Row{row.Key, row.Value}, err) {
				return
			}
		}
	}
}

func (r storedRows) Write(ctx context.Context, changes []Row) error {
	return r.s.Update(ctx, nil, func(tx *store.Tx) error {
		for _, c := range changes {
			var err error
			if c.Value == nil {
				err = tx.Delete(r.t, c.Key)
			} else {
				err = tx.Set(r.t, c.Key, c.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type storedMessages struct{ s *store.Store }

func (m storedMessages) place(p Place) store.Place {
	return store.Place{Account: p.Account, Mailbox: store.MailboxID(p.Mailbox)}
}

func (m storedMessages) Last(ctx context.Context, p Place) (uint32, error) {
	box, err := m.s.Status(ctx, m.place(p))
	if errors.Is(err, store.ErrNoMailbox) {
		return 0, nil
	}
	if err != nil || box.UIDNext == 0 {
		return 0, err
	}
	return box.UIDNext - 1, nil
}

func (m storedMessages) UIDs(ctx context.Context, p Place) (uids []uint32, err error) {
	box, err := m.s.Select(ctx, m.place(p))
	if errors.Is(err, store.ErrNoMailbox) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer box.Close()
	view := box.View()
	uids = make([]uint32, 0, view.Len())
	for _, item := range view.All() {
		uids = append(uids, item.UID)
	}
	return uids, nil
}

// documentsAtOnce is how many messages are looked up at once.
const documentsAtOnce = 256

func (m storedMessages) Documents(ctx context.Context, p Place, uids []uint32) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		ahead := m.s.Ahead()
		defer ahead.Release()
		for some := range slices.Chunk(uids, documentsAtOnce) {
			messages := make([]store.Message, 0, len(some))
			for msg, err := range m.s.Messages(ctx, m.place(p), some, true) {
				if err != nil {
					yield(Document{}, err)
					return
				}
				messages = append(messages, msg)
			}
			for n := range messages {
				d := Document{UID: messages[n].UID}
				// What is wrong with one message is no reason to leave out the others.
				d.Prefix, d.Message, d.Err = m.open(&messages[n], ahead.Body(messages[n:]))
				if !yield(d, nil) {
					return
				}
			}
		}
	}
}

// open opens a message. body is all of it when it was read ahead, nil else.
func (m storedMessages) open(msg *store.Message, body []byte) (prefix string, opened *message.Message, err error) {
	structure, err := message.Encoded(msg.Digest).Structure()
	if err != nil {
		return "", nil, err
	}
	all := m.s.ReaderAt(*msg)
	if body != nil {
		all = bytes.NewReader(body)
	}
	head := make([]byte, msg.Prefix)
	if _, err := all.ReadAt(head, 0); err != nil && msg.Prefix > 0 && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	return string(head), message.Open(io.NewSectionReader(all, int64(msg.Prefix), msg.Size-int64(msg.Prefix)), structure), nil
}

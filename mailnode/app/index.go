package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"mailfleet/mailnode/message"
	"mailfleet/mailnode/search"
	"mailfleet/mailnode/store"
)

// indexRows is the part of the store that the full-text index keeps its rows in.
type indexRows struct {
	table store.Table
	s     *store.Store
}

func (r indexRows) Get(ctx context.Context, key []byte) ([]byte, error) { return r.table.Get(ctx, key) }

func (r indexRows) Scan(ctx context.Context, from, to []byte) iter.Seq2[search.Row, error] {
	return func(yield func(search.Row, error) bool) {
		for row, err := range r.table.Scan(ctx, from, to) {
			if !yield(search.Row(row), err) {
				return
			}
		}
	}
}

func (r indexRows) Write(ctx context.Context, changes []search.Row) error {
	return r.s.Update(ctx, nil, func(tx *store.Tx) error {
		for _, c := range changes {
			var err error
			if c.Value == nil {
				err = tx.Delete(r.table, c.Key)
			} else {
				err = tx.Set(r.table, c.Key, c.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// indexSource is the store as the full-text index reads messages from it.
type indexSource struct{ s *store.Store }

func placeOf(p search.Place) store.Place {
	return store.Place{Account: p.Account, Mailbox: store.MailboxID(p.Mailbox)}
}

func (i indexSource) Last(ctx context.Context, p search.Place) (uint32, error) {
	box, err := i.s.Status(ctx, placeOf(p))
	if errors.Is(err, store.ErrNoMailbox) {
		return 0, nil
	}
	return max(box.UIDNext, 1) - 1, err
}

func (i indexSource) UIDs(ctx context.Context, p search.Place) ([]uint32, error) {
	box, err := i.s.Select(ctx, placeOf(p))
	if errors.Is(err, store.ErrNoMailbox) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer box.Close()
	v := box.View()
	uids := make([]uint32, 0, v.Len())
	for _, m := range v.All() {
		uids = append(uids, m.UID)
	}
	return uids, nil
}

// documentsAtOnce is how many messages are looked up at once.
const documentsAtOnce = 256

func (i indexSource) Documents(ctx context.Context, p search.Place, uids []uint32) iter.Seq2[search.Document, error] {
	return func(yield func(search.Document, error) bool) {
		ahead := i.s.Ahead()
		defer ahead.Release()
		for some := range slices.Chunk(uids, documentsAtOnce) {
			messages := make([]store.Message, 0, len(some))
			for m, err := range i.s.Messages(ctx, placeOf(p), some, true) {
				if err != nil {
					yield(search.Document{}, err)
					return
				}
				messages = append(messages, m)
			}
			for n := range messages {
				d, err := i.document(&messages[n], ahead.Body(messages[n:]))
				if !yield(d, err) || err != nil {
					return
				}
			}
		}
	}
}

// document is a message to be indexed. body is all of it when it was read ahead, nil else.
func (i indexSource) document(m *store.Message, body []byte) (search.Document, error) {
	structure, err := message.Encoded(m.Digest).Structure()
	if err != nil {
		return search.Document{}, err
	}
	all := i.s.ReaderAt(*m)
	if body != nil {
		all = bytes.NewReader(body)
	}
	prefix := make([]byte, m.Prefix)
	if _, err := all.ReadAt(prefix, 0); err != nil && m.Prefix > 0 && !errors.Is(err, io.EOF) {
		return search.Document{}, err
	}
	itself := io.NewSectionReader(all, int64(m.Prefix), m.Size-int64(m.Prefix))
	return search.Document{UID: m.UID, Prefix: string(prefix), Message: message.Open(itself, structure)}, nil
}

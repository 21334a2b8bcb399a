package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// Snapshot returns a mailbox and its messages in the order of their UIDs, as they
// are at one moment. A mailbox that never got a message is empty.
func (s *Store) Snapshot(ctx context.Context, p Place) (box Mailbox, messages []Message, err error) {
	account, mailbox := p.Account, p.Mailbox
	if err := checkAccount(account); err != nil {
		return Mailbox{}, nil, err
	}
	snap, err := s.view(ctx)
	if err != nil {
		return Mailbox{}, nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	if box, err = readMailbox(snap, account, mailbox); err != nil {
		return Mailbox{}, nil, err
	}
	messages, err = readMessages(ctx, snap, account, mailbox, int(box.Messages))
	return box, messages, err
}

func readMessages(ctx context.Context, snap *pebble.Snapshot, account string, mailbox MailboxID, count int) (messages []Message, err error) {
	prefix := accountKey(account, 'm', mailbox)
	it, err := snap.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	messages = make([]Message, 0, min(count, 1<<16))
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		m, err := decodeMessage(binary.BigEndian.Uint32(it.Key()[len(prefix):]), v)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	if len(messages) != count {
		return nil, fmt.Errorf("%w: the mailbox counts %d messages and has %d", ErrDamaged, count, len(messages))
	}
	return messages, nil
}

// Body reads a message's bytes. Should the message be expunged meanwhile, reading
// fails with ErrDamaged.
func (s *Store) Body(m Message) io.Reader { return s.bodies.open(m.body, m.Size) }

// reader is the part of Pebble a record is read from: the database, a snapshot or
// an indexed batch.
type reader interface {
	Get(key []byte) ([]byte, io.Closer, error)
}

// readMailbox returns a mailbox's record; one that is not there yet is empty.
func readMailbox(r reader, account string, mailbox MailboxID) (Mailbox, error) {
	v, closer, err := r.Get(mailboxKey(account, mailbox))
	if errors.Is(err, pebble.ErrNotFound) {
		return Mailbox{Name: "INBOX", UIDNext: 1}, nil
	}
	if err != nil {
		return Mailbox{}, err
	}
	box, err := decodeMailbox(v)
	return box, errors.Join(err, closer.Close())
}

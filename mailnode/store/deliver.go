package store

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// Delivery is a message for the inboxes of one or more accounts.
type Delivery struct {
	Accounts []string  // account ids, for their inboxes; one named twice gets one copy
	Places   []Place   // further mailboxes
	Body     io.Reader // the message, lines ended by CRLF
	Size     int64     // its exact length in bytes
	// Prefix is header lines that are put before the body, ended by CRLF. Bodies that are
	// equal without it are kept once.
	Prefix []byte
	// Prefixes are used instead for the accounts in it.
	Prefixes map[string][]byte
	Flags    Flags // system flags
	Keywords []string
	Internal time.Time // internal date; now when zero
	Replaces Replaced  // a message to remove in the same change (RFC 8508)
	Counts   []Count   // to add to the ledger in the same change
}

// Replaced is a message that another takes the place of; the zero value is none. When
// it is gone, the change fails with ErrNoMessage.
type Replaced struct {
	Place
	UID uint32
}

// Receipt says where a copy of a message went.
type Receipt struct {
	Place
	UIDValidity uint32
	UID         uint32
	ID          ObjectID
	ModSeq      uint64
}

// Deliver puts a message into the inboxes of all its accounts, or none of them. When
// it returns without error the message is durable. It fails with ErrFull when
// the disk has too little room; the store goes on and takes messages again when
// there is room.
func (s *Store) Deliver(ctx context.Context, d Delivery) ([]Receipt, error) {
	accounts := slices.Compact(slices.Sorted(slices.Values(d.Accounts)))
	if len(accounts) == 0 {
		return nil, errors.New("store: a delivery to nobody")
	}
	for _, account := range accounts {
		if err := checkAccount(account); err != nil {
			return nil, err
		}
	}
	if err := s.Room(d.Size); err != nil {
		return nil, err
	}
	weight := min(max(d.Size, 1), batchBudget)
	if err := s.budget.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	defer s.budget.Release(weight)

	b := s.db.NewBatch()
	body, err := s.bodies.put(b, d.Body, d.Size)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	receipts := make([]Receipt, 0, len(accounts))
	err = s.commit(delivered, b, func() error {
		for _, account := range accounts {
			r, err := s.file(b, account, body, d.Size)
			if err != nil {
				return err
			}
			receipts = append(receipts, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

// Room fails with ErrFull when a message of size bytes would not be taken now.
func (s *Store) Room(size int64) error { return s.space.room(size) }

// Reserve changes the free disk space below which nothing is taken in.
func (s *Store) Reserve(bytes int64) { s.space.reserve.Store(bytes) }

// file adds the body to an account's inbox as its next message.
func (s *Store) file(b *pebble.Batch, account string, body ObjectID, size int64) (Receipt, error) {
	box, err := readMailbox(s.db, account, Inbox)
	if err != nil {
		return Receipt{}, err
	}
	at := now()
	if box.UIDValidity == 0 {
		box.UIDValidity = uint32(at.Unix())
	}
	if box.UIDNext == math.MaxUint32 {
		return Receipt{}, ErrExhausted
	}
	id, err := newObjectID()
	if err != nil {
		return Receipt{}, err
	}
	m := Message{
		UID: box.UIDNext, ModSeq: box.HighestModSeq + 1, ID: id, Size: size,
		Internal: at, Received: at, body: body,
	}
	box.UIDNext++
	box.HighestModSeq++
	box.Messages++
	box.Bytes += uint64(size)
	return Receipt{Place: Place{account, Inbox}, UIDValidity: box.UIDValidity, UID: m.UID, ID: id, ModSeq: m.ModSeq}, errors.Join(
		s.bodies.refer(b, body, account, Inbox, m.UID),
		b.Set(messageKey(account, Inbox, m.UID), m.encode(), nil),
		b.Set(mailboxKey(account, Inbox), box.encode(), nil),
	)
}

func newObjectID() (ObjectID, error) {
	id, err := uuid.NewV7()
	return ObjectID(id), err
}

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Delivery is a message for one or more mailboxes.
type Delivery struct {
	Accounts []string  // account ids, for their inboxes; one named twice gets one copy
	Places   []Place   // further mailboxes
	Body     io.Reader // the message, lines ended by CRLF
	Size     int64     // its exact length in bytes
	// Prefix is header lines that are put before the body, ended by CRLF. Bodies that
	// are equal without it are kept once.
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

// maxPrefix is how long the header lines of an account's own may be.
const maxPrefix = 64 << 10

// check returns the mailboxes of a delivery, inboxes first.
func (d *Delivery) check() ([]Place, error) {
	places := make([]Place, 0, len(d.Accounts)+len(d.Places))
	for _, account := range slices.Compact(slices.Sorted(slices.Values(d.Accounts))) {
		places = append(places, Place{account, Inbox})
	}
	places = append(places, d.Places...)
	if len(places) == 0 {
		return nil, errors.New("store: a delivery to nobody")
	}
	for _, p := range places {
		if err := checkAccount(p.Account); err != nil {
			return nil, err
		}
		if len(d.prefix(p.Account)) > maxPrefix {
			return nil, fmt.Errorf("store: the header lines before a message have more than %d bytes", maxPrefix)
		}
	}
	return places, nil
}

func (d *Delivery) prefix(account string) []byte {
	if prefix, ok := d.Prefixes[account]; ok {
		return prefix
	}
	return d.Prefix
}

// Deliver puts a message into all its mailboxes, or none of them. When it returns
// without error the message is durable. It fails with ErrFull when the disk has too
// little room, and with ErrQuota; the store goes on and takes messages again when there
// is room.
func (s *Store) Deliver(ctx context.Context, d Delivery) ([]Receipt, error) {
	return s.Append(ctx, d)
}

// Append puts messages into mailboxes, all or none, in the order given. When it returns
// without error they are durable. The bodies are read to their ends before; none of them
// may come from a slow peer, who would keep others waiting. There is one receipt for each
// account (sorted) and place of each delivery, in that order.
func (s *Store) Append(ctx context.Context, deliveries ...Delivery) (receipts []Receipt, err error) {
	var total int64
	for i := range deliveries {
		places, err := deliveries[i].check()
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			if err := s.CanTake(p.Account, 1, deliveries[i].Size+int64(len(deliveries[i].prefix(p.Account)))); err != nil {
				return nil, err
			}
		}
		total += deliveries[i].Size
	}
	give, err := s.take(ctx, total)
	if err != nil {
		return nil, err
	}
	defer give()
	bodies := make([]*Staged, len(deliveries))
	defer func() {
		for _, b := range bodies {
			if b != nil {
				b.Close()
			}
		}
	}()
	for i, d := range deliveries {
		if bodies[i], err = s.stage(d.Body, d.Size); err != nil {
			return nil, err
		}
	}
	err = s.bring(delivered, bodies, func(tx *Tx) error {
		for i := range deliveries {
			r, err := tx.File(deliveries[i], bodies[i])
			if err != nil {
				return err
			}
			receipts = append(receipts, r...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

// bring is commit for a change that brings bodies.
func (s *Store) bring(k kind, bodies []*Staged, fill func(tx *Tx) error) error {
	b := s.db.NewBatch()
	var fresh []*Staged
	for _, body := range bodies {
		if body != nil && body.known == (BodyID{}) {
			fresh = append(fresh, body)
		}
	}
	if len(fresh) == 1 { // no need to copy
		b, fresh[0].b = fresh[0].b, b
	} else {
		for _, body := range fresh {
			if err := b.Apply(body.b, nil); err != nil {
				return errors.Join(err, b.Close())
			}
		}
	}
	return s.commit(k, b, func(tx *Tx) error {
		for _, body := range fresh {
			tx.staged = append(tx.staged, chunked{body.id, uint32(chunks(body.size))})
			tx.bodies[body.id] = &bodyTx{holding: holding{sum: body.sum, size: body.size}}
		}
		if err := fill(tx); err != nil {
			return err
		}
		for _, body := range fresh {
			if err := tx.register(body); err != nil {
				return err
			}
		}
		return nil
	})
}

// register makes a new body findable by its hash.
func (tx *Tx) register(body *Staged) error {
	if tx.bodies[body.id].refs == 0 || body.size == 0 { // nobody took it, or nothing is to be saved
		return nil
	}
	return tx.index(sumKey(body.sum), body.id[:])
}

// settle returns the id under which a staged body is or will be in the database.
func (tx *Tx) settle(body *Staged) (BodyID, error) {
	if body.known == (BodyID{}) {
		return body.id, nil
	}
	if _, err := tx.body(body.known); err == nil {
		return body.known, nil
	} else if !errors.Is(err, ErrDamaged) {
		return BodyID{}, err
	}
	// The equal body has gone since it was found: this one is written after all.
	body.known = BodyID{}
	tx.bodies[body.id] = &bodyTx{holding: holding{sum: body.sum, size: body.size}}
	return body.id, errors.Join(tx.b.Apply(body.b, nil), tx.index(sumKey(body.sum), body.id[:]))
}

// File puts a staged body (d.Body and d.Size are not looked at) into mailboxes.
func (tx *Tx) File(d Delivery, body *Staged) ([]Receipt, error) {
	id, err := tx.settle(body)
	if err != nil {
		return nil, err
	}
	return tx.file(d, id, body.size, body.digest)
}

// file puts a body into the mailboxes of a delivery.
func (tx *Tx) file(d Delivery, id BodyID, size int64, digest Digest) ([]Receipt, error) {
	places, err := d.check()
	if err != nil {
		return nil, err
	}
	receipts := make([]Receipt, 0, len(places))
	hashes := threadHashes(digest.Thread)
	for _, p := range places {
		if _, err := tx.open(p.Account); err != nil {
			return nil, err
		}
		m, err := tx.folder(p)
		if err != nil {
			return nil, err
		}
		prefix := d.prefix(p.Account)
		i := identity{body: id, size: size + int64(len(prefix)), received: tx.at, prefix: prefix, threads: hashes}
		if i.id, err = newObjectID(); err != nil {
			return nil, err
		}
		if i.thread, err = tx.findThread(p.Account, i.id, hashes); err != nil {
			return nil, err
		}
		flags, err := tx.flags(m, d.Flags, d.Keywords)
		if err != nil {
			return nil, err
		}
		date := d.Internal
		if date.IsZero() {
			date = tx.at
		}
		_, offset := date.Zone()
		item := Item{Zone: int16(offset / 60), Flags: flags, Size: i.size, Internal: date.Unix(), Saved: tx.at.Unix()}
		if err := tx.put(m, &item, &i, digest.Data); err != nil {
			return nil, err
		}
		receipts = append(receipts, Receipt{Place: p, UIDValidity: m.UIDValidity, UID: item.UID, ID: i.id, ModSeq: item.ModSeq})
	}
	if d.Replaces.UID != 0 {
		if err := tx.replace(d.Replaces); err != nil {
			return nil, err
		}
	}
	return receipts, tx.Count(d.Counts...)
}

// put adds a message to a mailbox as its next one.
func (tx *Tx) put(m *boxTx, item *Item, i *identity, digest []byte) error {
	if m.UIDNext == math.MaxUint32 {
		return ErrExhausted
	}
	item.UID, item.ModSeq = m.UIDNext, m.touch()
	m.UIDNext++
	m.weigh(item, 1)
	m.added = append(m.added, *item)
	if err := errors.Join(tx.refer(i.body), tx.hang(m.place.Account, i.thread, i.threads), tx.setItem(m.place, item)); err != nil {
		return err
	}
	if err := tx.b.Set(uidKey(m.place, 'i', item.UID), i.encode(), nil); err != nil {
		return err
	}
	if len(digest) > 0 {
		if err := tx.b.Set(uidKey(m.place, 'd', item.UID), digest, nil); err != nil {
			return err
		}
	}
	tx.tellUID(m, MessagesAdded, item.UID)
	return tx.b.Set(emailKey(m.place, i.id, item.UID), nil, nil)
}

// setItem writes the changing part of a message.
func (tx *Tx) setItem(p Place, item *Item) error {
	key := uidKey(p, 'm', item.UID)
	op := tx.b.SetDeferred(len(key), itemRecordLen)
	copy(op.Key, key)
	item.encode(op.Value)
	return op.Finish()
}

// tellUID adds a message to the event of its mailbox and kind.
func (tx *Tx) tellUID(m *boxTx, k EventKind, uid uint32) {
	if n := len(tx.events) - 1; n >= 0 {
		if e := &tx.events[n]; e.account == m.place.Account && e.event.Kind == k && e.event.Mailbox == m.ID {
			e.event.UIDs = append(e.event.UIDs, uid)
			return
		}
	}
	tx.tell(m.place.Account, Event{Kind: k, Mailbox: m.ID, UIDs: []uint32{uid}, ModSeq: m.HighestModSeq})
}

// findThread returns the thread a message belongs to, one of its own when none is known.
func (tx *Tx) findThread(account string, id ObjectID, hashes []uint64) (ObjectID, error) {
	for _, hash := range hashes {
		t, err := tx.thread(account, hash)
		if err != nil {
			return ObjectID{}, err
		}
		if t.refs > 0 {
			return t.id, nil
		}
	}
	return id, nil
}

// Room fails with ErrFull when a message of size bytes would not be taken now.
func (s *Store) Room(size int64) error { return s.space.room(size) }

// Reserve changes the free disk space below which nothing is taken in.
func (s *Store) Reserve(bytes int64) { s.space.reserve.Store(bytes) }

func newObjectID() (ObjectID, error) {
	id, err := uuid.NewV7()
	return ObjectID(id), err
}

package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Tx is a change being put together. It is good until the function it was given to
// returns; that function must be quick and must not call the Store.
//
// What a change reads of an account, a mailbox or a body it keeps here, alters here, and
// writes at its end, so that it sees its own alterations.
type Tx struct {
	s      *Store
	at     time.Time
	b      *pebble.Batch
	mark   int       // where the chunks of bodies end in b and other writes begin
	chunks uint32    // how many chunks there are
	staged []chunked // whose they are

	accounts map[string]*accountTx
	boxes    map[Place]*boxTx
	bodies   map[BodyID]*bodyTx
	threads  map[string]*threadTx // by key
	counts   map[string]int64     // what is added
	totals   map[string]int64     // what that comes to; set at the end
	events   []addressed
}

type accountTx struct {
	id     string
	rec    holder
	was    holder // before the change
	found  bool
	modseq uint64 // of this change, 0 before it has one
}

type boxTx struct {
	place   Place
	account *accountTx
	Mailbox
	dirty   bool
	made    bool // by this change
	removed bool
	cache   *box // the loaded mailbox, nil when it is not
	delta
}

type bodyTx struct {
	holding
}

type threadTx struct {
	id   ObjectID
	refs uint32
}

func (s *Store) newTx(b *pebble.Batch) *Tx {
	return &Tx{
		s: s, at: now(), b: b, mark: max(b.Len(), batchHead), chunks: b.Count(),
		accounts: map[string]*accountTx{}, boxes: map[Place]*boxTx{}, bodies: map[BodyID]*bodyTx{},
	}
}

// read decodes the value of a key in the database. found tells whether there is one.
func (s *Store) read(key []byte, decode func(v []byte) error) (found bool, err error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(decode(v), closer.Close())
}

// account returns an account; found is false when there is none.
func (tx *Tx) account(id string) (*accountTx, error) {
	if a := tx.accounts[id]; a != nil {
		return a, nil
	}
	if err := checkAccount(id); err != nil {
		return nil, err
	}
	a := &accountTx{id: id}
	if a.rec, a.found = tx.s.recent.accounts[id]; !a.found {
		var err error
		a.found, err = tx.s.read(tableKey(id, 'a'), func(v []byte) (err error) {
			a.rec, err = decodeHolder(v)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if a.rec.doomed {
		return nil, ErrNoAccount
	}
	a.was = a.rec
	tx.accounts[id] = a
	return a, nil
}

// open returns an account and makes it when there is none.
func (tx *Tx) open(id string) (*accountTx, error) {
	a, err := tx.account(id)
	if err != nil || a.found {
		return a, err
	}
	a.found = true
	a.rec.nextMailbox = Inbox
	names := slices.Sorted(maps.Keys(tx.s.defaults))
	for _, name := range append([]string{"INBOX"}, names...) {
		if _, err := tx.makeBox(a, name, tx.s.defaults[name]); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// next is the modseq of this change in an account.
func (a *accountTx) next() uint64 {
	if a.modseq == 0 {
		a.rec.state++
		a.modseq = a.rec.state
	}
	return a.modseq
}

// makeBox makes a mailbox whose name was checked.
func (tx *Tx) makeBox(a *accountTx, name, use string) (*boxTx, error) {
	object, err := newObjectID()
	if err != nil {
		return nil, err
	}
	if a.rec.nextMailbox == math.MaxUint32 {
		return nil, ErrTooMany
	}
	m := &boxTx{account: a, dirty: true, made: true, Mailbox: Mailbox{
		ID: a.rec.nextMailbox, Object: object, Name: name, Use: use, UIDValidity: tx.validity(a), UIDNext: 1,
		HighestModSeq: a.rec.state, State: a.rec.state, Floor: a.rec.state,
	}}
	m.place = Place{a.id, m.ID}
	a.rec.nextMailbox++
	tx.boxes[m.place] = m
	return m, nil
}

// validity is a UIDVALIDITY that no mailbox of the account ever had.
func (tx *Tx) validity(a *accountTx) uint32 {
	a.rec.validity = max(a.rec.validity+1, uint32(tx.at.Unix()))
	return a.rec.validity
}

// box returns a mailbox; ErrNoMailbox when it is not there.
func (tx *Tx) box(p Place) (*boxTx, error) {
	if m := tx.boxes[p]; m != nil {
		if m.removed {
			return nil, ErrNoMailbox
		}
		return m, nil
	}
	a, err := tx.account(p.Account)
	if err != nil {
		return nil, err
	}
	m := &boxTx{place: p, account: a, cache: tx.s.boxes[p]}
	var found bool
	if m.Mailbox, found = tx.s.recent.boxes[p]; !found {
		found, err = tx.s.read(mailboxKey(p.Account, p.Mailbox), func(v []byte) (err error) {
			m.Mailbox, err = decodeMailbox(p.Mailbox, v)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrNoMailbox
	}
	tx.boxes[p] = m
	return m, nil
}

// folder is box for what can hold messages.
func (tx *Tx) folder(p Place) (*boxTx, error) {
	m, err := tx.box(p)
	if err == nil && m.NoSelect {
		return nil, ErrNoMailbox
	}
	return m, err
}

// touch gives a mailbox the modseq of this change.
func (m *boxTx) touch() uint64 {
	m.dirty = true
	m.HighestModSeq = m.account.next()
	return m.HighestModSeq
}

// weigh adds a message to a mailbox's and its account's counts, or takes it off (sign -1).
func (m *boxTx) weigh(i *Item, sign int64) {
	n, size := uint64(sign), uint64(sign*i.Size)
	m.Messages += n
	m.Bytes += size
	m.account.rec.messages += n
	m.account.rec.bytes += size
	m.mark(i, sign)
}

// mark is weigh for what depends on flags.
func (m *boxTx) mark(i *Item, sign int64) {
	if !i.Flags.Has(Seen) {
		m.Unseen += uint64(sign)
	}
	if i.Flags.Has(Deleted) {
		m.Deleted += uint64(sign)
		m.DeletedBytes += uint64(sign * i.Size)
	}
}

// item returns a message of a mailbox.
func (tx *Tx) item(m *boxTx, uid uint32) (i Item, found bool, err error) {
	if v := m.cache.current(); v != nil {
		if n, ok := v.Search(uid); ok {
			return *v.At(n), true, nil
		}
		return i, false, nil
	}
	found, err = tx.s.read(uidKey(m.place, 'm', uid), func(v []byte) (err error) {
		i, err = decodeItem(uid, v)
		return err
	})
	return i, found, err
}

func (tx *Tx) identity(p Place, uid uint32) (i identity, err error) {
	found, err := tx.s.read(uidKey(p, 'i', uid), func(v []byte) (err error) {
		i, err = decodeIdentity(v)
		return err
	})
	if err == nil && !found {
		err = tx.unidentified(p, uid)
	}
	return i, err
}

func (tx *Tx) unidentified(p Place, uid uint32) error {
	return fmt.Errorf("%w: message %d of mailbox %d of account %s has no identity", ErrDamaged, uid, p.Mailbox, p.Account)
}

// body returns the record of a body.
func (tx *Tx) body(id BodyID) (*bodyTx, error) {
	if h := tx.bodies[id]; h != nil {
		return h, nil
	}
	h := &bodyTx{}
	found, err := tx.s.read(bodyKey(id, 'h'), func(v []byte) (err error) {
		h.holding, err = decodeHolding(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: body %s has no record", ErrDamaged, id)
	}
	tx.bodies[id] = h
	return h, nil
}

// refer counts another that has a body.
func (tx *Tx) refer(id BodyID) error {
	h, err := tx.body(id)
	if err == nil {
		h.refs++
	}
	return err
}

// release counts one less that has a body. A body without a record is passed over,
// so that what is damaged can be removed.
func (tx *Tx) release(id BodyID) error {
	h, err := tx.body(id)
	if errors.Is(err, ErrDamaged) {
		return nil
	}
	if err == nil && h.refs > 0 {
		h.refs--
	}
	return err
}

// thread returns how a Message-ID of an account is known.
func (tx *Tx) thread(account string, hash uint64) (*threadTx, error) {
	key := threadKey(account, hash)
	if t := tx.threads[string(key)]; t != nil {
		return t, nil
	}
	t := &threadTx{}
	if !tx.s.absent.sure(key) {
		if _, err := tx.s.read(key, func(v []byte) error {
			if len(v) != len(t.id)+4 {
				return errRecord
			}
			t.id, t.refs = ObjectID(v), binary.BigEndian.Uint32(v[len(t.id):])
			return nil
		}); err != nil {
			return nil, err
		}
	}
	if tx.threads == nil {
		tx.threads = map[string]*threadTx{}
	}
	tx.threads[string(key)] = t
	return t, nil
}

// hang notes that a message of a thread is found by Message-IDs; unhang takes it back.
func (tx *Tx) hang(account string, id ObjectID, hashes []uint64) error {
	for _, hash := range hashes {
		t, err := tx.thread(account, hash)
		if err != nil {
			return err
		}
		if t.refs == 0 {
			t.id = id
		}
		t.refs++
	}
	return nil
}

func (tx *Tx) unhang(account string, hashes []uint64) error {
	for _, hash := range hashes {
		t, err := tx.thread(account, hash)
		if err != nil {
			return err
		}
		if t.refs > 0 {
			t.refs--
		}
	}
	return nil
}

// index writes a key of those that are looked for without being there, as a rule.
func (tx *Tx) index(key, value []byte) error {
	tx.s.absent.note(key)
	return tx.b.Set(key, value, nil)
}

func (tx *Tx) tell(account string, e Event) {
	tx.events = append(tx.events, addressed{account, e})
}

// finish writes what was altered, in an order that does not depend on chance.
func (tx *Tx) finish() error {
	for _, p := range slices.SortedFunc(maps.Keys(tx.boxes), func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Mailbox, b.Mailbox))
	}) {
		if m := tx.boxes[p]; m.dirty && !m.removed {
			if err := tx.b.Set(mailboxKey(p.Account, p.Mailbox), m.encode(), nil); err != nil {
				return err
			}
		}
	}
	if err := tx.finishAccounts(); err != nil {
		return err
	}
	if err := tx.finishBodies(); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(tx.threads)) {
		t := tx.threads[key]
		if t.refs == 0 {
			if err := tx.b.Delete([]byte(key), nil); err != nil {
				return err
			}
			continue
		}
		if err := tx.index([]byte(key), binary.BigEndian.AppendUint32(t.id[:], t.refs)); err != nil {
			return err
		}
	}
	return tx.finishCounts()
}

func (tx *Tx) finishAccounts() error {
	for _, id := range slices.Sorted(maps.Keys(tx.accounts)) {
		a := tx.accounts[id]
		if a.rec == a.was {
			continue
		}
		if err := tx.s.allow(id, a.was.usage(), a.rec.usage()); err != nil {
			return err
		}
		if err := tx.b.Set(tableKey(id, 'a'), a.rec.encode(), nil); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) finishBodies() error {
	for _, id := range slices.SortedFunc(maps.Keys(tx.bodies), func(a, b BodyID) int { return bytes.Compare(a[:], b[:]) }) {
		h := tx.bodies[id]
		if h.refs > 0 {
			if err := tx.b.Set(bodyKey(id, 'h'), h.encode(), nil); err != nil {
				return err
			}
			continue
		}
		if err := errors.Join(tx.b.Delete(bodyKey(id, 'h'), nil), tx.s.bodies.drop(tx.b, id, h.size)); err != nil {
			return err
		}
		// The hash may by now stand for another body.
		if known, err := tx.s.equalBody(h.sum, h.size); err != nil {
			return err
		} else if known == id {
			if err := tx.b.Delete(sumKey(h.sum), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// views are the mailboxes of this change as readers will see them.
func (tx *Tx) views() []fresh {
	var list []fresh
	for _, m := range tx.boxes {
		if m.cache == nil || !m.dirty && !m.removed {
			continue
		}
		if v := m.cache.alter(tx.s, m); v != nil || m.removed {
			list = append(list, fresh{m.cache, v})
		}
	}
	return list
}

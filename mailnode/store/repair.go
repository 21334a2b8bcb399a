package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// lostName is the directory in a store's that gets what repair takes out of it.
const lostName = "lost+found"

// Repair makes the store in dir, which nobody has open, whole again. A database with
// files that cannot be read is copied, without what is in them, and kept beside as
// db.damaged-<time>. Messages that cannot be served are removed after what can be read of
// them was copied to lost+found; what was taken in and belongs to nobody goes there too.
// All counts and indexes are made anew. It returns what is still wrong, which should be
// nothing.
func Repair(ctx context.Context, dir string, opts Options, c Check) (after Verdict, err error) {
	s, before, unreadable, err := inspect(ctx, dir, opts, c)
	if err != nil || before.Torn {
		if s != nil {
			if closed := s.Close(); closed != nil && !pebble.IsCorruptionError(closed) {
				return before, closed
			}
		}
		if err := salvage(ctx, dir, opts, c); err != nil {
			return before, fmt.Errorf("copying what can be read: %w", err)
		}
		if s, before, unreadable, err = inspect(ctx, dir, opts, c); err != nil {
			return before, err
		}
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if before.Problems == 0 {
		return before, nil
	}
	if err := s.mend(ctx, unreadable, c); err != nil {
		return before, err
	}
	return s.Verify(ctx, c)
}

// inspect opens a store and lists the messages that cannot be served.
func inspect(ctx context.Context, dir string, opts Options, c Check) (*Store, Verdict, map[Place][]uint32, error) {
	s, err := Open(dir, opts)
	if err != nil {
		return nil, Verdict{}, nil, err
	}
	unreadable := map[Place][]uint32{}
	verdict, err := s.Verify(ctx, Check{Progress: c.Progress, Problem: func(p Problem) {
		if p.Unreadable {
			unreadable[p.Place] = append(unreadable[p.Place], p.UID)
		}
		c.Problem(p)
	}})
	return s, verdict, unreadable, err
}

// salvage copies what can be read of a database into a new one, which takes its place.
func salvage(ctx context.Context, dir string, opts Options, c Check) error {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	files, old, fresh := opts.FS, opts.FS.PathJoin(dir, "db"), opts.FS.PathJoin(dir, "db.new")
	if err := files.RemoveAll(fresh); err != nil {
		return err
	}
	quiet := &Store{log: discard, space: newSpace(files, dir, 0), failed: make(chan struct{})}
	opts.memTable = memTableSize
	to, err := pebble.Open(fresh, quiet.pebbleOptions(opts, false))
	if err != nil {
		return err
	}
	opts.readOnly = true
	from, err := pebble.Open(old, quiet.pebbleOptions(opts, true))
	if err != nil {
		return errors.Join(err, to.Close())
	}
	id, err := readIdentity(files, dir)
	if err == nil {
		err = copyReadable(ctx, from, to, id, c)
	}
	if closed := from.Close(); closed != nil && !pebble.IsCorruptionError(closed) {
		err = errors.Join(err, closed)
	}
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return errors.Join(
		files.Rename(old, fmt.Sprintf("%s.damaged-%s", old, time.Now().UTC().Format("20060102T150405"))),
		files.Rename(fresh, old),
		syncDir(files, dir),
	)
}

// copyReadable copies what can be read of a database. What says which store it is may
// be lost in it: id is what the directory says.
func copyReadable(ctx context.Context, from, to *pebble.DB, id string, c Check) error {
	it, err := from.NewIter(nil)
	if err != nil {
		return err
	}
	w := steps{to, to.NewBatch()}
	err = errors.Join(w.b.Set(formatKey, binary.BigEndian.AppendUint32(nil, formatVersion), nil), w.b.Set(idKey, []byte(id), nil))
	if err != nil {
		return errors.Join(err, it.Close())
	}
	var n, last uint64
	t := tolerant{it: it}
	err = t.each(ctx, func(key, value []byte) error {
		if n++; n%4096 == 0 && c.Progress != nil {
			c.Progress("copying", n, 0)
		}
		if seq, ok := logSeq(key); ok { // of the log, only its end is kept
			last = seq
			return nil
		}
		return errors.Join(w.b.Set(key, value, nil), w.pause(migrateStep))
	}, func(_, _ []byte, _ error) {})
	if closed := it.Close(); closed != nil && !pebble.IsCorruptionError(closed) {
		err = errors.Join(err, closed)
	}
	if last == 0 {
		last = uint64(time.Now().Unix()) << 20 // above any that was given
	}
	e := entry{kind: repaired, time: time.Now().UnixNano()}
	v := make([]byte, e.size())
	e.encode(v)
	return errors.Join(err, w.b.Set(logKey(last+1), v, nil), w.pause(0), w.b.Close())
}

// mend repairs what Verify found, in a database whose files can be read.
func (s *Store) mend(ctx context.Context, unreadable map[Place][]uint32, c Check) error {
	for p, uids := range unreadable {
		if p.Account == "" {
			continue
		}
		for _, uid := range slices.Compact(slices.Sorted(slices.Values(uids))) {
			if err := s.lose(p, uid); err != nil {
				return err
			}
		}
	}
	var done uint64
	ids, err := anyAccounts(s.db)
	if err != nil {
		return err
	}
	if err := s.update(repaired, func(tx *Tx) error { return tx.b.DeleteRange([]byte{'g'}, []byte{'g' + 1}, nil) }); err != nil {
		return err
	}
	for _, account := range ids {
		if h, _, err := readHolder(s.db, account); err == nil && h.doomed {
			continue
		}
		if err := s.update(repaired, func(tx *Tx) error { return tx.mendAccount(account) }); err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
		done++
		if c.Progress != nil {
			c.Progress("mending", done, 0)
		}
	}
	return s.mendBodies(ctx)
}

// lose removes a message after copying what can be read of it.
func (s *Store) lose(p Place, uid uint32) error {
	var i identity
	known, err := s.read(uidKey(p, 'i', uid), func(v []byte) (err error) {
		i, err = decodeIdentity(v)
		return err
	})
	if err == nil && known {
		r := s.bodies.section(i.body, i.bodySize(), 0, i.bodySize())
		r.rest = i.prefix
		if err := s.keepLost(fmt.Sprintf("%s-%d-%d.eml", p.Account, p.Mailbox, uid), r); err != nil {
			return err
		}
	}
	return s.update(repaired, func(tx *Tx) error { return tx.remove(p, uid, i.id) })
}

// keepLost copies what can be read to lost+found.
func (s *Store) keepLost(name string, r io.Reader) error {
	dir := s.fs.PathJoin(s.dir, lostName)
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := s.fs.Create(s.fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if errors.Is(err, ErrDamaged) || pebble.IsCorruptionError(err) {
		err = nil
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// adopt gives an account and its mailboxes back the records that were lost.
func (tx *Tx) adopt(account string) error {
	a, err := tx.account(account)
	if errors.Is(err, errRecord) {
		a = &accountTx{id: account}
		tx.accounts[account], err = a, nil
	}
	if err != nil {
		return err
	}
	a.found = true
	a.rec.nextMailbox = max(a.rec.nextMailbox, Inbox)
	ids := map[MailboxID]bool{Inbox: true}
	for id := MailboxID(0); ; {
		next, err := tx.nextWithMessages(account, id)
		if err != nil {
			return err
		}
		if next == 0 {
			break
		}
		ids[next], id = true, next
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		p := Place{account, id}
		if _, err := tx.box(p); !errors.Is(err, ErrNoMailbox) {
			if err != nil {
				return err
			}
			continue
		}
		if doomed, err := has(tx.s.db, doomedKey(p)); err != nil || doomed {
			return err
		}
		name := inboxName
		if id != Inbox {
			name = fmt.Sprintf("Recovered %d", id)
		}
		later := max(a.rec.nextMailbox, id+1)
		a.rec.nextMailbox = id
		if _, err := tx.makeBox(a, name, ""); err != nil {
			return err
		}
		a.rec.nextMailbox = later
	}
	return nil
}

// nextWithMessages finds the next mailbox that has messages, 0 for none.
func (tx *Tx) nextWithMessages(account string, behind MailboxID) (id MailboxID, err error) {
	it, err := tx.s.db.NewIter(&pebble.IterOptions{LowerBound: accountKey(account, 'i', behind+1), UpperBound: after(tableKey(account, 'i'))})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if it.First() {
		id = MailboxID(binary.BigEndian.Uint32(it.Key()[len(tableKey(account, 'i')):]))
	}
	return id, it.Error()
}

// mendAccount makes an account's counts and indexes anew from its messages.
func (tx *Tx) mendAccount(account string) error {
	if err := tx.adopt(account); err != nil {
		return err
	}
	t, err := tx.tree(account)
	if err != nil {
		return err
	}
	a := tx.accounts[account]
	a.rec.bytes, a.rec.messages = 0, 0
	for _, table := range []byte("or") {
		if err := tx.b.DeleteRange(tableKey(account, table), after(tableKey(account, table)), nil); err != nil {
			return err
		}
	}
	threads := map[uint64]*threadTx{}
	for _, m := range t.sorted() {
		a.rec.nextMailbox = max(a.rec.nextMailbox, m.ID+1)
		a.rec.validity = max(a.rec.validity, m.UIDValidity)
		a.rec.state = max(a.rec.state, m.HighestModSeq, m.State)
	}
	a.rec.state++
	a.modseq = a.rec.state
	for _, m := range t.sorted() {
		if err := tx.mendMailbox(m, threads); err != nil {
			return err
		}
	}
	for _, hash := range slices.Sorted(maps.Keys(threads)) {
		th := threads[hash]
		if err := tx.index(threadKey(account, hash), binary.BigEndian.AppendUint32(th.id[:], th.refs)); err != nil {
			return err
		}
	}
	for _, m := range t.sorted() { // the tree holds what is missing between names
		if err := tx.mendParents(t, m); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) mendParents(t tree, m *boxTx) error {
	for _, above := range parents(m.Name) {
		if t[above] != nil {
			continue
		}
		name, err := tx.makeBox(m.account, above, "")
		if err != nil {
			return err
		}
		name.NoSelect = true
		t[above] = name
	}
	return nil
}

func (tx *Tx) mendMailbox(m *boxTx, threads map[uint64]*threadTx) error {
	m.Messages, m.Bytes, m.Unseen, m.Deleted, m.DeletedBytes = 0, 0, 0, 0, 0
	p := m.place
	whole := map[uint32]bool{}
	if err := scan(tx.s.db, accountKey(p.Account, 'i', p.Mailbox), func(key, value []byte) error {
		uid := binary.BigEndian.Uint32(key)
		i, err := decodeIdentity(value)
		if err != nil {
			return err
		}
		whole[uid] = true
		for _, hash := range i.threads {
			if threads[hash] == nil {
				threads[hash] = &threadTx{id: i.thread}
			}
			threads[hash].refs++
		}
		return tx.b.Set(emailKey(p, i.id, uid), nil, nil)
	}); err != nil {
		return err
	}
	if err := scan(tx.s.db, accountKey(p.Account, 'm', p.Mailbox), func(key, value []byte) error {
		uid := binary.BigEndian.Uint32(key)
		item, err := decodeItem(uid, value)
		if err != nil || !whole[uid] {
			return errors.Join(err, errors.New("a message was not removed"))
		}
		m.account.rec.state = max(m.account.rec.state, item.ModSeq)
		m.UIDNext = max(m.UIDNext, uid+1)
		m.weigh(&item, 1)
		return nil
	}); err != nil {
		return err
	}
	if err := scan(tx.s.db, grantKey(p, ""), func(who, rights []byte) error {
		return tx.b.Set(shareKey(p, string(who)), rights, nil)
	}); err != nil {
		return err
	}
	// Which messages went is not written down.
	m.account.modseq = m.account.rec.state
	m.Floor, m.tombs = m.touch(), 0
	return tx.b.DeleteRange(tombKey(p, 0), tombKey(p, m.Floor), nil)
}

// mendBodies counts anew how many have each body.
func (s *Store) mendBodies(ctx context.Context) (err error) {
	snap, err := s.view(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	v := &verifier{ctx: ctx, snap: snap, check: Check{Problem: func(Problem) {}}, names: map[Place]string{}}
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
		ids := slices.SortedFunc(maps.Keys(r.page), func(a, b BodyID) int { return bytes.Compare(a[:], b[:]) })
		for step := range slices.Chunk(ids, 1000) {
			if err := s.mendPage(r.page, step); err != nil {
				return err
			}
		}
		from = end
	}
	return nil
}

func (s *Store) mendPage(page map[BodyID]*checkedBody, ids []BodyID) error {
	for _, id := range ids {
		if c := page[id]; c.found == 0 && c.size > 0 {
			if err := s.keepLost(id.String()+".eml", s.bodies.section(id, c.size, 0, c.size)); err != nil {
				return err
			}
		}
	}
	return s.update(repaired, func(tx *Tx) error {
		for _, id := range ids {
			c := page[id]
			if c.found == 0 {
				if err := tx.b.DeleteRange(bodyKey(id, 0), bodyKey(id, 0xff), nil); err != nil {
					return err
				}
				if known, err := s.equalBody(c.sum, c.size); err == nil && known == id {
					if err := tx.b.Delete(sumKey(c.sum), nil); err != nil {
						return err
					}
				}
				continue
			}
			h := c.holding
			h.refs = uint64(c.found)
			if err := errors.Join(tx.b.Set(bodyKey(id, 'h'), h.encode(), nil), tx.index(sumKey(h.sum), id[:])); err != nil {
				return err
			}
		}
		return nil
	})
}
